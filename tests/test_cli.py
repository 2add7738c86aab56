import subprocess
import sys
import time
from inspect import signature
from pathlib import Path

import av
import pytest
import torch
import yaml
from PIL import Image

from video_ae import cli
from video_ae.cli.reconstruction_commands import PATHS as PATHS_OF_THE_COMMAND
from video_ae.errors import UserError
from video_ae.evaluation import evaluate
from video_ae.models.open import build_model, save_weights
from video_ae.videos.writer import write_video

ROOT = Path(__file__).parents[1]
CLIPS = ROOT / "data" / "walkthroughs" / "validation"
COMMANDS = [[], ["train"], ["reconstruct"], ["render"], ["evaluate"], ["evaluate", "poses"], ["evaluate", "views"]]


def run(capsys, *arguments):
    """(exit code, what stands on stderr) of one command."""
    code = cli.main([str(argument) for argument in arguments])
    return code, capsys.readouterr().err


def test_help_is_instant_and_loads_no_torch():
    script = (
        "import os, sys; from video_ae import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'jsonargparse', 'lightning'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert 'OMP_WAIT_POLICY' in os.environ, 'waiting threads sleep'\n"
    )
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert time.monotonic() - started < 1.0  # 0.3 s where nothing else runs


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*command, "--help"])
    assert end.value.code == 0
    assert " ".join(["video-ae", *command]) in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["poses", "hard", "phone", "views", "reconstruction", "transfer"])
def test_the_help_says_how_often_an_evaluation_refines(kind, capsys):
    with pytest.raises(SystemExit):
        cli.main(["evaluate", kind, "--help"])
    default = signature(getattr(evaluate, f"evaluate_{kind}")).parameters["settings"].default.refine
    said = " ".join(capsys.readouterr().out.rpartition("--refine STEPS")[2].split())
    assert said.startswith(f"steps of refinement (default: {default}")


