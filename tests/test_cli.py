import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from video_ae import cli
from video_ae.errors import UserError

ROOT = Path(__file__).parents[1]
TRAIN_CLIPS = ROOT / "data" / "walkthroughs" / "train"
COMMANDS = [[], ["train"], ["reconstruct"], ["render"], ["evaluate"], ["evaluate", "poses"], ["evaluate", "views"]]


def run(capsys, *arguments):
    """(exit code, what stands on stderr) of one command."""
    code = cli.main([str(argument) for argument in arguments])
    return code, capsys.readouterr().err


def test_help_is_instant_and_loads_no_torch():
    script = (
        "import sys; from video_ae import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'jsonargparse', 'lightning'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert time.monotonic() - started < 1.0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*command, "--help"])
    assert end.value.code == 0
    assert " ".join(["video-ae", *command]) in capsys.readouterr().out


def test_paths_are_those_of_the_geometry():
    from video_ae.geometry.trajectories import PATHS

    assert set(cli.PATHS) == set(PATHS)


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


@pytest.mark.parametrize(
    ("name", "content"), [("missing.mp4", None), ("empty.mp4", b""), ("text.mp4", b"not a video at all")]
)
def test_bad_video_is_one_sentence_and_nothing_is_written(name, content, tmp_path, capsys):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, text = run(capsys, "reconstruct", tmp_path / name, "--out", tmp_path / "out")
    assert (code, text.count("\n")) == (2, 1)
    assert name in text
    assert {path.name for path in tmp_path.iterdir()} <= {name}


def test_output_that_is_in_the_way(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    code, text = run(capsys, "reconstruct", tmp_path / "any.mp4", "--out", tmp_path / "out")
    assert code == 2
    assert "not empty" in text


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
    monkeypatch.setattr(cli, "_train", fail)
    assert run(capsys, "train") == (code, says)


def test_debug_shows_the_traceback(monkeypatch):
    def fail(arguments):
        raise RuntimeError("bug")

    monkeypatch.setenv("VIDEO_AE_DEBUG", "1")
    monkeypatch.setattr(cli, "_train", fail)
    with pytest.raises(RuntimeError, match="bug"):
        cli.main(["train"])


def test_only_what_was_given_is_handed_on(monkeypatch):
    received = {}
    monkeypatch.setattr(cli, "_evaluate_views", lambda **given: received.update(given))
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
        capsys, "train", "--config", config, "--out", tmp_path / "run", f"--data.root={TRAIN_CLIPS}",
        "--data.validation_root=null", f"--data.size={size}", "--data.batch_size=1", "--data.validation_clips=1",
        "--data.workers=0", "--data.max_frames_in_memory=200", "--trainer.max_steps=2", "--trainer.max_time=null",
        "--trainer.validate_every=2", "--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.precision=32-true",
        *(f"--losses.{name}.missing=leave_out" for name in needing_weights(values)),
    )  # fmt: skip
    assert (code, text) == (0, text)
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    assert (tmp_path / "run" / "pictures" / "step_2.png").is_file()
