"""Peers: absent without their package, and never silent about a clip they cannot do."""

import importlib.util

import pytest
import torch
from evaluation_fakes import FakeSource, make_clip

from video_ae.errors import UserError
from video_ae.evaluation.baselines import POSE_BASELINES, straight_line
from video_ae.evaluation.peers import installed
from video_ae.evaluation.protocols.poses import evaluate_poses


def test_no_peer_without_its_package(monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    assert installed.installed_peers() == {}


@pytest.mark.skipif(importlib.util.find_spec("pycolmap") is None, reason="pycolmap is not installed")
def test_colmap_without_a_model_is_counted():
    peers = installed.installed_peers()
    assert set(peers) == {"COLMAP", "COLMAP, easy"}
    clip = make_clip("plain", 4)
    plain = clip.__class__(**{**vars(clip), "frames": torch.full_like(clip.frames, 0.5)})
    with pytest.raises(UserError, match="no model"):
        peers["COLMAP"].run(plain)
    source = FakeSource()
    source.clips = [plain]
    result = evaluate_poses(source, straight_line, baselines=POSE_BASELINES | {"COLMAP": peers["COLMAP"]})
    row = result.baselines["COLMAP"].clips["plain"]
    assert (row["posed"], row["ate_rmse_over_extent_posed_only"]) == (0, None)
    assert row["ate_rmse_over_extent"] == pytest.approx(1)
