"""Incremental registration: the best short seed window, extended frame by frame in both directions.

Where a wall fills the image, two motions explain a few frames almost equally well (a plane's two-fold ambiguity), and a
long clip holds so many such frames that no single initialization is right in all of them. Short windows are mostly
right, and the right ones explain wide pairs better, so that the best of them can carry its neighbours (as incremental
structure from motion does; Schoenberger and Frahm 2016).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.problem import SceneState
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.se3 import invert

WINDOW, SHARED = 8, 4  # frames of a window, and how many of them it has in common with the one before


@dataclass(frozen=True)
class SolvedWindow:
    """A short window of frames.

    Args:
        state: its poses and depths.
        cost: of its guided correspondences, on average.
    """

    state: SceneState
    cost: float


Solve = Callable[[FrameGraph], SolvedWindow]
Continue = Callable[[FrameGraph, SceneState], SolvedWindow]


def register_incrementally(graph: FrameGraph, solve: Solve, continue_from: Continue) -> SceneState:
    """The state of all frames of a graph of more than `WINDOW` frames.

    Args:
        graph: of the frames.
        solve: solves a short window from nothing.
        continue_from: solves a window whose first frames are known, in the known frames' scale or not.
    """
    begins = [*range(0, graph.count - WINDOW, WINDOW), graph.count - WINDOW]
    seeds = [solve(graph.part(range(begin, begin + WINDOW))) for begin in begins]
    best = min(range(len(begins)), key=lambda number: seeds[number].cost)
    begin, state = begins[best], seeds[best].state
    state = _extend(graph.part(range(begin, graph.count)), state, solve, continue_from)
    backwards = graph.part(range(graph.count - 1, -1, -1))
    return _extend(backwards, state.reversed(), solve, continue_from).reversed()


def _extend(graph: FrameGraph, state: SceneState, solve: Solve, continue_from: Continue) -> SceneState:
    """The state of all frames of a graph from that of its first ones."""
    while len(state) < graph.count:
        known = len(state)
        part = graph.part(range(known - SHARED, min(known - SHARED + WINDOW, graph.count)))
        tail = state.select(slice(-SHARED, None)).relative_to_first()
        window = continue_from(part, tail)
        if window.cost > THRESHOLDS.reinit_cost:
            window = min(window, solve(part), key=lambda found: found.cost)
        state = _append(state, window.state)
    return state


def _append(state: SceneState, window: SceneState) -> SceneState:
    """The state with a window's frames that are not yet in it; the `SHARED` first ones are its last ones."""
    shared = window.inverse_depth[:SHARED].log() - state.inverse_depth[-SHARED:].log()
    window = window.scaled(shared.median().exp())
    middle = SHARED // 2
    poses = window.camera_from_world
    poses = poses @ invert(poses[middle]) @ state.camera_from_world[middle - SHARED]
    return SceneState(
        torch.cat([state.camera_from_world, poses[SHARED:]]),
        torch.cat([state.inverse_depth, window.inverse_depth[SHARED:]]),
        state.log_focal,
    )
