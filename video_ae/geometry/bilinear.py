"""Bilinear sampling inside compiled loops: what `pinhole.sample` does with a border that goes on."""

from typing import Any

import numpy as np

from video_ae.compiled import Floats, inlined_kernel

_ZERO = np.float32(0)


@inlined_kernel
def corner(x: Any, y: Any, height: int, width: int) -> tuple[Any, Any, Any]:
    """The first of the four pixels around a point, and how far between them it lies.

    Args:
        x, y: float32, in pixels; 0 is the centre of the first one. Beyond the border they are moved onto it.
        height, width: of the map.

    Returns:
        The pixel's index in the flattened map, and the two parts, 0 to 1.
    """
    x, y = min(max(x, _ZERO), np.float32(width - 1)), min(max(y, _ZERO), np.float32(height - 1))
    column = min(max(np.int32(x), np.int32(0)), np.int32(max(width - 2, 0)))
    row = min(max(np.int32(y), np.int32(0)), np.int32(max(height - 2, 0)))
    return row * width + column, x - np.float32(column), y - np.float32(row)


@inlined_kernel
def mixed(maps: Floats, n: Any, i: Any, a: Any, b: Any, across: int, down: int) -> Any:
    """A value between four pixels of a map.

    Args:
        maps: [map, pixel], flattened.
        n: which map.
        i, a, b: as of `corner`.
        across, down: steps to the next column and row; 0 where there is only one.
    """
    # Unsigned, so that it is not asked of each pixel whether it is counted from the end.
    n, first, right, below, last = (
        np.uintp(n), np.uintp(i), np.uintp(i + across), np.uintp(i + down), np.uintp(i + down + across),
    )  # fmt: skip
    upper = maps[n, first] + a * (maps[n, right] - maps[n, first])
    lower = maps[n, below] + a * (maps[n, last] - maps[n, below])
    return upper + b * (lower - upper)
