"""Means over the surroundings of each pixel."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.compiled import Floats, arrays, inlined_kernel, kernel, spread, usable


def box_mean(maps: Float[Tensor, "map rows columns"], radius: int) -> Float[Tensor, "map rows columns"]:
    """Means over (2 `radius` + 1)^2 pixels; at the border, over those that lie inside.

    Args:
        maps: float32 for the compiled loop.
        radius: in pixels.

    >>> box_mean(torch.tensor([[[0.0, 3.0, 6.0]]]), 1).tolist()
    [[[1.5, 3.0, 4.5]]]
    """
    if not usable(maps):
        return _means(maps, radius)
    means = torch.empty_like(maps, memory_format=torch.contiguous_format)
    spread(len(maps), mean_maps, *arrays(maps), radius, *arrays(means))
    return means


def _means(maps: Tensor, radius: int) -> Tensor:
    return F.avg_pool2d(maps, 2 * radius + 1, 1, radius, count_include_pad=False)


@inlined_kernel
def mean_map(values: Floats, radius: int, along: Floats, means: Floats) -> None:
    """The same of one map, inside a compiled loop: along rows, then down columns.

    Args:
        values: [row, column].
        radius: in pixels.
        along: of the same shape, is overwritten.
        means: of the same shape, is filled.
    """
    rows, columns = values.shape
    for y in range(rows):
        along[y] = 0
        for k in range(-min(radius, columns - 1), min(radius, columns - 1) + 1):
            source, target = np.uintp(max(k, 0)), np.uintp(max(-k, 0))
            for x in range(np.uintp(columns - abs(k))):
                along[y, target + x] += values[y, source + x]
        for x in range(columns):
            inside = min(x + radius, columns - 1) - max(x - radius, 0) + 1
            along[y, x] /= np.float32(inside)
    for y in range(rows):
        upper, lower = max(y - radius, 0), min(y + radius, rows - 1)
        means[y] = 0
        for k in range(upper, lower + 1):
            for x in range(np.uintp(columns)):
                means[y, x] += along[k, x]
        part = np.float32(1) / np.float32(lower + 1 - upper)
        for x in range(np.uintp(columns)):
            means[y, x] *= part


@kernel
def mean_maps(maps: Floats, radius: int, means: Floats, first: int, last: int) -> None:
    """The same of some maps.

    Args:
        maps: [map, row, column].
        radius: in pixels.
        means: of the same shape, is filled.
        first, last: the maps are those from the first to before the last.
    """
    along = np.empty(maps.shape[1:], np.float32)
    for n in range(first, last):
        mean_map(maps[n], radius, along, means[n])
