"""A damaged checkpoint costs the steps since the one before it; a full disk costs none."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from interruptions import power_cut, same, train_interrupted, weights
from lightning.pytorch.plugins.io import TorchCheckpointIO

from video_ae.errors import UserError
from video_ae.training.checkpoints import LAST, PREVIOUS, WholeCheckpoints, is_whole
from video_ae.training.config import parse_run
from video_ae.training.train import train


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def interrupted(arguments, tmp_path):
    """A run that died in its eighth step, with checkpoints of the steps 3 and 6."""
    train_interrupted(arguments, 8, power_cut)
    run = tmp_path / "run"
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"last.ckpt", "previous.ckpt", "best.ckpt"}
    assert is_whole(run / LAST)
    assert is_whole(run / PREVIOUS)
    return run


@pytest.mark.parametrize("damage", [cut_off, flip_a_byte, Path.unlink])
def test_the_one_before_is_taken_where_the_last_is_damaged(arguments, interrupted, tmp_path, capfd, damage):
    whole = train(parse_run([*arguments, "--out", str(tmp_path / "whole")]))
    damage(interrupted / LAST)
    assert not is_whole(interrupted / LAST)
    train(parse_run(["--resume", "--out", str(interrupted)]))
    assert "goes on from the checkpoint before" in capfd.readouterr().err
    assert same(weights(whole), weights(interrupted))


def test_where_both_are_damaged_it_is_said(interrupted):
    cut_off(interrupted / LAST)
    cut_off(interrupted / PREVIOUS)
    with pytest.raises(UserError, match="is damaged, and there is none before it"):
        train(parse_run(["--resume", "--out", str(interrupted)]))


def test_a_full_disk_ends_in_a_sentence_and_the_checkpoints_stay(arguments, interrupted):
    before = {path: path.read_bytes() for path in (interrupted / "checkpoints").iterdir()}
    room = len(before[interrupted / LAST]) // 2  # a limit for files stands for the disk
    ended = subprocess.run(
        [sys.executable, "-m", "video_ae", "train", "--resume", "--out", str(interrupted)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert "the disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert {path: path.read_bytes() for path in (interrupted / "checkpoints").iterdir()} == before


def test_what_a_kill_leaves_is_removed_and_nothing_else(arguments, interrupted):
    unfinished = interrupted / "pictures" / ".step_8-0123456789ab.png"
    unfinished.write_text("half")
    (interrupted / ".notes-of-mine.txt").write_text("mine")
    train(parse_run(["--resume", "--out", str(interrupted)]))
    assert not unfinished.exists()
    assert (interrupted / ".notes-of-mine.txt").exists()


def test_the_best_checkpoint_is_never_seen_half_written(tmp_path, monkeypatch):
    def dies(checkpoint, path, storage_options=None):
        Path(path).write_bytes(b"half")
        raise OSError("power cut")

    best = tmp_path / "best.ckpt"
    best.write_bytes(b"the one before")
    monkeypatch.setattr(TorchCheckpointIO, "save_checkpoint", lambda self, *given: dies(*given))
    with pytest.raises(OSError, match="power cut"):
        WholeCheckpoints().save_checkpoint({}, best)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the one before"]
