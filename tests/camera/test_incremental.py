"""Incremental registration: windows in scales of their own, some of them wrong, become one path."""

import pytest
import torch

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.incremental import SHARED, WINDOW, SolvedWindow, register_incrementally
from video_ae.camera.problem import SceneState
from video_ae.geometry.se3 import invert, rigid, so3_exp

FRAMES = 21


def truth():
    number = torch.arange(FRAMES, dtype=torch.float64)[:, None]
    world_from_camera = rigid(
        so3_exp(number * torch.tensor([0.01, 0.03, 0.0]).double()),
        number * torch.tensor([0.1, 0.0, 0.2]).double() + 0.05 * number.sin(),
    )
    generator = torch.Generator().manual_seed(0)
    depth = 0.5 + torch.rand(FRAMES, 12, generator=generator, dtype=torch.float64)
    return SceneState(invert(world_from_camera), depth, torch.tensor(4.0).double())


class Frames(FrameGraph):
    """As much of a frame graph as registration looks at."""

    def __init__(self, numbers):
        self.numbers, self.count = list(numbers), len(numbers)

    def part(self, frames):
        return Frames([self.numbers[i] for i in frames])


def window(graph, scale):
    """The true window, its first camera as the world, with depths `scale` times as large."""
    known = truth()
    poses = known.camera_from_world[graph.numbers]
    poses = poses @ invert(poses[:1])
    poses[:, :3, 3] *= scale
    return SceneState(poses, known.inverse_depth[graph.numbers] / scale, known.log_focal)


def relative(poses):
    poses = invert(poses)
    poses = invert(poses[:1]) @ poses
    poses[:, :3, 3] /= poses[-1, :3, 3].norm()
    return poses


@pytest.mark.parametrize("right", [0, 8, 13])
def test_one_right_window_carries_all_others(right):
    """Only the window that begins at `right` can be solved from nothing; the others come out wrong and cost more."""

    def solve(graph):
        good = graph.numbers == list(range(right, right + WINDOW))
        state = window(graph, 0.7)
        wrong = SceneState(state.camera_from_world.flip(0), state.inverse_depth, state.log_focal)
        return SolvedWindow(state, 0.05) if good else SolvedWindow(wrong, 0.3)

    def continue_from(graph, tail):
        assert len(tail.camera_from_world) == SHARED
        scale = 0.5 + 0.1 * (graph.numbers[0] % 4)  # every window ends up in a scale of its own
        return SolvedWindow(window(graph, scale), 0.06)

    found = register_incrementally(Frames(range(FRAMES)), solve, continue_from)
    torch.testing.assert_close(relative(found.camera_from_world), relative(truth().camera_from_world))
    ratio = found.inverse_depth / truth().inverse_depth
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio))
    torch.testing.assert_close(found.camera_from_world[0], torch.eye(4).double())


def test_a_lost_window_is_solved_from_nothing():
    asked = []

    def solve(graph):
        asked.append(graph.numbers)
        return SolvedWindow(window(graph, 1.0), 0.05 if graph.numbers[0] == 0 else 0.07)

    def continue_from(graph, tail):
        state, lost = window(graph, 1.0), graph.numbers[0] == 8
        wrong = SceneState(state.camera_from_world.flip(0), state.inverse_depth, state.log_focal)
        return SolvedWindow(wrong, 0.5) if lost else SolvedWindow(state, 0.06)

    found = register_incrementally(Frames(range(FRAMES)), solve, continue_from)
    assert asked[3:] == [list(range(8, 16))]  # after the three that look for a seed
    torch.testing.assert_close(relative(found.camera_from_world), relative(truth().camera_from_world))
