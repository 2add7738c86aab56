"""Place recognition: frames that look alike, from their images alone (SeqSLAM's thumbnails; Milford & Wyeth 2012).

A coarse map of local contrast is the descriptor of a frame. Two frames are as alike as their maps correlate at the best
of several shifts, since a camera that comes back looks a little to one side. Frames are alike for a while anyway; a
pair counts only where the view was another one in between.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from video_ae.geometry.trajectories import spread_frames
from video_ae.tensor_records import TensorRecord

_MOST_FRAMES = 500  # that are compared with each other: bounds time and memory
_REACH = (8, 4)  # shifts go up to this part of height and width
_STEP = 2  # of the shifts, in pixels of the map: what is seen in it is no finer
_LEFT = 0.5  # of a pair's correlation: in between there is a frame that is alike the first one by less
_NEARBY = 6  # compared frames; pairs closer to a better one are its neighbours


@dataclass(frozen=True)
class AlikeFrames(TensorRecord):
    """Pairs of frames that look alike, the most alike ones first.

    Args:
        first, second: frame numbers, the first one the smaller.
        correlation: of their maps, -1 to 1.
        shift: (x, y) from where something is seen in the first map to where it is in the second, in its pixels.
    """

    axis: ClassVar[str] = "pair"

    first: Int[Tensor, "pair"]
    second: Int[Tensor, "pair"]
    correlation: Float[Tensor, "pair"]
    shift: Float[Tensor, "pair 2"]


def find_alike_frames(maps: Float[Tensor, "frame channel height width"], most: int) -> AlikeFrames:
    """Frames that look alike although the camera looked elsewhere in between.

    Args:
        maps: coarse feature maps of all frames, of about 16 pixels.
        most: number of pairs; of pairs next to each other only the most alike one is taken.
    """
    numbers = torch.tensor(spread_frames(len(maps), _MOST_FRAMES), device=maps.device)
    correlation, shift = _correlate(maps[numbers])
    returns = correlation.triu(1) * (_least_since(correlation) < _LEFT * correlation)
    pairs: list[tuple[int, int]] = []
    while len(pairs) < most and returns.max() > 0:
        row, column = divmod(int(returns.argmax()), len(returns))
        pairs.append((row, column))
        returns[max(0, row - _NEARBY) : row + _NEARBY + 1, max(0, column - _NEARBY) : column + _NEARBY + 1] = 0
    first, second = torch.tensor(pairs, dtype=torch.long, device=maps.device).reshape(-1, 2).T
    return AlikeFrames(numbers[first], numbers[second], correlation[first, second], shift[first, second])


def _correlate(maps: Tensor) -> tuple[Float[Tensor, "frame frame"], Float[Tensor, "frame frame 2"]]:
    """The highest correlation of every two maps over all shifts, and that shift."""
    count, height, width = len(maps), *maps.shape[-2:]
    best, shift = maps.new_full((count, count), -1.0), maps.new_zeros(count, count, 2)
    rows, columns = (_STEP * (size // (_STEP * part)) for size, part in zip((height, width), _REACH, strict=True))
    for y in range(-rows, rows + 1, _STEP):
        for x in range(-columns, columns + 1, _STEP):
            found = _cut(maps, -x, -y) @ _cut(maps, x, y).T
            higher = found > best
            best[higher] = found[higher]
            shift[higher] = maps.new_tensor([x, y])
    return best, shift


def _cut(maps: Tensor, x: int, y: int) -> Float[Tensor, "frame value"]:
    """What of each map lies inside another one that is shifted by (-x, -y), at mean 0 and length 1."""
    height, width = maps.shape[-2:]
    part = maps[..., max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)].flatten(1)
    return F.normalize(part - part.mean(1, keepdim=True), dim=1)


def _least_since(correlation: Float[Tensor, "frame frame"]) -> Float[Tensor, "frame frame"]:
    """Of a pair of frames: the least correlation of the first one with any up to the second."""
    later = torch.ones_like(correlation, dtype=torch.bool).triu()
    return correlation.where(later, torch.inf).cummin(1).values
