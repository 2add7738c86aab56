"""Loop closures: frames far apart in time that see the same part of the scene are matched as well.

A pair is accepted by its overlap as the solved scene predicts it, before it is matched: these are the edges of a path
whose drift is less than that overlap. Where it is more, places are recognised first (`loop_detection`).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.problem import SceneState
from video_ae.camera.reprojection import predict_points
from video_ae.camera.thresholds import THRESHOLDS

LOOP_CLOSURES = 60  # pairs of keyframes at most
_EDGES_AT_ONCE = 64  # bounds memory


def find_loop_closures(
    graph: FrameGraph, state: SceneState, gap: int, most: int = LOOP_CLOSURES
) -> Int[Tensor, "2 edge"]:
    """The pairs of frames that share most of what they see, each followed by its reverse.

    Args:
        graph: of the frames.
        state: the scene, which predicts the overlap.
        gap: least distance of the frames of a pair.
        most: number of pairs.
    """
    first, second = torch.triu_indices(graph.count, graph.count, gap, device=graph.device)
    overlap = torch.minimum(_overlap(graph, state, first, second), _overlap(graph, state, second, first))
    best = overlap.argsort(descending=True)[:most]
    best = best[overlap[best] > THRESHOLDS.loop_overlap]
    pairs = torch.stack([first[best], second[best]])
    return torch.stack([pairs, pairs.flip(0)], -1).flatten(1)


def _overlap(graph: FrameGraph, state: SceneState, source: Tensor, target: Tensor) -> Float[Tensor, "edge"]:
    """Part of the source frames' points that lie inside the target frames."""
    half = torch.tensor([graph.width / 2, graph.height / 2], device=graph.device)
    shares = [torch.zeros(0, device=graph.device)]
    for begin in range(0, len(source), _EDGES_AT_ONCE):
        part = slice(begin, begin + _EDGES_AT_ONCE)
        seen = predict_points(state, graph.points, source[part], target[part])
        shares.append(((seen.image.abs() < half).all(-1) & seen.in_front).float().mean(1))
    return torch.cat(shares)
