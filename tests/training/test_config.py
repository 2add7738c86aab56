import jsonargparse
import pytest
import tiny_model

from video_ae.errors import UserError
from video_ae.losses.photometric import L1, Gradient
from video_ae.training.config import parse_run
from video_ae.training.settings import OptimizerSettings


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
        (
            "--data.rot=x",
            "no setting 'data.rot' (did you mean 'data.root'?): the names are data.root, data.validation_root",
        ),
        ("--dta.root=x", "There is no setting 'dta' (did you mean 'data'?): the names are config, data, host, losses,"),
        ("--model.chanels=3", "has no argument 'chanels' (did you mean 'channels'?): it takes channels, noise."),
        (
            "--model=TinyAutoencodr",
            "There is no Autoencoder 'TinyAutoencodr' (did you mean 'TinyAutoencoder'?) for model:",
        ),
        ("--losses.l1.weigt=3", "L1 has no argument 'weigt' (did you mean 'weight'?): it takes weight."),
        ("--losses.l1=L3", "Gradient, KLDivergence, L1, SquaredError, StructuralDissimilarity"),
        (
            "--losses.l1=video_ae.lecture.plain.PlainAutoencoder",
            "There is no LossTerm 'video_ae.lecture.plain.PlainAutoencoder' for losses.l1: the names are",
        ),
        (
            "--model=video_ae.losses.photometric.L1",
            "There is no Autoencoder 'video_ae.losses.photometric.L1' for model: the names are",
        ),
        ("--model.channels=many", "model.channels has a value that does not fit: many was given, int is needed."),
        ("--data.batch_size=many", "data.batch_size has a value that does not fit: many was given, int is needed."),
        (
            "--data.size=[1]",
            "data.size has a value that does not fit: [1] was given, tuple[int, int] is needed",
        ),
        ("--trainer.max_steps=soon", "trainer.max_steps has a value that does not fit"),
        ("--wandb=sometimes", "sometimes was given, one of ['disabled', 'offline', 'online'] is needed."),
        ("--data.mix={a: b}", "data.mix has a value that does not fit: {'a': 'b'} was given, dict[str, float] or null"),
        ("--losses.l2.weight=3", "losses.l2 names no LossTerm: the names are "),
        ("--config=nowhere.yaml", "The configuration 'nowhere.yaml' does not exist"),
        ("word", "The settings do not fit: "),
    ],
)
def test_a_typo_is_answered_with_one_sentence_and_the_valid_names(arguments, typo, says):
    with pytest.raises(UserError) as caught:
        parse_run([*arguments, typo])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_answer_does_not_depend_on_the_words_of_jsonargparse(arguments, monkeypatch):
    def refuse(*_: object) -> None:
        raise jsonargparse.ArgumentError(None, "other words")

    monkeypatch.setattr(jsonargparse.ArgumentParser, "parse_args", refuse)
    with pytest.raises(UserError, match=r"There is no setting 'data\.rot'"):
        parse_run([*arguments, "--data.rot=x"])
    with pytest.raises(UserError, match="The settings do not fit: other words"):
        parse_run(arguments)


def test_a_part_of_a_part(arguments):
    arguments = [*arguments, "--model=PerspectiveAutoencoder", "--model.structure=PlaneSweepEncoder"]
    for typo, says in (
        (
            "--model.camera=CameraSolvr",
            r"no CameraEncoder 'CameraSolvr' \(did you mean 'CameraSolver'\?\) for model.camera",
        ),
        ("--model.structure.chanels=3", r"PlaneSweepEncoder has no argument 'chanels' \(did you mean 'channels'\?\)"),
        (
            "--model.init_args.structure.init_args.channels=few",
            "model.structure.channels has a value that does not fit",
        ),
        ("--model.camera={class_path: CameraSolver, init_args: {levels: x}}", "model.camera.levels has a value"),
    ):
        with pytest.raises(UserError, match=says):
            parse_run([*arguments, typo])


def test_later_values_win_where_a_problem_is_looked_for(tmp_path, arguments):
    """What is refused is `--seed`, not what stood in the file before it was replaced."""
    file = tmp_path / "c.yaml"
    file.write_text("model: {class_path: PlainAutoencoder, init_args: {code_size: 8}}\nlosses: {l1: L1}\n")
    with pytest.raises(UserError, match=r"^seed has a value that does not fit: x was given"):
        parse_run(["--config", str(file), *arguments, "--model.channels=2", "--losses.l1.weight=2", "--seed=x"])


def test_unknown_key_in_yaml(tmp_path, arguments):
    file = tmp_path / "c.yaml"
    file.write_text("trainr: {max_steps: 3}\n")
    with pytest.raises(UserError, match=r"no setting 'trainr' \(did you mean 'trainer'\?\)"):
        parse_run([*arguments, "--config", str(file)])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("model: [unclosed\n", "is not valid YAML: line 2: "),
        ("some words\n", "A configuration is a YAML file"),
        ("", "A configuration is a YAML file"),
        (
            "trainer: {max_stepz: 3}\n",
            "There is no setting 'trainer.max_stepz' (did you mean 'trainer.max_steps'?): the names",
        ),
        ("trainer: {max_time: 12:00:30:00}\n", "2593800 was given, str or null is needed (put quotes around it"),
        ("data: null\n", "data is null, and a group of values is needed: leave the line out for their defaults."),
        ("trainer: 5\n", "trainer is 5, and a group of values is needed"),
        ("data: {size: null}\n", "data.size has a value that does not fit: null was given, tuple[int, int] is needed."),
        ("losses: {l1: null}\n", "losses.l1 names no LossTerm: the names are "),
        ("model: null\n", "model names no Autoencoder: the names are "),
        ("model: {class_path: Nothing}\n", "There is no Autoencoder 'Nothing' for model: the names are"),
        (
            "losses: {l1: {class_path: L1, init_args: {wait: 3}}}\n",
            "L1 has no argument 'wait' (did you mean 'weight'?): it takes weight.",
        ),
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
    with pytest.raises(UserError, match="its folder is needed") as caught:
        parse_run(["--resume"])
    assert caught.value.argument == "out"
    with pytest.raises(UserError, match=r"config.yaml is not there"):
        parse_run(["--resume", "--out", str(tmp_path)])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"clip_norm": -1.0}, "clip_norm is -1.0, and a length above 0"),  # it would climb
        ({"skip_norm": 0.0}, "skip_norm is 0.0"),
        ({"betas": (0.9, 1.0)}, r"betas is \[0.9, 1.0\]"),
    ],
)
def test_numbers_of_the_optimizer_that_cannot_work(values, says):
    with pytest.raises(UserError, match=says):
        OptimizerSettings(**values)
