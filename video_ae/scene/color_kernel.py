"""Views in the colours of their source views as fused loops: the arithmetic of `image_based_rendering`."""

from typing import Any

import numpy as np

from video_ae.compiled import Bytes, Floats, inlined_kernel, kernel
from video_ae.geometry.bicubic import bicubic_color
from video_ae.scene.reprojection_kernel import project_pixel

_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_WHITE = np.float32(255)
LEAST_WEIGHT = 0.02  # of a source view that is looked up


@inlined_kernel
def _place(x: int, width: int, columns: int) -> tuple[Any, Any]:
    """Between which columns of a map the pixel of an image lies: the first of them, and how far from there."""
    u = (np.float32(x) + _HALF) / np.float32(width) * np.float32(columns) - _HALF
    u = min(max(u, _ZERO), np.float32(columns - 1))
    first = min(np.int32(u), np.int32(max(columns - 2, 0)))
    return first, u - np.float32(first)


@inlined_kernel
def _enlarge_row(maps: Floats, y: int, height: int, firsts: Any, parts: Floats, narrow: Floats, row: Floats) -> None:
    """The row `y` of maps that are enlarged bilinearly; `firsts` and `parts` as `_place` says them of all columns."""
    count, rows, columns = maps.shape
    first, part = _place(y, height, rows)
    i, below = np.uintp(first), np.uintp(min(first + 1, rows - 1))
    for m in range(np.uintp(count)):
        for x in range(np.uintp(columns)):
            narrow[m, x] = maps[m, i, x] + part * (maps[m, below, x] - maps[m, i, x])
    across = np.uintp(min(columns - 1, 1))
    for m in range(np.uintp(count)):
        for x in range(np.uintp(row.shape[1])):
            j = firsts[x]
            row[m, x] = narrow[m, j] + parts[x] * (narrow[m, j + across] - narrow[m, j])


@inlined_kernel
def _project_row(
    v: Any, inverse_depth: Floats, nearest: Any, pose: Floats, view: Floats, own: Floats, size: tuple[int, int],
    m: Any, xs: Floats, ys: Floats,
) -> None:  # fmt: skip
    """`xs`, `ys`: where a source sees the pixels of a row of the view, in its pixels; of row `m` of `inverse_depth`."""
    width = inverse_depth.shape[1]
    for x in range(np.uintp(width)):
        u = (np.float32(x) + _HALF) / np.float32(width)
        a, b, _ = project_pixel(u, v, inverse_depth[m, x], nearest, pose, view, own)
        xs[x] = a * np.float32(size[0]) - _HALF
        ys[x] = b * np.float32(size[1]) - _HALF


@kernel
def color_rows(
    maps: Floats,
    frames: Bytes,
    source_width: int,
    source_height: int,
    poses: Floats,
    view: Floats,
    own: Floats,
    base_weight: float,
    nearest: float,
    image: Bytes,
    first: int,
    last: int,
) -> None:
    """Some rows of a view in the colours of its sources.

    Args:
        maps: [8 + source, row, column]: inverse depth of the view, 1 where it is known, the rendered colours, 0 to 1,
            what is added to all colours, and the agreement of each source, times its share.
        frames: [source, height, width, 3], with their border (`bicubic.with_border`).
        source_width, source_height: without it, in pixels.
        poses, view, own: as in `reprojection_kernel.agree_rows`.
        base_weight: of the rendered colours.
        nearest: depth; what lies nearer to a source is projected as if it lay there.
        image: [height, width, 3] is filled.
        first, last: the rows are those from the first to before the last.
    """
    count, columns, channels = len(frames), maps.shape[2], frames.shape[3]
    height, width, _ = image.shape
    flat, size = frames.reshape(count, frames.shape[1] * frames.shape[2] * channels), (source_width, source_height)
    narrow, row = np.empty((8 + count, columns), np.float32), np.empty((8 + count, width), np.float32)
    xs, ys, sums = np.empty(width, np.float32), np.empty(width, np.float32), np.empty((4, width), np.float32)
    firsts, parts = np.empty(width, np.uintp), np.empty(width, np.float32)
    neighbours = np.empty(4 * channels + 4, np.float32)
    for x in range(width):
        firsts[x], parts[x] = _place(x, width, columns)
    for y in range(first, last):
        v = (np.float32(y) + _HALF) / np.float32(height)
        _enlarge_row(maps, y, height, firsts, parts, narrow, row)
        for c in range(3):
            for x in range(np.uintp(width)):
                sums[c, x] = np.float32(base_weight) * _WHITE * row[2 + c, x]
        sums[3] = np.float32(base_weight)
        for n in range(np.uintp(count)):
            _project_row(v, row, np.float32(nearest), poses[n], view, own[n], size, 0, xs, ys)
            for x in range(np.uintp(width)):
                weight = row[np.uintp(8) + n, x]
                if (weight > np.float32(LEAST_WEIGHT)) & (row[1, x] > np.float32(0.999)):
                    red, green, blue = bicubic_color(flat, n, size, xs[x], ys[x], neighbours)
                    sums[0, x] += weight * red
                    sums[1, x] += weight * green
                    sums[2, x] += weight * blue
                    sums[3, x] += weight
        for c in range(3):
            for x in range(np.uintp(width)):
                image[y, x, c] = _byte(sums[c, x] / sums[3, x] + row[5 + c, x] * _WHITE)


@inlined_kernel
def _byte(value: Any) -> Any:
    """The nearest byte."""
    return np.uint8(min(max(value, _ZERO), _WHITE) + _HALF)
