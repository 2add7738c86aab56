"""Which frames of a video are solved: those that have moved far enough since the one before.

Frames of a video that moves little from one to the next hold next to no parallax: neighbours cannot tell a long focal
length and a near wall from a turn, and errors of matching outweigh what moves. So the result of a walk depended on how
densely it was filmed. The other frames are registered afterwards (`registration`).
"""

from collections.abc import Callable
from functools import cache

import torch

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.progress import report

FEWEST_FRAMES = 8  # that are solved, where a clip has so many that move
_CLOSER = 0.8  # of the distance, while it leaves too few


def select_frames(graph: FrameGraph) -> list[int]:
    """The first and the last frame, and those where a quarter of the image has moved far enough since the one before.

    Of a clip that hardly moves at least eight are selected, closer to each other, but none that stands still: a camera
    that is stationary for a while would cut a long video in two parts of unrelated scales. A clip of fewer than sixteen
    frames is solved whole: it has none to spare.

    Args:
        graph: of all frames.

    Returns:
        Their positions, rising.
    """
    if graph.count < 2 * FEWEST_FRAMES:
        return list(range(graph.count))

    @cache
    def motion(frame: int, other: int) -> float:
        edge = torch.tensor([[frame], [other]], device=graph.device)
        return graph.flow(edge).flow.norm(dim=1).flatten().quantile(0.75).item()

    distance = THRESHOLDS.selection_pixels
    while len(selected := _moved(graph.count, motion, distance)) < FEWEST_FRAMES:
        distance *= _CLOSER
        if distance < THRESHOLDS.moving_pixels:
            return _moved(graph.count, motion, THRESHOLDS.moving_pixels)
    return selected


def _moved(count: int, motion: Callable[[int, int], float], distance: float) -> list[int]:
    """The first and the last frame, and those that differ by so many pixels from the one selected before."""
    selected = [0]
    for frame in range(1, count):
        report("cameras: selection", (frame - 1) / (count - 1))
        if frame == count - 1 or motion(selected[-1], frame) > distance:
            selected.append(frame)
    return selected
