"""Incremental registration: windows in scales of their own, some of them wrong, become one path."""

import pytest
import torch

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.incremental import SolvedWindow, register_incrementally, window_size
from video_ae.camera.problem import Correspondences, SceneState
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


def costs(state, cost):
    """A solution that costs so much."""
    none = torch.zeros(0, dtype=torch.long)
    return SolvedWindow(
        state, Correspondences(none, none, torch.zeros(0, 2), torch.zeros(0, 0, 2), torch.zeros(0, 0, 2, 2)), cost
    )


def wrong(state):
    return SceneState(state.camera_from_world.flip(0), state.inverse_depth, state.log_focal)


def judge(graph, state):
    """Right states of all frames cost 0.05, others 0.3."""
    off = relative(state.camera_from_world) - relative(truth().camera_from_world[graph.numbers])
    return costs(state, 0.05 if off.abs().max() < 1e-6 else 0.3)


def relative(poses):
    poses = invert(poses)
    poses = invert(poses[:1]) @ poses
    poses[:, :3, 3] /= poses[-1, :3, 3].norm()
    return poses


@pytest.mark.parametrize(("frames", "right"), [(21, 0), (21, 8), (21, 13), (12, 0), (12, 4), (12, 8), (8, 4), (5, 1)])
def test_one_right_window_carries_all_others(frames, right):
    """Only the window that begins at `right` can be solved from nothing; the others come out wrong and cost more."""
    size = window_size(frames)

    def solve(graph):
        good = graph.numbers == list(range(right, right + size.frames))
        state = window(graph, 0.7)
        return costs(state, 0.05) if good else costs(wrong(state), 0.3)

    def continue_from(graph, tail):
        assert len(tail.camera_from_world) == size.shared
        scale = 0.5 + 0.1 * (graph.numbers[0] % 4)  # every window ends up in a scale of its own
        return costs(window(graph, scale), 0.06)

    found = register_incrementally(Frames(range(frames)), solve, continue_from, judge).state
    true = truth().select(slice(0, frames))
    torch.testing.assert_close(relative(found.camera_from_world), relative(true.camera_from_world))
    ratio = found.inverse_depth / true.inverse_depth
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio))
    torch.testing.assert_close(found.camera_from_world[0], torch.eye(4).double())


def test_a_lost_window_is_solved_from_nothing():
    asked = []

    def solve(graph):
        asked.append(graph.numbers)
        return costs(window(graph, 1.0), 0.05 if graph.numbers[0] == 0 else 0.07)

    def continue_from(graph, tail):
        state, lost = window(graph, 1.0), graph.numbers[0] == 8
        return costs(wrong(state), 0.5) if lost else costs(state, 0.06)

    found = register_incrementally(Frames(range(FRAMES)), solve, continue_from, judge).state
    assert asked[3:] == [list(range(8, 16))]  # after the three that look for a seed
    torch.testing.assert_close(relative(found.camera_from_world), relative(truth().camera_from_world))


def test_a_seed_that_costs_least_and_carries_nothing_right_is_followed_by_the_next():
    def solve(graph):
        state = window(graph, 1.0)
        return costs(wrong(state), 0.04) if graph.numbers[0] == 4 else costs(state, 0.05 + 0.01 * graph.numbers[0])

    followed = []

    def continue_from(graph, tail):
        misled = 4 in graph.numbers and not followed
        state = window(graph, 1.0)
        return costs(wrong(state) if misled else state, 0.06)

    def judged(graph, state):
        followed.append(judge(graph, state))
        return followed[-1]

    found = register_incrementally(Frames(range(12)), solve, continue_from, judged)
    assert [one.cost for one in followed] == [0.3, 0.05]
    assert found is followed[1]
