"""Windows: a known trajectory is put together from pieces of any scale; standing frames are left out and held."""

from itertools import pairwise

import pytest
import torch

from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.submaps import common_focal, hold, join_windows, moving_frames, select_frames, window_parts
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.types import CameraEstimate, Cameras


def make_estimate(frames: int, focal: float = 0.8) -> CameraEstimate:
    generator = torch.Generator().manual_seed(0)
    twists = torch.randn(frames, 6, generator=generator) * 0.1
    twists[0] = 0
    depth = 0.5 + torch.rand(1, frames, 3, 4, generator=generator)
    depth = depth / depth.mean()
    intrinsics = pinhole_intrinsics(torch.full((1, frames), focal), 64, 48)
    covariance = torch.eye(6).expand(1, frames, 6, 6) * 1e-4
    return CameraEstimate(Cameras(se3_exp(twists)[None], intrinsics), depth, torch.ones(1, frames), covariance, ((),))


def rescaled(estimate: CameraEstimate, scale: float) -> CameraEstimate:
    poses = estimate.cameras.world_from_camera.clone()
    poses[..., :3, 3] *= scale
    depth = estimate.inverse_depth / scale
    return CameraEstimate(
        Cameras(poses, estimate.cameras.intrinsics), depth, estimate.confidence, estimate.covariance, ((),)
    )


@pytest.mark.parametrize(
    ("frames", "length", "overlap"), [(5, 8, 2), (8, 8, 2), (9, 8, 2), (50, 24, 8), (300, 24, 8), (8, 8, 8)]
)
def test_windows_cover_the_video_and_overlap(frames, length, overlap):
    parts = window_parts(frames, length, overlap)
    assert parts[0].start == 0
    assert parts[-1].stop == frames
    assert all(part.stop - part.start == min(length, frames) for part in parts)
    assert all(a.stop - b.start >= overlap for a, b in pairwise(parts))


def test_pieces_of_any_scale_join_to_the_whole():
    whole = make_estimate(20)
    parts = window_parts(20, 8, 3)
    pieces = [rescaled(select_frames(whole, 0, part), 0.5 + i) for i, part in enumerate(parts)]
    joined = join_windows(pieces, parts)
    torch.testing.assert_close(joined.cameras.world_from_camera, whole.cameras.world_from_camera, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(joined.inverse_depth, whole.inverse_depth, atol=1e-4, rtol=1e-4)
    spread = joined.covariance[0].diagonal(dim1=-2, dim2=-1).sum(-1)
    assert spread[-1] > 1.5 * spread[0]  # uncertainty adds up from window to window
    first, second, last = joined.confidence[0, [2, 7, 19]]
    assert first > second > last  # and confidence, though each window's own begins at 1, does not begin again


def test_selected_frames_begin_at_their_own_world_and_keep_relative_poses():
    whole = make_estimate(6)
    part = select_frames(whole, 0, slice(2, 5)).cameras.world_from_camera[0]
    poses = whole.cameras.world_from_camera[0]
    torch.testing.assert_close(part[0], torch.eye(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(invert(part[1]) @ part[2], invert(poses[3]) @ poses[4], atol=1e-5, rtol=1e-5)


def test_one_wrong_focal_length_does_not_decide():
    assert common_focal([make_estimate(3, f) for f in (0.8, 0.81, 3.0)]) == pytest.approx(0.81)


def test_standing_frames_are_left_out_and_held():
    texture = torch.rand(1, 3, 12, 24, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(texture, size=(48, 96), mode="bicubic")[0].clamp(0, 1)
    offsets = [0, 2, 4, 4, 4, 6]
    frames = torch.stack([wide[..., x : x + 64] for x in offsets])
    kept, holder = moving_frames(FrameGraph(frames, LocalContrast(), 3, 4))
    assert kept == [0, 1, 2, 5]
    assert holder.tolist() == [0, 1, 2, 2, 2, 3]
    estimate = hold(make_estimate(4), holder)
    assert torch.equal(estimate.cameras.world_from_camera[0, 2], estimate.cameras.world_from_camera[0, 4])
