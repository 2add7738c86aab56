"""What moves by itself stands out before anything is solved."""

import torch

from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph, frame_pairs
from video_ae.camera.moving_objects import UnguidedFlow
from video_ae.camera.problem import Correspondences, SceneState
from video_ae.camera.reprojection import predict_points
from video_ae.camera.trajectory_subspace import trajectory_errors
from video_ae.geometry.se3 import se3_exp

COUNT, ROWS, COLUMNS, STEP, FOCAL = 8, 16, 20, 4, 70.0


def blank_graph() -> FrameGraph:
    return FrameGraph(torch.zeros(COUNT, 3, ROWS * STEP, COLUMNS * STEP), LocalContrast(), 1, STEP)


def flow_of(moving: torch.Tensor, noise: float = 0.05) -> UnguidedFlow:
    """Matches of a camera that goes ahead, aside and turns before random depths; some points walk by themselves."""
    graph, random = blank_graph(), torch.Generator().manual_seed(0)
    twist = torch.tensor([0.004, 0.012, 0.006, 0.03, -0.02, 0.01])
    poses = torch.stack([se3_exp(number * twist) for number in range(COUNT)])
    depth = 0.3 + 1.4 * torch.rand(COUNT, ROWS * COLUMNS, generator=random)
    source, target = frame_pairs(COUNT, (1, 2, 4))
    seen = predict_points(SceneState(poses, depth, torch.tensor(FOCAL).log()), graph.points, source, target).image
    gap = (target - source)[:, None, None].float()
    seen = seen + moving.flatten()[:, None] * gap * torch.tensor([0.55, 0.83])  # not along epipolar lines
    seen = seen + noise * torch.randn(seen.shape, generator=random)
    information = 40 * torch.eye(2).expand(*seen.shape, 2)
    return UnguidedFlow(
        graph, ((list(range(COUNT)), Correspondences(source, target, graph.points, seen, information)),)
    )


def test_a_still_scene_of_any_depth_agrees():
    errors = trajectory_errors(flow_of(torch.zeros(ROWS, COLUMNS)))
    assert errors.shape == (COUNT, ROWS, COLUMNS)
    assert errors.median() < 0.2 / 64


def test_somebody_before_a_third_of_the_image_stands_out():
    moving = torch.zeros(ROWS, COLUMNS)
    moving[4:, 6:15] = 1
    errors = trajectory_errors(flow_of(moving))
    inside = moving.bool()
    within = torch.zeros_like(inside)
    within[6:-1, 8:13] = True
    assert moving.mean() > 0.3
    assert errors[:, within].quantile(0.1) > 2 * errors[:, ~inside].quantile(0.8)


def test_two_frames_hardly_tell():
    flow = flow_of(torch.ones(ROWS, COLUMNS))
    frames, matches = flow.stretches[0]
    pair = (matches.source < 2) & (matches.target < 2)
    errors = trajectory_errors(UnguidedFlow(flow.graph.part([0, 1]), ((frames[:2], matches.select(pair)),)))
    assert errors.max() < 0.5 / 64
