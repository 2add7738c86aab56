"""A disk that becomes full: one sentence, nothing half-written, and an earlier result as it was.

A limit for the size of files stands for the disk; `tools/fill_disk.py` tries all commands on a small one.
"""

import re
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
from wave_walk import write_walk

from video_ae.cli.main import main

FEW = "--weights weights.safetensors --frames 3 --refine 0"
COMMANDS = [
    f"reconstruct walk.mp4 {FEW} --export none --out OUT",
    "render done --path orbit --frames 3 --out OUT.mp4",
    "export done --to tum colmap depth nerfstudio --out OUT",
    f"stabilize walk.mp4 {FEW} --out OUT.mp4",
    f"interpolate walk.mp4 {FEW} --out OUT.mp4",
    f"follow --motion walk.mp4 --scene walk.mp4 {FEW} --out OUT.mp4",
    "prepare videos --size 32 --out OUT",
    f"latent --weights {Path(__file__).parents[1] / 'golden' / 'before' / 'plain'} --data videos --out OUT",
]
ROOM = 1000  # bytes a file
KEPT = r"prepare/\.parts|\.reconstruct-unfinished"  # what `prepare` and `reconstruct` go on with


@contextmanager
def room(size: int):
    """No file can become larger meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def content() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    write_walk(root, 3)
    (root / "videos").mkdir()
    (root / "videos" / "walk.mp4").hardlink_to(root / "walk.mp4")
    return root


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
def test_one_sentence_and_nothing_half_written(command, inputs, monkeypatch, capsys):
    monkeypatch.chdir(inputs)
    if " done " in command and not Path("done").exists():
        assert main(f"reconstruct walk.mp4 {FEW} --export none --out done".split()) == 0
    capsys.readouterr()
    before = content()
    with room(ROOM):
        assert main(command.replace("OUT", command.split()[0]).split()) == 2
    said = capsys.readouterr().err
    assert "the disk is full" in said
    assert said.count("video-ae: ") == 1
    assert [path for path in content().keys() - before.keys() if not re.match(KEPT, str(path))] == []
    assert content().items() >= before.items()
