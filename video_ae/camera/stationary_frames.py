"""Frames of a long video in which the camera is stationary are skipped before its cameras are solved."""

import torch
from jaxtyping import Int
from torch import Tensor

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.thresholds import THRESHOLDS


def skip_stationary_frames(graph: FrameGraph) -> tuple[list[int], Int[Tensor, "frame"]]:
    """Frames that differ from the one kept before, and which of those stands for each frame.

    A camera that is stationary for a while would cut a long video in two parts of unrelated scales. The last frame is
    always kept.

    Args:
        graph: of all frames.
    """
    kept, representative = [0], [0]
    for frame in range(1, graph.count):
        edge = torch.tensor([[kept[-1]], [frame]], device=graph.device)
        moved = graph.flow(edge).flow.norm(dim=1).flatten().quantile(0.75)
        if moved > THRESHOLDS.moving_pixels or frame == graph.count - 1:
            kept.append(frame)
        representative.append(len(kept) - 1)
    return kept, torch.tensor(representative, device=graph.device)
