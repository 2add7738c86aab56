"""The hard protocol: each effect beside the same walk without it, and focal lengths of lenses as they were filmed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_fakes import FakeSource, make_clip
from test_evaluation_methods import CPU, SpyModel

from video_ae.errors import UserError
from video_ae.evaluation.methods import ModelMethods
from video_ae.evaluation.metrics.masks import mask_overlap
from video_ae.evaluation.metrics.pose_errors import focal_error
from video_ae.evaluation.protocols.base import PoseEstimate
from video_ae.evaluation.protocols.hard_protocol import effect_of, run_hard_protocol
from video_ae.evaluation.protocols.pose_protocol import PosesSettings
from video_ae.types import Cameras, LensOffset

NAMES = ["a", "a+shake", "a+shake+readout", "b", "b+shake", "b+shake+readout"]
NOISE = {"none": 0.01, "shake": 0.01, "shake+readout": 0.03, "person": 0.01}


def noisy(source):
    """The true cameras with noise along one direction, more of it the harder the effect."""
    known = {clip.name: clip.cameras.to(torch.float64) for clip in source.clips}

    def estimate(clip):
        true = known[clip.name]
        poses = true.world_from_camera.clone()
        poses[::2, 0, 3] += NOISE[effect_of(clip.name)]
        return PoseEstimate(Cameras(poses, true.intrinsics))

    return estimate


def test_an_effect_is_measured_beside_the_walk_without_it():
    source = FakeSource()
    source.clips = [make_clip(name, 12) for name in NAMES]  # one path
    result = run_hard_protocol(source, Path(), {"noisy": noisy(source)}, PosesSettings())
    ratios = {name: row["error_ratio"] for name, row in result.result.clips.items()}
    assert ratios["a"] is None
    assert ratios["a+shake"] == pytest.approx(1, abs=0.01)
    assert ratios["b+shake+readout"] == pytest.approx(3, rel=0.05)
    assert list(result.result.groups) == ["none", "shake", "shake+readout"]
    assert result.result.groups["shake+readout"]["error_ratio"] == pytest.approx(3, rel=0.05)


def test_masks_are_compared_where_the_truth_is_known(tmp_path):
    source = FakeSource()
    source.clips = [make_clip("a", 12), make_clip("a+person", 12)]  # frames of 20 x 16
    moving = np.zeros((12, 16, 24), bool)
    moving[:, 4:12, :8] = True
    (tmp_path / "masks").mkdir()
    np.savez_compressed(tmp_path / "masks" / "a+person.npz", moving=np.packbits(moving, -1))
    static = torch.ones(12, 16, 24)
    static[:, 4:12, :4] = 0

    def method(clip):
        return replace(noisy(source)(clip), static=static)

    moved = {"moved": method, "peer": noisy(source)}
    result = run_hard_protocol(source, tmp_path, moved, PosesSettings())
    assert result.result.clips["a"]["mask_iou"] is None
    assert result.result.clips["a+person"]["mask_iou"] == pytest.approx(0.5)
    assert "mask_iou" not in result.baselines["peer"].clips["a+person"]
    np.savez_compressed(tmp_path / "masks" / "a+person.npz", other=moving)
    with pytest.raises(UserError, match="not a mask file"):
        run_hard_protocol(source, tmp_path, moved, PosesSettings())


def test_overlap_of_masks():
    moving = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert mask_overlap(None, moving) is None
    assert mask_overlap(torch.zeros(1, 4, 4), moving) == 0
    moving[:, :, :2] = True
    assert mask_overlap(None, moving) == 0
    assert mask_overlap(torch.tensor([[[0.0, 1.0]]]), moving) == 1


def test_the_worst_frame_counts_for_the_focal_length():
    true = torch.tensor([[0.5, 0.5, 0.5, 0.5], [1.0, 1.0, 0.5, 0.5]])
    found = torch.tensor([[0.55, 0.5, 0.5, 0.5], [0.8, 1.0, 0.5, 0.5]])
    assert focal_error(found, true) == pytest.approx(0.2)
    assert focal_error(torch.zeros(2, 4), true) is None


class BentModel(SpyModel):
    """Finds a lens once, and afterwards the focal length that the straight frames then have, times two."""

    def find_lens(self, clip, options=None):
        self.focals.append("lens")
        return LensOffset(0.1, (0.0, 0.0), 0.6) if self.focals == ["lens"] else None

    def find_cameras(self, clip, options):
        found = super().find_cameras(clip, options)
        cameras = found.cameras
        factors = torch.tensor([2.0, 2.0, 1.0, 1.0])
        return replace(found, cameras=Cameras(cameras.world_from_camera, cameras.intrinsics * factors))


def test_the_focal_length_is_that_of_the_lens():
    from video_ae.scene.source import open_source
    from video_ae.scene.undistort import UndistortedReader

    clip = make_clip("a", 4)
    straight = UndistortedReader.correcting(open_source(clip), LensOffset(0.1, (0.0, 0.0), 0.6)).focal_over_width
    assert straight > 0.61  # cropped to what the lens shows everywhere
    found = ModelMethods(BentModel(), CPU, 0).reconstruct_poses(clip).cameras.intrinsics
    # SpyModel finds 0.8, BentModel makes 1.6 of it; a straight frame of `straight` is a lens of 0.6.
    torch.testing.assert_close(found[:, 0], torch.full((4,), 1.6 * 0.6 / straight))


def test_what_moves_is_masked_where_it_was_filmed(monkeypatch):
    def find_cameras(model, clip, options):
        static = torch.ones(4, 16, 24)
        static[:, 4:12, 14:] = 0
        return replace(SpyModel.find_cameras(model, clip, options), static=static)

    monkeypatch.setattr(BentModel, "find_cameras", find_cameras)
    found = ModelMethods(BentModel(), CPU, 0).reconstruct_poses(make_clip("a", 4))
    moving = torch.zeros(4, 16, 24, dtype=torch.bool)
    moving[:, 4:12, 14:] = True
    assert found.static[:, 4, 14].max() < 1  # a weak lens moves an edge by less than a cell
    assert mask_overlap(found.static, moving) > 0.8


def test_without_a_lens_the_frames_are_those_of_the_clip():
    found = ModelMethods(SpyModel(), CPU, 0).reconstruct_poses(make_clip("a", 4)).cameras
    torch.testing.assert_close(found.intrinsics[0], torch.tensor([0.8, 1.0, 0.5, 0.5]))
    torch.testing.assert_close(found.centers[:, 0], torch.arange(4.0))
