"""Frames that were not solved get their pose from those that were (COLMAP's image registration, by dense matching).

A frame lies between two solved ones and is matched with both, from where their depths predict its points. Its pose has
six unknowns, its depths follow from the pose; the solved frames and the focal length stay.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.covariance import scale_covariance, transport_covariance
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.iteration import OuterLoop
from video_ae.camera.notes import renumbered
from video_ae.camera.problem import FreeParameters, KnownParameters, SceneState, Submap
from video_ae.camera.submaps import scale_poses
from video_ae.geometry.se3 import invert
from video_ae.geometry.trajectories import interpolate
from video_ae.progress import report
from video_ae.steps import kept
from video_ae.threads import mean_of_all
from video_ae.types import Cameras

_ROUNDS = 2  # of matching and solving
_TOGETHER = 24  # frames that are registered at once, about
_AROUND = 2  # solved frames before and after one, that it is matched with
_HELD = 1e6  # weight that keeps the depths of solved frames


def register_frames(solved: Submap, selected: list[int], graph: FrameGraph, outer_loop: OuterLoop) -> Submap:
    """All frames of a clip.

    Args:
        solved: the selected frames.
        selected: their positions, the first and the last frame among them.
        graph: of all frames, at the size of the solved ones.
        outer_loop: how a round solves.

    Returns:
        Poses and depths of all frames, at mean inverse depth 1, the first frame being the world; covariances and
        confidences between those of the solved frames around, the notes of the solved ones.
    """
    numbers = torch.tensor(selected, device=graph.device)
    frames = torch.arange(graph.count, device=graph.device)
    before = (torch.searchsorted(numbers, frames, right=True) - 1).clamp(0, len(selected) - 2)
    share = (frames - numbers[before]) / (numbers[before + 1] - numbers[before])
    path = Cameras(solved.world_from_camera, torch.ones(len(solved), 4, device=graph.device))
    poses = invert(interpolate(path, before + share, "linear").world_from_camera)
    state = SceneState(poses, solved.state.inverse_depth[(before + share).round().long()], solved.state.log_focal)
    parts = _parts(selected)
    for number, part in enumerate(parts):
        report("cameras: frames between", number / len(parts))
        held = [frame - part[0] for frame in selected if part[0] <= frame <= part[-1]]
        registered = kept("register", partial(_register, graph.part(part), state.select(part), held, outer_loop))
        state.camera_from_world[part], state.inverse_depth[part] = (
            registered.camera_from_world,
            registered.inverse_depth,
        )
    report("cameras: frames between", 1)
    poses, mean = invert(state.camera_from_world), mean_of_all(state.inverse_depth)
    spreads = [
        transport_covariance(solved.covariance[k], invert(poses) @ solved.world_from_camera[k])
        for k in (before, before + 1)
    ]
    covariance = torch.lerp(spreads[0], spreads[1], share[:, None, None])
    confidence = torch.lerp(solved.confidence[before], solved.confidence[before + 1], share)
    state = SceneState(invert(scale_poses(poses, mean)), state.inverse_depth / mean, state.log_focal)
    covariance = scale_covariance(covariance, mean)
    return Submap(state, graph.grid, covariance, confidence, renumbered(solved.notes, selected), solved.focal_variance)


def _parts(selected: list[int]) -> list[list[int]]:
    """Frames that are registered at once: stretches that begin and end with a selected one, about as long."""
    parts, first = [], selected[0]
    for last in selected[1:]:
        if last - first >= _TOGETHER or last == selected[-1]:
            parts.append(list(range(first, last + 1)))
            first = last
    return parts


def _register(graph: FrameGraph, state: SceneState, held: list[int], outer_loop: OuterLoop) -> SceneState:
    """Some frames, of which those at the positions `held` stay."""
    edges = _edges_between(graph.count, held, graph.device)
    if not edges.numel():
        return state
    moves = not state.is_pure_rotation
    free = FreeParameters(depth=moves, translation=moves, focal=False, held=tuple(held))
    focal = state.log_focal.exp().item()
    start = state.inverse_depth
    for _ in range(_ROUNDS):
        matches = graph.guided_correspondences((), state, others=edges)
        priors = outer_loop.priors(graph, state, KnownParameters(focal))
        priors.depth_weight[held], priors.inverse_depth[held] = _HELD, start[held]
        state, _ = minimise(state, matches, priors, outer_loop.steps, free)
    state.inverse_depth[held] = start[held]
    return state


def _edges_between(count: int, held: list[int], device: torch.device) -> Tensor:
    """[2, edge]: each other frame with the held ones around it, each pair followed by its reverse."""
    pairs = []
    for number, (before, after) in enumerate(pairwise(held)):
        around = held[max(0, number + 1 - _AROUND) : number + 1 + _AROUND]
        pairs += [(end, frame) for frame in range(before + 1, after) for end in around]
    both = [edge for a, b in pairs for edge in ((a, b), (b, a))]
    return torch.tensor(both, device=device, dtype=torch.long).reshape(-1, 2).T
