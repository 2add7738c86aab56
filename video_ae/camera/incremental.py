"""Incremental registration: the best short seed window, extended frame by frame in both directions.

Where a wall fills the image, two motions explain a few frames almost equally well (a plane's two-fold ambiguity), and a
long clip holds so many such frames that no single initialization is right in all of them. Short windows are mostly
right, and the right ones explain wide pairs better, so that the best of them can carry its neighbours (as incremental
structure from motion does; Schoenberger and Frahm 2016). A wrong seed shows in what it carries: the whole costs more
than the seed does, and the next one is tried.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.problem import Correspondences, SceneState
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.se3 import invert


@dataclass(frozen=True)
class WindowSize:
    """How long the windows of a clip are.

    Args:
        frames: of a window.
        shared: how many of them it has in common with the one before.
    """

    frames: int
    shared: int


_USUAL, _SHORT = WindowSize(8, 4), WindowSize(4, 2)


def is_short(frames: int) -> bool:
    """Whether a clip has too few frames for windows of the usual size to begin in different parts of it.

    Args:
        frames: of the clip.
    """
    return frames <= _USUAL.frames + _USUAL.shared


def window_size(frames: int) -> WindowSize:
    """Of the windows of a clip; in a short one eight frames would be half of it, and as wrong.

    Args:
        frames: of the clip.
    """
    return _SHORT if is_short(frames) else _USUAL


@dataclass(frozen=True)
class SolvedWindow:
    """Some frames in a row.

    Args:
        state: their poses and depths.
        matches: guided correspondences that it was solved on.
        cost: of these, on average.
    """

    state: SceneState
    matches: Correspondences
    cost: float


Solve = Callable[[FrameGraph], SolvedWindow]
Continue = Callable[[FrameGraph, SceneState], SolvedWindow]
Judge = Callable[[FrameGraph, SceneState], SolvedWindow]


def register_incrementally(graph: FrameGraph, solve: Solve, continue_from: Continue, judge: Judge) -> SolvedWindow:
    """All frames of a graph of more frames than a window has.

    Args:
        graph: of the frames.
        solve: solves a short window from nothing.
        continue_from: solves a window whose first frames are known, in the known frames' scale or not.
        judge: solves all frames from a state of them.
    """
    size = window_size(graph.count)
    begins = [*range(0, graph.count - size.frames, size.frames), graph.count - size.frames]
    seeds = [(begin, solve(graph.part(range(begin, begin + size.frames)))) for begin in begins]
    tried = list[SolvedWindow]()
    for begin, seed in sorted(seeds, key=lambda one: one[1].cost):
        state = _extend(graph.part(range(begin, graph.count)), seed.state, size, solve, continue_from)
        backwards = graph.part(range(graph.count - 1, -1, -1))
        state = _extend(backwards, state.reversed(), size, solve, continue_from).reversed()
        tried.append(judge(graph, state))
        if tried[-1].cost < THRESHOLDS.resolve_cost_ratio * seed.cost:
            break
    return min(tried, key=lambda found: found.cost)


def _extend(
    graph: FrameGraph, state: SceneState, size: WindowSize, solve: Solve, continue_from: Continue
) -> SceneState:
    """The state of all frames of a graph from that of its first ones."""
    while len(state) < graph.count:
        first = len(state) - size.shared
        part = graph.part(range(first, min(first + size.frames, graph.count)))
        tail = state.select(slice(first, None)).relative_to_first()
        window = continue_from(part, tail)
        if window.cost > THRESHOLDS.reinit_cost:
            window = min(window, solve(part), key=lambda found: found.cost)
        state = _append(state, window.state, size.shared)
    return state


def _append(state: SceneState, window: SceneState, shared: int) -> SceneState:
    """The state with a window's frames that are not yet in it; its first ones, that are `shared`, are the last ones."""
    ratio = window.inverse_depth[:shared].log() - state.inverse_depth[-shared:].log()
    window = window.scaled(ratio.median().exp())
    middle = shared // 2
    poses = window.camera_from_world
    poses = poses @ invert(poses[middle]) @ state.camera_from_world[middle - shared]
    return SceneState(
        torch.cat([state.camera_from_world, poses[shared:]]),
        torch.cat([state.inverse_depth, window.inverse_depth[shared:]]),
        state.log_focal,
    )
