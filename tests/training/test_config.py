import pytest
import tiny_model

from video_ae.errors import UserError
from video_ae.losses.photometric import L1, Gradient
from video_ae.training.config import parse_run


def test_yaml_then_overrides_in_order(tmp_path, arguments):
    file = tmp_path / "c.yaml"
    file.write_text(
        "model: {class_path: tiny_model.TinyAutoencoder, init_args: {channels: 8}}\n"
        "losses: {l1: {class_path: L1, init_args: {weight: 2}}, "
        "edges: {class_path: video_ae.losses.photometric.Gradient}}\n"
        "data: {root: here, size: [16, 8]}\n"
    )
    run = parse_run(["--config", str(file), "--data.root", "there", "--model.channels=5", "--losses.l1.weight=3"])
    assert run.model == {"class_path": "tiny_model.TinyAutoencoder", "init_args": {"channels": 5, "noise": 0.05}}
    assert isinstance(run.losses["l1"], L1)
    assert isinstance(run.losses["edges"], Gradient)
    assert (run.losses["l1"].weight, run.losses["edges"].weight) == (3, 1)
    assert (run.data.root, run.data.size) == ("there", (16, 8))
    assert tiny_model.__name__ in run.text


@pytest.mark.parametrize(
    ("typo", "says"),
    [
        ("--data.rot=x", "There is no setting 'data.rot': the names are data.root, data.validation_root"),
        ("--dta.root=x", "There is no setting 'dta.root': the names are"),
        ("--model.chanels=3", "has no argument 'chanels': it takes channels, noise."),
        ("--model=TinyAutoencodr", "There is no Autoencoder 'TinyAutoencodr': the names are"),
        ("--losses.l1.weigt=3", "L1 has no argument 'weigt': it takes weight."),
        ("--losses.l1=L3", "Gradient, KLDivergence, L1, SquaredError, StructuralDissimilarity"),
        ("--losses.l1=video_ae.lecture.plain.PlainAutoencoder", "There is no LossTerm 'video_ae"),
        ("--model=video_ae.losses.photometric.L1", "There is no Autoencoder 'video_ae.losses.photometric.L1'"),
        ("--model.channels=many", "--model.channels has a value that does not fit: many was given, int is needed."),
        ("--data.batch_size=many", "--data.batch_size has a value that does not fit: many was given, int is needed."),
        (
            "--data.size=[1]",
            "--data.size has a value that does not fit: [1] was given, tuple with 2 elements is needed",
        ),
        ("--trainer.max_steps=soon", "--trainer.max_steps has a value that does not fit"),
        ("--wandb=sometimes", "sometimes was given, one of ['disabled', 'offline', 'online'] is needed."),
        ("--config=nowhere.yaml", "nowhere.yaml"),
    ],
)
def test_a_typo_is_answered_with_one_sentence_and_the_valid_names(arguments, typo, says):
    with pytest.raises(UserError) as caught:
        parse_run([*arguments, typo])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_key_in_yaml(tmp_path, arguments):
    file = tmp_path / "c.yaml"
    file.write_text("trainr: {max_steps: 3}\n")
    with pytest.raises(UserError, match=r"no setting 'trainr\.max_steps'.*trainer"):
        parse_run([*arguments, "--config", str(file)])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("model: [unclosed\n", "did not find expected"),
        ("some words\n", "A configuration is a YAML file"),
        ("", "A configuration is a YAML file"),
        ("trainer: {max_stepz: 3}\n", "There is no setting 'trainer.max_stepz': the names are trainer.max_steps"),
        ("model: {class_path: Nothing}\n", "There is no Autoencoder 'Nothing': the names are"),
        ("losses: {l1: {class_path: L1, init_args: {wait: 3}}}\n", "L1 has no argument 'wait': it takes weight."),
    ],
)
def test_files_that_do_not_fit(content, says, tmp_path, arguments):
    file = tmp_path / "c.yaml"
    file.write_text(content)
    with pytest.raises(UserError) as caught:
        parse_run([*arguments, "--config", str(file)])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["--model", "--losses.l1"])
def test_a_run_needs_a_model_and_a_loss(missing):
    given = {"--model": "tiny_model.TinyAutoencoder", "--losses.l1": "L1"}
    with pytest.raises(UserError, match=missing.strip("-").split(".")[0]):
        parse_run([word for name, value in given.items() if name != missing for word in (name, value)])


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(UserError, match="give --out"):
        parse_run(["--resume"])
    with pytest.raises(UserError, match=r"config.yaml is not there"):
        parse_run(["--resume", "--out", str(tmp_path)])
