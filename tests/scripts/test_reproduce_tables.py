"""Peers whose rows stay while the method's own are measured anew; walks that are rendered first."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from reproduce_tables import RENDERED_WALKS, keep_peers, render_walks


def written(path: Path, clips: str, **content: dict) -> Path:
    path.write_text(json.dumps({"clips": {clip: {} for clip in clips}, **content}))
    return path


def test_rows_of_peers_stay(tmp_path):
    before = written(tmp_path / "before", "ab", baselines={"COLMAP": {"mean": 1}}, settings={"commit": "old"})
    now = written(tmp_path / "now", "ab", baselines={}, settings={"commit": "new"})
    for _ in range(2):  # a second time they are still of that commit
        keep_peers(now, before)
        content = json.loads(now.read_text())
        assert content["baselines"] == {"COLMAP": {"mean": 1}}
        assert content["settings"] == {"commit": "new", "peers_commit": "old"}
        before = written(tmp_path / "before", "ab", baselines=content["baselines"], settings=content["settings"])


def test_peers_of_other_clips_do_not(tmp_path):
    before = written(tmp_path / "before", "ab", baselines={}, settings={"commit": "old"})
    with pytest.raises(SystemExit, match="other clips"):
        keep_peers(written(tmp_path / "now", "ac", baselines={}, settings={}), before)


def test_walks_are_rendered_once_and_never_taken_half(tmp_path, monkeypatch):
    codes, asked = [1, 0], []

    def run(command):
        asked.append(command)
        Path(command[-1]).mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, codes[len(asked) - 1])

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SystemExit, match="could not be rendered"):
        render_walks(tmp_path / "walks")
    assert not (tmp_path / "walks").exists()
    for _ in range(2):
        render_walks(tmp_path / "walks")
        assert (tmp_path / "walks").is_dir()
    assert len(asked) == 2
    assert set(RENDERED_WALKS) < set(asked[0])
