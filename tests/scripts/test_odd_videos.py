"""Odd videos are read as ffmpeg shows them (`tools/odd_videos.py` does so with sixty)."""

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import odd_videos


def test_the_choice_is_seeded_and_holds_every_property():
    assert odd_videos.choose_cases(0, 60) == odd_videos.choose_cases(0, 60) != odd_videos.choose_cases(1, 60)
    assert len(set(odd_videos.choose_cases(0, 60))) == 60
    assert {case.prop for case in odd_videos.choose_cases(3, 60)} == set(odd_videos.PROPERTIES)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the files are written by the program ffmpeg")
def test_a_few_are_read_as_ffmpeg_shows_them(tmp_path: Path, monkeypatch, capsys):
    cases = [
        odd_videos.Case("pixels 4:3", "mpeg2", "vob"),
        odd_videos.Case("HLG", "hevc", "mov"),
        odd_videos.Case("BT.709", "h264", "avi"),
    ]
    monkeypatch.setattr(odd_videos, "choose_cases", lambda seed, count: cases)
    assert odd_videos.main(["--out", str(tmp_path)]) == 0, capsys.readouterr().out
    found = json.loads((tmp_path / "results.json").read_text())["files"]
    assert [one["auto"]["verdict"] for one in found] == ["read"] * 3
