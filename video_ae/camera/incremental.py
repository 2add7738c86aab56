"""A start for clips that cannot be solved in one go: the surest short window, grown frame by frame to both ends.

Where a wall fills the picture, two motions explain a few frames almost equally well (a plane's two-fold ambiguity), and
a long clip holds so many such frames that no single start is right in all of them. Short windows are mostly right, and
the right ones explain wide pairs better, so that the best of them can carry its neighbours (as incremental structure
from motion does; Schoenberger and Frahm 2016).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.problem import SceneState
from video_ae.geometry.se3 import invert

WINDOW, SHARED = 8, 4  # frames of a window, and how many of them it has in common with the one before


@dataclass(frozen=True)
class Solved:
    """A window's state and what its guided matches cost on average."""

    state: SceneState
    cost: float


def grown_start(
    graph: FrameGraph,
    solve: Callable[[FrameGraph], Solved],
    go_on: Callable[[FrameGraph, SceneState], Solved],
    lost: float,
) -> SceneState:
    """The state of all frames of a graph of more than `WINDOW` frames.

    solve: a short window from nothing. go_on: a window whose first frames are known, in the known frames' scale or not.
    lost: what a window may cost before it is also solved from nothing.
    """
    begins = [*range(0, graph.count - WINDOW, WINDOW), graph.count - WINDOW]
    solved = [solve(graph.part(range(begin, begin + WINDOW))) for begin in begins]
    best = min(range(len(begins)), key=lambda number: solved[number].cost)
    begin, state = begins[best], solved[best].state
    state = _to_the_end(graph.part(range(begin, graph.count)), state, solve, go_on, lost)
    backwards = graph.part(range(graph.count - 1, -1, -1))
    return _reversed(_to_the_end(backwards, _reversed(state), solve, go_on, lost))


def _to_the_end(
    graph: FrameGraph,
    state: SceneState,
    solve: Callable[[FrameGraph], Solved],
    go_on: Callable[[FrameGraph, SceneState], Solved],
    lost: float,
) -> SceneState:
    """The state of all frames of a graph from that of its first ones."""
    while len(state.camera_from_world) < graph.count:
        known = len(state.camera_from_world)
        part = graph.part(range(known - SHARED, min(known - SHARED + WINDOW, graph.count)))
        tail = replace(
            state,
            camera_from_world=state.camera_from_world[-SHARED:] @ invert(state.camera_from_world[-SHARED]),
            inverse_depth=state.inverse_depth[-SHARED:],
        )
        window = go_on(part, tail)
        if window.cost > lost:
            window = min(window, solve(part), key=lambda found: found.cost)
        state = _appended(state, window.state)
    return state


def _appended(state: SceneState, window: SceneState) -> SceneState:
    """The state with a window's frames that are not yet in it; the `SHARED` first ones are its last ones."""
    shared = window.inverse_depth[:SHARED].log() - state.inverse_depth[-SHARED:].log()
    scale = shared.median().exp()
    poses = window.camera_from_world.clone()
    poses[:, :3, 3] *= scale
    anchor = SHARED // 2
    poses = poses @ invert(poses[anchor]) @ state.camera_from_world[anchor - SHARED]
    return SceneState(
        torch.cat([state.camera_from_world, poses[SHARED:]]),
        torch.cat([state.inverse_depth, window.inverse_depth[SHARED:] / scale]),
        state.log_focal,
    )


def _reversed(state: SceneState) -> SceneState:
    """The same scene with its frames in the opposite order; the new first camera is the world."""
    poses = state.camera_from_world.flip(0)
    return SceneState(poses @ invert(poses[0]), state.inverse_depth.flip(0), state.log_focal)
