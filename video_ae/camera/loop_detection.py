"""Loops that drift hides: places that come again are recognised, verified, and asked whether they agree.

A false loop bends a whole path, and corridors repeat, so a pair of frames has four things to pass: it looks alike, it
matches in both directions, frames beside it say the same, and the path would not have to give way by more than drift.
"""

from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.loop_verification import verify_place
from video_ae.camera.place_recognition import find_alike_frames
from video_ae.camera.pose_graph import RelativePoses, similarity_log
from video_ae.camera.problem import SceneState
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.se3 import invert

_CANDIDATES = 32  # pairs of frames that look alike and are verified
_LEVEL = 2  # of the feature pyramid whose maps are compared: a quarter of the working size
_BESIDE = [*product((-2, 0, 2), repeat=2), *product((-1, 1), repeat=2)]  # frames from a pair to the ones around it
_MAJORITY = 0.7  # of the pairs around one that were verified: so many must say the same
_DRIFT_BETWEEN = 0.05  # of the path between two loops: what they may disagree by


def find_loops(graph: FrameGraph, state: SceneState) -> RelativePoses:
    """Pairs of frames that show the same place at different times: second from first frame, each in its own unit.

    A pair counts where it bends the path by no more than drift can, where the pairs beside it say the same, and where
    most of the others that were found so do (pairwise consistency; Mangelson et al. 2018).

    Args:
        graph: of all frames.
        state: the scene, right from each frame to the next few, and drifted over the whole.
    """
    level = min(_LEVEL, len(graph.pyramid) - 1)
    alike = find_alike_frames(graph.pyramid[level], _CANDIDATES)
    loops = []
    for first, second, shift in zip(alike.first.tolist(), alike.second.tolist(), alike.shift, strict=True):
        loop = _verified(graph, state, first, second, shift, level)
        if loop is not None and (_is_closed(state, loop) or _is_supported(graph, state, loop, shift, level)):
            loops.append(loop)
    consistent = [[other for other in loops if _agree(state, loop, other)] for loop in loops]
    nothing = RelativePoses(alike.first[:0], alike.first[:0], state.camera_from_world[:0])
    return RelativePoses.cat([nothing, *max(consistent, key=len, default=[])])


def _verified(
    graph: FrameGraph, state: SceneState, first: int, second: int, shift: Tensor, level: int
) -> RelativePoses | None:
    """One loop, or None."""
    if not 0 <= first < second < graph.count:
        return None
    pair = [first, second]
    pose = verify_place(graph.part(pair), state.select(pair), shift, level)
    if pose is None:
        return None
    source, target = torch.tensor(pair, device=graph.device)[:, None]
    return RelativePoses(source, target, pose[None])


def _is_closed(state: SceneState, loop: RelativePoses) -> bool:
    """Whether the path says what a loop does already, so that nothing hangs on whether it is true."""
    return _largest(_error(state, loop)) < THRESHOLDS.loop_closed


def _is_supported(graph: FrameGraph, state: SceneState, loop: RelativePoses, shift: Tensor, level: int) -> bool:
    """Whether the error that a loop shows is drift, and the pairs of frames around its own say the same."""
    first, second = int(loop.source), int(loop.target)
    if _error(state, loop)[3:6].norm() > THRESHOLDS.loop_drift * _length(state, first, second):
        return False
    around = [_verified(graph, state, first + a, second + b, shift, level) for a, b in _BESIDE if a or b]
    votes = [_agree(state, loop, other) for other in around if other is not None]
    return sum(votes) > _MAJORITY * len(votes)


def _error(state: SceneState, loop: RelativePoses) -> Float[Tensor, "7"]:
    """By how much the path differs from a loop: rotation, translation, logarithm of the scale."""
    path = _motion(state, int(loop.source), int(loop.target))
    return similarity_log(torch.linalg.inv(path) @ loop.target_from_source[0])


def _largest(error: Float[Tensor, "7"]) -> float:
    """Of rotation, translation and scale, in radians, mean depths and the logarithm."""
    return max(part.norm().item() for part in error.split([3, 3, 1]))


def _agree(state: SceneState, loop: RelativePoses, other: RelativePoses) -> bool:
    """Whether another loop says the same, as far as the path between their frames tells."""
    first, second = int(loop.source), int(loop.target)
    other_first, other_second = int(other.source), int(other.target)
    to_first, to_second = _motion(state, other_first, first), _motion(state, second, other_second)
    predicted = to_second @ loop.target_from_source[0] @ to_first
    error = similarity_log(torch.linalg.inv(other.target_from_source[0]) @ predicted)
    between = _length(state, first, other_first) + _length(state, second, other_second)
    limit = THRESHOLDS.loop_disagreement + _DRIFT_BETWEEN * between
    return _largest(error) < limit


def _motion(state: SceneState, source: int, target: int) -> Float[Tensor, "4 4"]:
    """Target from source frame, along the path."""
    return state.camera_from_world[target] @ invert(state.camera_from_world[source])


def _length(state: SceneState, first: int, second: int) -> float:
    """Of the path between two frames, in mean depths."""
    first, second = sorted((first, second))
    return invert(state.camera_from_world[first : second + 1])[:, :3, 3].diff(dim=0).norm(dim=1).sum().item()
