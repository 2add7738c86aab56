"""Anchors of a long video: spread by what they see, tied together by loops, and the frames between go with them."""

from itertools import pairwise

import pytest
import torch

from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.global_adjustment import anchor_frames, follow_anchors
from video_ae.camera.problem import SceneState
from video_ae.camera.submaps import scaled, select_frames
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.types import CameraEstimate, Cameras


def estimate_of(twists: torch.Tensor) -> CameraEstimate:
    """A camera moving along exp(twists) that sees everything at depth 1."""
    frames = len(twists)
    intrinsics = pinhole_intrinsics(torch.full((1, frames), 0.8), 64, 48)
    covariance = (torch.eye(6) * 1e-4 * torch.arange(frames)[:, None, None])[None]
    depth = torch.ones(1, frames, 6, 8)
    return CameraEstimate(Cameras(se3_exp(twists)[None], intrinsics), depth, torch.ones(1, frames), covariance, ((),))


def walk(frames: int, step: float = 0.01) -> torch.Tensor:
    return torch.arange(frames)[:, None] * torch.tensor([0.0, 0.1 * step, 0.0, step, 0.0, 0.5 * step])


def turn(frames: int, step: float) -> torch.Tensor:
    return torch.arange(frames)[:, None] * torch.tensor([0.0, step, 0.0, 0.0, 0.0, 0.0])


def poses_of(estimate: CameraEstimate) -> torch.Tensor:
    return estimate.cameras.world_from_camera[0]


def test_anchors_are_spread_evenly_and_end_with_the_video():
    anchors = anchor_frames(estimate_of(walk(193, 0.001)))
    assert anchors[0] == 0
    assert anchors[-1] == 192
    assert {b - a for a, b in pairwise(anchors)} == {5, 2}  # 193 / 48, and the rest


def test_where_the_camera_turns_fast_anchors_stand_closer():
    slow, fast = turn(100, 0.002), turn(40, 0.25)  # radians a frame; the view is 1.1 wide
    anchors = anchor_frames(estimate_of(torch.cat([slow, slow[-1:] + fast])))
    assert max(b - a for a, b in pairwise(anchors) if b > 102) <= 2
    assert min(b - a for a, b in pairwise(anchors) if b < 98) >= 3


def test_no_anchors_where_too_many_would_be_needed():
    assert anchor_frames(estimate_of(turn(120, 0.5))) == []


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_frames_follow_anchors_that_undo_drift(scale):
    """The path turns a little too much from frame to frame, and its scale may be another one."""
    truth = estimate_of(walk(41))
    drift = se3_exp(turn(41, 0.004))
    wrong = scaled(drift @ poses_of(truth), torch.tensor(scale))
    intrinsics = truth.cameras.intrinsics
    whole = CameraEstimate(
        Cameras(wrong[None], intrinsics),
        truth.inverse_depth / scale,
        truth.confidence,
        truth.covariance,
        (("a note",),),
    )
    anchors = list(range(0, 41, 8))
    found = follow_anchors(whole, anchors, select_frames(truth, 0, anchors))
    expected = poses_of(truth)
    torch.testing.assert_close(poses_of(found)[anchors], expected[anchors], atol=1e-4, rtol=0)
    before = (wrong[:, :3, 3] / scale - expected[:, :3, 3]).norm(dim=-1).max()
    after = (poses_of(found)[:, :3, 3] - expected[:, :3, 3]).norm(dim=-1).max()
    assert after < 0.05 * before
    torch.testing.assert_close(found.inverse_depth, truth.inverse_depth, atol=1e-4, rtol=0)
    assert found.notes == (("a note",),)


def test_frames_between_are_as_sure_as_the_anchors_around_them():
    truth = estimate_of(turn(9, 0.0))  # nothing moves, so nothing is carried over a lever
    settled = select_frames(truth, 0, [0, 4, 8])
    settled.confidence[:] = torch.tensor([1.0, 0.8, 0.6])
    found = follow_anchors(truth, [0, 4, 8], settled)
    torch.testing.assert_close(found.covariance[0], truth.covariance[0])  # grows evenly from frame to frame
    torch.testing.assert_close(found.confidence[0], torch.linspace(1.0, 0.6, 9))


def test_loops_are_pairs_that_meet_again():
    there = walk(8, 0.3)
    twists = torch.cat([there, there.flip(0)])  # there and back again
    frames = torch.rand(16, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    graph = FrameGraph(frames, LocalContrast(), levels=2, step=4)
    state = SceneState(invert(se3_exp(twists)), torch.ones(16, len(graph.points)), torch.tensor(25.0).log())
    loops = graph.loop_pairs(state, 5, 3)
    assert loops.shape == (2, 6)
    assert torch.equal(loops[:, 0::2], loops[:, 1::2].flip(0))  # each pair next to its reverse
    assert (loops.sum(0) == 15).all()  # frame i was where frame 15 - i is
    away = SceneState(invert(se3_exp(walk(16, 2.0))), state.inverse_depth, state.log_focal)
    assert graph.loop_pairs(away, 5, 3).shape == (2, 0)
    assert len(graph.guided_matches((1,), state, loops=3).source) == 2 * 15 + 6
