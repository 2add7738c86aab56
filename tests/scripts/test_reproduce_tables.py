"""Peers whose rows stay while the method's own are measured anew."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from reproduce_tables import keep_peers


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
