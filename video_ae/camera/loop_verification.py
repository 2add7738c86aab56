"""Geometric verification: whether frames that look alike show the same place and how they then stand to each other.

The two are matched densely, from the shift at which they look alike; each is then registered in the other by its own
depths. Where both answers agree in rotation, translation and unit of length, the pair is matched once more from where
these predict each point. Corridors and their doors look alike; a place is the same where most of the texture that must
be seen in both frames was found in both directions.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.direction_search import pure_rotations
from video_ae.camera.frame_graph import FrameGraph, frame_pairs
from video_ae.camera.optical_flow import estimate_flow
from video_ae.camera.pose_graph import similarity
from video_ae.camera.problem import Correspondences, FreeParameters, Priors, SceneState
from video_ae.camera.reprojection import predict_points
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.pinhole import sample
from video_ae.geometry.se3 import invert, rigid, rotation_angle

_ROUNDS, _STEPS = 2, 20  # of matching from the prediction, and of solving in each
_POSE_ONLY = FreeParameters(depth=False, focal=False)
_EXPLAINED_PIXELS = 2.0  # between a match and where the registration predicts it
_BORDER = 2.0  # pixels; nearer to the edge of the image a point may lie outside


def verify_place(
    graph: FrameGraph, state: SceneState, shift: Float[Tensor, "2"], level: int
) -> Float[Tensor, "4 4"] | None:
    """Second from first frame, a similarity where their depths have other units; None where it is another place.

    Args:
        graph: of the two frames.
        state: their depths and the focal length; where they stand is not asked.
        shift: (x, y) from where something is seen in the first frame to where it is in the second.
        level: of the feature pyramid, in whose pixels the shift is.
    """
    edges = frame_pairs(2, (1,), graph.device)
    start = torch.stack([shift, -shift])[..., None, None].expand(-1, -1, *graph.pyramid[level].shape[-2:])
    matches = graph.correspondences(edges, estimate_flow(graph.pyramid[: level + 1], edges, start.contiguous()))
    if matches.reliable.float().mean(1).min() < THRESHOLDS.loop_reliable:
        return None
    turned = pure_rotations(matches, state.log_focal.exp().item())
    there, back = (_register(state, matches, number, turned[number]) for number in (0, 1))
    unit = torch.stack([_unit_ratio(graph, there, matches, 0), 1 / _unit_ratio(graph, back, matches, 1)])
    if not _agree(there.camera_from_world[1], invert(back.camera_from_world[1]), unit):
        return None
    scale = unit.log().mean().exp()
    common = there.inverse_depth * torch.stack([torch.ones_like(scale), scale])[:, None]
    pair = replace(there, inverse_depth=common)
    for _ in range(_ROUNDS):
        matches = graph.guided_correspondences((1,), pair)
        pair, _ = minimise(pair, matches, _no_priors(pair), _STEPS, _POSE_ONLY)
    if _explained(graph, pair, matches).min() < THRESHOLDS.loop_explained:
        return None
    pose = pair.camera_from_world[1]
    return similarity(rigid(pose[:3, :3], pose[:3, 3] * scale), scale)


def _register(state: SceneState, matches: Correspondences, number: int, turned: Float[Tensor, "3 3"]) -> SceneState:
    """The source of an edge, which is the world, and the target where the source's depths see it."""
    pair = state.select([number, 1 - number])
    poses = rigid(torch.stack([torch.eye(3, device=turned.device), turned]), turned.new_zeros(2, 3))
    edge = replace(matches.select([number]), source=matches.source[:1], target=matches.target[:1])
    return minimise(replace(pair, camera_from_world=poses), edge, _no_priors(pair), _STEPS, _POSE_ONLY)[0]


def _no_priors(state: SceneState) -> Priors:
    return Priors(state.inverse_depth, torch.zeros_like(state.inverse_depth), state.log_focal, 1.0)


def _unit_ratio(graph: FrameGraph, pair: SceneState, matches: Correspondences, number: int) -> Float[Tensor, ""]:
    """The target's unit of length over the source's: the median ratio of depths of the same points."""
    seen = predict_points(pair, matches.points, matches.source[:1], matches.target[:1])
    found = pair.inverse_depth[0] / seen.points[0, :, 2]
    uv = matches.matched[number] / matches.matched.new_tensor([graph.width, graph.height]) + 0.5
    own = sample(pair.inverse_depth[1].view(1, 1, graph.grid.rows, graph.grid.columns), uv[None, None], "border")
    return (found / own.flatten())[matches.reliable[number] & seen.in_front[0]].median()


def _agree(there: Float[Tensor, "4 4"], back: Float[Tensor, "4 4"], unit: Float[Tensor, "2"]) -> bool:
    """Whether two poses of the second frame, in the first one's and in its own unit, are one."""
    turned = rotation_angle(there[:3, :3].mT @ back[:3, :3])
    moved = (there[:3, 3] - back[:3, 3] / unit[1]).norm()
    return bool(torch.stack([turned, moved, unit.log().diff()[0].abs()]).max() < THRESHOLDS.loop_disagreement)


def _explained(graph: FrameGraph, pair: SceneState, matches: Correspondences) -> Float[Tensor, "edge"]:
    """Of the texture that must be seen in the other frame too: the part that was found where it must be."""
    seen = predict_points(pair, matches.points, matches.source, matches.target)
    half = torch.tensor([graph.width, graph.height], device=graph.device) / 2 - _BORDER
    inside = (seen.image.abs() < half).all(-1) & seen.in_front & _textured(graph)
    found = inside & matches.reliable & ((seen.image - matches.matched).norm(dim=-1) < _EXPLAINED_PIXELS)
    return found.sum(1) / inside.sum(1).clamp_min(1)


def _textured(graph: FrameGraph) -> Bool[Tensor, "frame point"]:
    """Which points can be matched at all: those that each frame can be matched with itself by."""
    edges = torch.arange(graph.count, device=graph.device).expand(2, -1)
    still = torch.zeros(graph.count, 2, graph.height, graph.width, device=graph.device)
    return graph.correspondences(edges, graph.flow(edges, still, 1)).reliable
