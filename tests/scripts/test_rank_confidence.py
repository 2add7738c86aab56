"""Clips that failed, and confidence that should say so."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from rank_confidence import missed, read_rows


@pytest.mark.parametrize(("confidence", "found"), [(0.2, []), (0.85, [(0.4, 0.85, "poses, lost")])])
def test_a_clip_that_failed_with_confidence_is_found(confidence, found, tmp_path):
    clips = {f"right {number}": {"ate_rmse_over_extent": 0.01, "confidence": 0.8 + number / 100} for number in range(9)}
    clips["lost"] = {"ate_rmse_over_extent": 0.4, "confidence": confidence}
    clips["not posed"] = {"ate_rmse_over_extent": None, "confidence": None}
    (tmp_path / "poses.json").write_text(json.dumps({"clips": clips}))
    rows = read_rows([tmp_path / "poses.json"])
    assert len(rows) == 10
    assert missed(rows) == found
