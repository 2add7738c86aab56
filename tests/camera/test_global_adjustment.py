"""Keyframes of a long video: spread by what they see, tied together by loop closures, and the other frames follow."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.global_adjustment import (
    close_loops,
    covisible_keyframes,
    loops_are_closed,
    propagate_corrections,
)
from video_ae.camera.loop_closure import find_loop_closures
from video_ae.camera.pose_graph import RelativePoses
from video_ae.camera.problem import PointGrid, SceneState, Submap
from video_ae.camera.submaps import scale_poses
from video_ae.geometry.se3 import invert, se3_exp

GRID = PointGrid(6, 8, 64, 48)


def submap_of(twists: torch.Tensor) -> Submap:
    """A camera moving along exp(twists) that sees everything at depth 1."""
    frames = len(twists)
    state = SceneState(invert(se3_exp(twists)), torch.ones(frames, 48), torch.tensor(0.8 * 64).log())
    covariance = torch.eye(6) * 1e-4 * torch.arange(frames)[:, None, None]
    return Submap(state, GRID, covariance, torch.ones(frames))


def walk(frames: int, step: float = 0.01) -> torch.Tensor:
    return torch.arange(frames)[:, None] * torch.tensor([0.0, 0.1 * step, 0.0, step, 0.0, 0.5 * step])


def rotate(frames: int, step: float) -> torch.Tensor:
    return torch.arange(frames)[:, None] * torch.tensor([0.0, step, 0.0, 0.0, 0.0, 0.0])


def test_keyframes_are_spread_evenly_and_end_with_the_video():
    keyframes = covisible_keyframes(submap_of(walk(193, 0.001)))
    assert keyframes[0] == 0
    assert keyframes[-1] == 192
    assert {b - a for a, b in pairwise(keyframes)} == {5, 2}  # 193 / 48, and the rest


def test_where_the_camera_rotates_fast_keyframes_stand_closer():
    slow, fast = rotate(100, 0.002), rotate(40, 0.25)  # radians a frame; the view is 1.1 wide
    keyframes = covisible_keyframes(submap_of(torch.cat([slow, slow[-1:] + fast])))
    assert max(b - a for a, b in pairwise(keyframes) if b > 102) <= 2
    assert min(b - a for a, b in pairwise(keyframes) if b < 98) >= 3


def test_no_keyframes_where_too_many_would_be_needed():
    assert covisible_keyframes(submap_of(rotate(120, 0.5))) == []


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_frames_follow_keyframes_that_undo_drift(scale):
    """The path rotates a little too much from frame to frame, and its scale may be another one."""
    truth = submap_of(walk(41))
    expected = truth.world_from_camera
    wrong = scale_poses(se3_exp(rotate(41, 0.004)) @ expected, torch.tensor(scale))
    state = replace(truth.state, camera_from_world=invert(wrong), inverse_depth=truth.state.inverse_depth / scale)
    keyframes = list(range(0, 41, 8))
    whole = replace(truth, state=state, notes=("a note",))
    found = propagate_corrections(whole, keyframes, truth.frames(keyframes))
    poses = found.world_from_camera
    torch.testing.assert_close(poses[keyframes], expected[keyframes], atol=1e-4, rtol=0)
    before = (wrong[:, :3, 3] / scale - expected[:, :3, 3]).norm(dim=-1).max()
    after = (poses[:, :3, 3] - expected[:, :3, 3]).norm(dim=-1).max()
    assert after < 0.05 * before
    torch.testing.assert_close(found.state.inverse_depth, truth.state.inverse_depth, atol=1e-4, rtol=0)
    assert found.notes == ("a note",)


def test_a_loop_takes_back_drift_of_the_path_and_of_its_unit():
    truth = submap_of(torch.cat([walk(40, 0.03), walk(40, 0.03).flip(0)]))  # there and back again
    grows = 1.005 ** torch.arange(80)  # the same metre is ever more units
    path, states = truth.world_from_camera, truth.state
    steps = scale_poses(invert(path[:-1]) @ path[1:], grows[:-1])
    drifted = [path[0]]
    for step in se3_exp(torch.tensor([0.0, 0.001, 0.0, 0.0, 0.0, 0.0])) @ steps:
        drifted.append(drifted[-1] @ step)
    state = replace(
        states, camera_from_world=invert(torch.stack(drifted)), inverse_depth=1 / grows[:, None].repeat(1, 48)
    )
    scale = grows[[77]] / grows[[2]]
    loop = RelativePoses(torch.tensor([2]), torch.tensor([77]), torch.diag(torch.tensor([*scale.expand(3), 1.0]))[None])
    whole = replace(truth, state=state)
    assert not loops_are_closed(whole, loop, 0.05)
    closed = close_loops(whole, loop)
    assert loops_are_closed(closed, loop, 0.02)
    centres = closed.world_from_camera[:, :3, 3] * closed.state.inverse_depth.mean()
    assert (centres[2] - centres[77]).norm() < 0.01
    spread = closed.state.inverse_depth.mean(1)
    assert spread.max() / spread.min() < 1.03  # it was 1.48
    nothing = RelativePoses(loop.source[:0], loop.target[:0], loop.target_from_source[:0])
    assert loops_are_closed(whole, nothing, 0.0)


def test_frames_between_are_as_sure_as_the_keyframes_around_them():
    truth = submap_of(rotate(9, 0.0))  # nothing moves, so no covariance is carried over a lever
    adjusted = replace(truth.frames([0, 4, 8]), confidence=torch.tensor([1.0, 0.8, 0.6]))
    found = propagate_corrections(truth, [0, 4, 8], adjusted)
    torch.testing.assert_close(found.covariance, truth.covariance)  # grows evenly from frame to frame
    torch.testing.assert_close(found.confidence, torch.linspace(1.0, 0.6, 9))


def test_corrections_keep_the_focal_length_of_the_keyframes():
    truth = submap_of(walk(9))
    adjusted = truth.frames([0, 4, 8])
    finer = replace(adjusted, grid=replace(GRID, width=96, height=72))  # the same number of pixels is a shorter lens
    found = propagate_corrections(truth, [0, 4, 8], finer)
    torch.testing.assert_close(found.focal_over_width, finer.focal_over_width)


def test_loop_closures_are_pairs_that_meet_again():
    there = walk(8, 0.3)
    twists = torch.cat([there, there.flip(0)])  # there and back again
    frames = torch.rand(16, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    graph = FrameGraph(frames, LocalContrast(), levels=2, step=4)
    state = SceneState(invert(se3_exp(twists)), torch.ones(16, len(graph.points)), torch.tensor(25.0).log())
    loops = find_loop_closures(graph, state, 5, 3)
    assert loops.shape == (2, 6)
    assert torch.equal(loops[:, 0::2], loops[:, 1::2].flip(0))  # each pair next to its reverse
    assert (loops.sum(0) == 15).all()  # frame i was where frame 15 - i is
    away = SceneState(invert(se3_exp(walk(16, 2.0))), state.inverse_depth, state.log_focal)
    assert find_loop_closures(graph, away, 5, 3).shape == (2, 0)
    assert len(graph.guided_correspondences((1,), state, others=loops).source) == 2 * 15 + 6