def test_paths_are_those_of_the_geometry():
    from video_ae.geometry.trajectories import PATHS

    assert set(PATHS_OF_THE_COMMAND) == set(PATHS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["recontruct", "x.mp4"], "invalid choice: 'recontruct'"),
        (["reconstruct", "x.mp4"], "--out"),
        (["reconstruct", "x.mp4", "--out", "o", "--strid", "2"], "--strid"),
        (["reconstruct", "x.mp4", "--out", "o", "--stride", "two"], "invalid int value: 'two'"),
        (["render", "d", "--out", "o.mp4", "--path", "zigzag"], "'orbit'"),
        (["evaluate", "--data", "d"], "views"),
        (["train", "--data.rot", "x"], "data.root"),
        (["train", "--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_a_typo_is_one_sentence_and_exit_code_2(arguments, says, capsys):
    code, text = run(capsys, *arguments)
    assert code == 2
    assert text.startswith("video-ae: error: ")
    assert says in text
    assert text.count("\n") == 1


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a good video of 8 frames, and what people give by mistake. Tests leave it as it was."""
    tmp_path = tmp_path_factory.mktemp("files")
    good = tmp_path / "good.mp4"
    write_video(good, torch.rand(8, 3, 32, 48))
    write_video(tmp_path / "one.mp4", torch.rand(1, 3, 32, 48))
    (tmp_path / "text.txt").write_text("not a folder, not weights, not a configuration")
    (tmp_path / "zero.mp4").write_bytes(b"")
    (tmp_path / "cut.safetensors").write_bytes(b"\x20\0\0\0\0\0\0\0{")
    (tmp_path / "key.yaml").write_text("trainer: {max_stepz: 3}\n")
    for folder in ("empty", "full", "damaged", "mixed", "clips"):
        (tmp_path / folder).mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "clips" / "good.mp4").write_bytes(good.read_bytes())
    for number in range(2):
        (tmp_path / "damaged" / f"{number}.mp4").write_bytes(good.read_bytes()[:200])
        Image.new("RGB", (16, 16 + number)).save(tmp_path / "mixed" / f"{number}.png")
    container = av.open(str(tmp_path / "sound.mp4"), "w")
    stream = container.add_stream("aac", rate=44100)
    sound = av.AudioFrame.from_ndarray(torch.zeros(1, 1024).numpy(), format="fltp", layout="mono")
    sound.sample_rate = 44100
    container.mux([*stream.encode(sound), *stream.encode()])
    container.close()
    other = build_model({"class_path": "video_ae.lecture.plain.PlainAutoencoder"})
    save_weights(other, tmp_path / "other" / "weights.safetensors")
    return tmp_path


RECONSTRUCT = "reconstruct good.mp4 --out out"
TRAIN = f"train --config {ROOT / 'configs' / 'quickstart.yaml'} --out out --data.validation_root=null"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("reconstruct missing.mp4 --out out", "'missing.mp4' does not exist"),
        ("reconstruct text.txt --out out", "cannot be read as a video"),
        ("reconstruct zero.mp4 --out out", "zero bytes"),
        ("reconstruct sound.mp4 --out out", "sound but no frames"),
        ("reconstruct one.mp4 --out out", "leaves one frame (1 in all"),
        ("reconstruct mixed --out out", "differ in size"),
        ("reconstruct empty --out out", "holds no images"),
        (f"{RECONSTRUCT} --bogus", "unrecognized arguments: --bogus"),
        (f"{RECONSTRUCT} --weights other", "belong to the model PlainAutoencoder"),
        (f"{RECONSTRUCT} --weights cut.safetensors", "not a complete safetensors file"),
        (f"{RECONSTRUCT} --weights nowhere", "There are no weights at 'nowhere'"),
        (f"{RECONSTRUCT} --weights empty", "has no weights.safetensors"),
        ("reconstruct good.mp4 --out text.txt/out", "cannot be written"),
        ("reconstruct good.mp4 --out text.txt", "is a file"),
        ("reconstruct good.mp4 --out full", "not empty"),
        ("reconstruct good.mp4 --out full --overwrite", "no earlier result"),
        ("reconstruct good.mp4 --out new/folders/out --weights nowhere", "no weights"),
        (f"{RECONSTRUCT} --focal 0", "focal length 0.0"),
        (f"{RECONSTRUCT} --focal -1", "focal length -1.0"),
        (f"{RECONSTRUCT} --focal nan", "focal length nan"),
        (f"{RECONSTRUCT} --stride 0", "stride 0"),
        (f"{RECONSTRUCT} --stride 8", "leaves one frame (8 in all"),
        (f"{RECONSTRUCT} --frames 1", "1 frames are too few"),
        (f"{RECONSTRUCT} --refine -1", "-1 refinement steps"),
        (f"{RECONSTRUCT} --device abacus", "device 'abacus'"),
        (f"{TRAIN} --data.root=clips --config key.yaml", "no setting 'trainer.max_stepz'"),
        (f"{TRAIN} --data.root=clips --model Nothing", "no Autoencoder 'Nothing'"),
        (f"{TRAIN} --data.root=clips --model.structure Nothing", "'Nothing' for model.structure"),
        (f"{TRAIN} --data.root=clips --model.planes many", "model.planes has a value that does not fit"),
        (f"{TRAIN} --data.root=clips --data.batch_size=0", "data.batch_size is 0"),
        (f"{TRAIN} --data.root=clips --data.size=[0,64]", "data.size is 0"),
        (f"{TRAIN} --data.root=clips --data.decoder=eyes", "data.decoder has a value that does not fit"),
        (f"{TRAIN} --data.root=clips --data.length=9", "the longest has 8"),
        (f"{TRAIN} --data.root=clips --optimizer.lr=-1", "optimizer.lr is -1.0"),
        (f"{TRAIN} --data.root=clips --trainer.log_every=0", "trainer.log_every is 0"),
        (f"{TRAIN} --data.root=clips --trainer.max_time=soon", "'soon'"),
        (f"{TRAIN} --data.root=clips --trainer.accelerator=abacus", "abacus"),
        (f"{TRAIN} --data.root=clips --out text.txt/run", "cannot be written"),
        (f"{TRAIN} --data.root=clips --out full", "not empty"),
        (f"{TRAIN} --data.root=missing", "'missing' does not exist"),
        (f"{TRAIN} --data.root=empty", "holds no usable video (0 were found"),
        (f"{TRAIN} --data.root=damaged", "holds no usable video (2 were found"),
        (f"{TRAIN} --data.root=clips --data.validation_root=missing", "'missing' does not exist"),
        ("render full --path orbit --out out.mp4", "holds no reconstruction"),
        ("render full --path orbit --out out.avi", "does not end in .mp4"),
        ("render full --path orbit --out out.mp4 --frames 1", "A path of 1 frames"),
        ("evaluate poses --data clips --out out", "has no true cameras"),
        ("evaluate views --data clips --out out", "has no true cameras"),
        ("evaluate peers --data clips --out out", "has no true cameras"),
        (f"evaluate poses --data {CLIPS} --out out --weights other", "does not reconstruct whole videos"),
        ("evaluate paper --data clips --out out --weights other", "needs its own model"),
        ("latent --weights other --data missing --out out", "'missing' does not exist"),
        ("latent --weights other --data clips --out text.txt/out", "cannot be written"),
        ("convert-checkpoint text.txt --out out", "is no checkpoint"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(line, says, files, monkeypatch, capfd):
    monkeypatch.chdir(files)
    before = sorted(files.rglob("*"))
    code = cli.main(line.split())
    text = capfd.readouterr().err
    assert (code, text.count("\n")) == (2, 1), text
    assert says in text
    assert sorted(files.rglob("*")) == before


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UserError("The input is bad."), 2, "video-ae: error: The input is bad.\n"),
        (KeyboardInterrupt(), 130, "video-ae: stopped.\n"),
        (
            RuntimeError("a\nbug"),
            1,
            "video-ae: unexpected RuntimeError: a bug (VIDEO_AE_DEBUG=1 shows where it happened)\n",
        ),
    ],
)
def test_exit_codes(error, code, says, monkeypatch, capsys):
    def fail(arguments):
        raise error

    monkeypatch.delenv("VIDEO_AE_DEBUG", raising=False)
    monkeypatch.setattr("video_ae.cli.training_commands.run", fail)
    assert run(capsys, "train") == (code, says)


@pytest.mark.parametrize(
    ("line", "argument", "ending"),
    [
        ("reconstruct a.mp4 --out o", "overwrite", " (option --overwrite)"),
        ("reconstruct a.mp4 --out o", "source", ""),  # given without an option
        ("stabilize a.mp4 --out o", "smooth_seconds", " (option --smooth)"),
        ("evaluate poses --data d --out o", "weights", " (option --weights)"),
        ("train", "data.size", " (option --data.size)"),
        ("train", "decoder", " (option --data.decoder)"),
        ("train", "overwrite", " (option --overwrite)"),
        ("train", "unheard_of", ""),
    ],
)
def test_a_sentence_ends_with_the_option_that_helps(line, argument, ending, monkeypatch, capsys):
    def fail(arguments):
        raise UserError("It failed.", argument=argument)

    monkeypatch.setattr(sys.modules["video_ae.cli.main"], "_run", fail)
    assert run(capsys, *line.split()) == (2, f"video-ae: error: It failed.{ending}\n")


def test_without_viser_a_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("video_ae.viewer.find_spec", lambda name: None)
    code, text = run(capsys, "view", "walk")
    assert code == 2
    assert "pip install 'video-ae[viewer]'" in text


def test_debug_shows_the_traceback(monkeypatch):
    def fail(arguments):
        raise RuntimeError("bug")

    monkeypatch.setenv("VIDEO_AE_DEBUG", "1")
    monkeypatch.setattr("video_ae.cli.training_commands.run", fail)
    with pytest.raises(RuntimeError, match="bug"):
        cli.main(["train"])


def test_only_what_was_given_is_handed_on(monkeypatch):
    received = {}
    views = "video_ae.evaluation.evaluate.evaluate_views"
    monkeypatch.setattr(views, lambda **given: received.update(given))
    assert cli.main(["evaluate", "views", "--data", "d", "--out", "o", "--gaps", "2", "8", "--refine", "0"]) == 0
    assert received.items() >= {"data": Path("d"), "out": Path("o"), "gaps": [2, 8], "refine": 0}.items()
    assert not {"weights", "device", "command", "subcommand", "handler"} & received.keys()


def needing_weights(values):
    """The loss terms that refuse to start without a pretrained network, which a clone does not have."""
    return [name for name, term in values["losses"].items() if "missing" in term.get("init_args", {})]


@pytest.mark.parametrize("config", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_trains_two_steps(config, tmp_path, capsys):
    values = yaml.safe_load(config.read_text())
    size = values.get("data", {}).get("size", [64, 48])
    shrink = 64 / max(size)
    size = [max(16, round(side * shrink / 16) * 16) for side in size]
    code, text = run(
        capsys, "train", "--config", config, "--out", tmp_path / "run", f"--data.root={CLIPS}",
        "--data.validation_root=null", f"--data.size={size}", "--data.batch_size=1", "--data.validation_clips=1",
        f"--data.length={min(values['data']['length'], 6)}",
        "--data.workers=0", "--data.max_frames_in_memory=200", "--trainer.max_steps=2", "--trainer.max_time=null",
        "--trainer.validate_every=2", "--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.precision=32-true",
        *(f"--losses.{name}.missing=leave_out" for name in needing_weights(values)),
    )  # fmt: skip
    assert (code, text) == (0, text)
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    assert (tmp_path / "run" / "pictures" / "step_2.png").is_file()
