"""A pose graph over Sim(3): what loops contradict is spread over the path."""

import math

import torch

from video_ae.camera.pose_graph import (
    RelativePoses,
    edge_residuals,
    optimise_pose_graph,
    similarity,
    similarity_log,
    split_similarity,
)
from video_ae.geometry.se3 import invert, rigid, rotation_angle, se3_exp, so3_exp


def circle(frames: int) -> torch.Tensor:
    """Once round, looking ahead; the last frame stands where the first does."""
    angle = torch.linspace(0, 2 * math.pi, frames, dtype=torch.float64)
    turn = so3_exp(torch.stack([0 * angle, -angle, 0 * angle], 1))
    return rigid(turn, 5 * torch.stack([1 - angle.cos(), 0 * angle, angle.sin()], 1))


def chained(steps: torch.Tensor) -> torch.Tensor:
    """The path from its first frame on that has these steps."""
    path = [torch.eye(4, dtype=steps.dtype)]
    for step in steps:
        path.append(path[-1] @ torch.linalg.inv(step))
    return torch.stack(path)


def edges(source: list[int], target: list[int], poses: torch.Tensor) -> RelativePoses:
    return RelativePoses(torch.tensor(source), torch.tensor(target), poses)


def test_a_loop_takes_back_the_drift_of_rotation_position_and_scale():
    truth, numbers = circle(60), list(range(60))
    drift = similarity(se3_exp(torch.tensor([0.0, 0.004, 0.0, 0.0, 0.0, 0.002]).double()), torch.tensor(1.005).double())
    steps = drift @ invert(truth[1:]) @ truth[:-1]
    start = chained(steps)
    assert (start - truth)[-1, :3, 3].norm() > 1.5
    loop = (invert(truth[-1:]) @ truth[:1]).double()
    graph = edges([*numbers[:-1], 0], [*numbers[1:], 59], torch.cat([steps, loop]))
    found = optimise_pose_graph(start, graph)
    assert (found - truth)[:, :3, 3].norm(dim=1).max() < 0.1  # of a radius of 5
    pose, scale = split_similarity(found)
    assert rotation_angle(pose[:, :3, :3].mT @ truth[:, :3, :3]).max() < 0.02
    assert (scale - 1).abs().max() < 0.02
    # Each edge gives way a little, the loop no more than the others.
    assert edge_residuals(found, graph).abs().max() < 0.006


def test_edges_that_agree_move_nothing():
    truth = similarity(circle(12), torch.linspace(1, 2, 12).double())
    numbers = list(range(12))
    steps = torch.linalg.inv(truth[1:]) @ truth[:-1]
    loop = torch.linalg.inv(truth[11:]) @ truth[2:3]
    graph = edges([*numbers[:-1], 2], [*numbers[1:], 11], torch.cat([steps, loop]))
    torch.testing.assert_close(optimise_pose_graph(truth, graph), truth)


def test_a_similarity_and_its_parts():
    pose = se3_exp(torch.tensor([0.1, -0.2, 0.3, 1.0, 2.0, 3.0]))
    point = torch.tensor([1.0, -1.0, 2.0])
    enlarged = similarity(pose, torch.tensor(2.0))
    torch.testing.assert_close(enlarged[:3, :3] @ point + enlarged[:3, 3], pose[:3, :3] @ (2 * point) + pose[:3, 3])
    found, scale = split_similarity(enlarged)
    torch.testing.assert_close(found, pose)
    torch.testing.assert_close(scale, torch.tensor(2.0))
    expected = torch.tensor([0.1, -0.2, 0.3, *pose[:3, 3].tolist(), math.log(2)])
    torch.testing.assert_close(similarity_log(enlarged), expected)
