"""Lucas-Kanade on one level of the pyramid as one fused loop: the arithmetic of `optical_flow.refine_level`.

Inner loops run along a row and write one array, which is what a compiler turns into vector instructions.
"""

import numpy as np

from video_ae.compiled import Floats, Integers, inlined_kernel, kernel
from video_ae.geometry.bilinear import mixed

RADIUS = 2  # of the windows, in pixels of a level; written out in the loops below
ERROR_SCALE = 0.5  # squared feature difference at which a pixel counts half (features have a spread near 1)
MAXIMUM_STEP = 1.5  # pixels of a level per iteration: beyond that the linearisation means nothing
TEXTURE_FLOOR = 1e-4

_BOX = np.float32(1 / 25)  # of two passes along one axis
_LONGEST, _FLOOR = np.float32(MAXIMUM_STEP), np.float32(TEXTURE_FLOOR)
_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)


@inlined_kernel
def _blur_along(rows: Floats, middle: Floats, out: Floats, y: int) -> None:
    """Two passes of a box of five along rows that begin at column 4; borders are replicated."""
    width = out.shape[2]
    for m in range(out.shape[0]):
        for k in range(4):
            rows[m, k] = rows[m, 4]
            rows[m, 4 + width + k] = rows[m, 3 + width]
        for x in range(width):
            middle[x + 4] = rows[m, x + 2] + rows[m, x + 3] + rows[m, x + 4] + rows[m, x + 5] + rows[m, x + 6]
        for k in range(4):
            middle[k] = middle[4]
            middle[4 + width + k] = middle[3 + width]
        for x in range(width):
            out[m, y, x] = (middle[x + 2] + middle[x + 3] + middle[x + 4] + middle[x + 5] + middle[x + 6]) * _BOX


@inlined_kernel
def _box_across(planes: Floats, out: Floats, m: int, scale: np.float32) -> None:
    """A box of five across the rows of a plane; borders are replicated."""
    height, width = planes.shape[1:]
    last = height - 1
    for y in range(height):
        a, b, d, e = max(y - 2, 0), max(y - 1, 0), min(y + 1, last), min(y + 2, last)
        for x in range(width):
            out[m, y, x] = (
                planes[m, a, x] + planes[m, b, x] + planes[m, y, x] + planes[m, d, x] + planes[m, e, x]
            ) * scale


@inlined_kernel
def _blur_across(planes: Floats, middle: Floats, count: int) -> None:
    """Two passes of a box of five across the rows of planes, in place."""
    for m in range(count):
        _box_across(planes, middle, m, _ONE)
        _box_across(middle, planes, m, _BOX)


@inlined_kernel
def _warp_row(
    maps: Floats, frame: int, c: int, flow: Floats, n: int, y: int,
    index: Integers, du: Floats, dv: Floats, out: Floats, inside: Floats,
) -> None:  # fmt: skip
    """A row of the target drawn to the source's pixels, and where it lies inside; `index`, `du`, `dv` are scratch."""
    height, width = maps.shape[2:]
    right, bottom = np.float32(width - 1), np.float32(height - 1)
    for x in range(width):
        u = np.float32(x) + flow[n, 0, y, x]
        v = np.float32(y) + flow[n, 1, y, x]
        inside[n, y, x] = _ONE if (u > -_HALF) & (u < right + _HALF) & (v > -_HALF) & (v < bottom + _HALF) else _ZERO
        u, v = min(max(u, _ZERO), right), min(max(v, _ZERO), bottom)
        left = min(max(np.int32(u), np.int32(0)), np.int32(width - 2))
        top = min(max(np.int32(v), np.int32(0)), np.int32(height - 2))
        du[x], dv[x] = u - np.float32(left), v - np.float32(top)
        index[x] = top * np.int32(width) + left
    flat = maps[frame].reshape(maps.shape[1], height * width)
    for x in range(width):
        out[x] = mixed(flat, c, np.uint32(index[x]), du[x], dv[x], 1, width)


@inlined_kernel
def _gradient_row(maps: Floats, s: int, c: int, y: int, gx: Floats, gy: Floats) -> None:
    """Central differences along a row of a map; borders are replicated."""
    height, width = maps.shape[2:]
    above, below = max(y - 1, 0), min(y + 1, height - 1)
    gx[0] = (maps[s, c, y, 1] - maps[s, c, y, 0]) * _HALF
    gx[width - 1] = (maps[s, c, y, width - 1] - maps[s, c, y, width - 2]) * _HALF
    for x in range(1, width - 1):
        gx[x] = (maps[s, c, y, x + 1] - maps[s, c, y, x - 1]) * _HALF
    for x in range(width):
        gy[x] = (maps[s, c, below, x] - maps[s, c, above, x]) * _HALF


@inlined_kernel
def _add_products(gx: Floats, gy: Floats, error: Floats, rows: Floats) -> None:
    """Adds xx, xy, yy, xe, ye and ee of gradients and error to six padded rows."""
    for x in range(len(gx)):
        rows[0, x + 4] += gx[x] * gx[x]
    for x in range(len(gx)):
        rows[1, x + 4] += gx[x] * gy[x]
    for x in range(len(gx)):
        rows[2, x + 4] += gy[x] * gy[x]
    for x in range(len(gx)):
        rows[3, x + 4] += gx[x] * error[x]
    for x in range(len(gx)):
        rows[4, x + 4] += gy[x] * error[x]
    for x in range(len(gx)):
        rows[5, x + 4] += error[x] * error[x]


@inlined_kernel
def _find_moments(
    maps: Floats, s: int, t: int, flow: Floats, n: int, inside: Floats, rows: Floats, line: Floats, index: Integers,
    planes: Floats, moments: Floats,
) -> None:  # fmt: skip
    """Weighted products of gradients and errors, averaged over the windows: xx, xy, yy, xe, ye."""
    channels, height, width = maps.shape[1:]
    warped, gx, gy, du, dv, middle = line[0, :width], line[1, :width], line[2, :width], line[3], line[4], line[5]
    share, scale = _ONE / np.float32(channels), np.float32(1 / (channels * ERROR_SCALE))
    for y in range(height):
        rows[:] = 0
        for c in range(channels):
            _warp_row(maps, t, c, flow, n, y, index, du, dv, warped, inside)
            _gradient_row(maps, s, c, y, gx, gy)
            for x in range(width):
                warped[x] -= maps[s, c, y, x]
            _add_products(gx, gy, warped, rows)
        for x in range(width):
            du[x] = share * inside[n, y, x] / (_ONE + scale * rows[5, x + 4])
        for m in range(5):
            for x in range(width):
                rows[m, x + 4] *= du[x]
        _blur_along(rows, middle, moments, y)
    _blur_across(moments, planes, 5)


@inlined_kernel
def _smooth_flow(
    flow: Floats, n: int, moments: Floats, rows: Floats, middle: Floats, planes: Floats, smooth: Floats
) -> None:
    """The flow times its texture, and the texture, averaged over the windows."""
    height, width = smooth.shape[1:]
    for y in range(height):
        for x in range(width):
            rows[2, x + 4] = moments[0, y, x] + moments[2, y, x] + _FLOOR
        for x in range(width):
            rows[0, x + 4] = flow[n, 0, y, x] * rows[2, x + 4]
        for x in range(width):
            rows[1, x + 4] = flow[n, 1, y, x] * rows[2, x + 4]
        _blur_along(rows, middle, smooth, y)
    _blur_across(smooth, planes, 3)


@inlined_kernel
def _step(flow: Floats, n: int, moments: Floats, smooth: Floats, pull: np.float32, du: Floats, dv: Floats) -> None:
    """The Gauss-Newton step of every pixel, with the pull towards the smooth flow."""
    height, width = smooth.shape[1:]
    for y in range(height):
        for x in range(width):
            du[x] = pull * (smooth[0, y, x] / smooth[2, y, x] - flow[n, 0, y, x]) - moments[3, y, x]
        for x in range(width):
            dv[x] = pull * (smooth[1, y, x] / smooth[2, y, x] - flow[n, 1, y, x]) - moments[4, y, x]
        for x in range(width):
            xx, xy, yy = moments[0, y, x] + pull, moments[1, y, x], moments[2, y, x] + pull
            step = (yy * du[x] - xy * dv[x]) / (xx * yy - xy * xy)
            flow[n, 0, y, x] += min(max(step, -_LONGEST), _LONGEST)
        for x in range(width):
            xx, xy, yy = moments[0, y, x] + pull, moments[1, y, x], moments[2, y, x] + pull
            step = (xx * dv[x] - xy * du[x]) / (xx * yy - xy * xy)
            flow[n, 1, y, x] += min(max(step, -_LONGEST), _LONGEST)


@inlined_kernel
def _find_error(
    maps: Floats, s: int, t: int, flow: Floats, n: int, inside: Floats, rows: Floats, line: Floats, index: Integers,
    planes: Floats, smooth: Floats,
) -> None:  # fmt: skip
    """The mean squared difference after alignment over the windows, in the first plane of `smooth`."""
    channels, height, width = maps.shape[1:]
    warped, du, dv, middle = line[0, :width], line[3], line[4], line[5]
    for y in range(height):
        rows[0] = 0
        for c in range(channels):
            _warp_row(maps, t, c, flow, n, y, index, du, dv, warped, inside)
            for x in range(width):
                off = warped[x] - maps[s, c, y, x]
                rows[0, x + 4] += off * off / np.float32(channels)
        _blur_along(rows, middle, smooth[:1], y)
    _blur_across(smooth, planes, 1)


@kernel
def refine_edges(
    maps: Floats,
    sources: Integers,
    targets: Integers,
    iterations: int,
    stiffness: float,
    flow: Floats,
    structure: Floats,
    error: Floats,
    inside: Floats,
    first: int,
    last: int,
) -> None:
    """Gauss-Newton steps of some edges, and the fields of its `OpticalFlow`.

    Args:
        maps: [frame, channel, height, width], at least two pixels each way.
        sources, targets: frame numbers of the edges.
        iterations: at least one.
        stiffness: pulls each pixel towards the texture-weighted mean of its neighbours.
        flow: [edge, 2, height, width] to begin from; holds the result.
        structure: [edge, 3, height, width] is filled.
        error, inside: [edge, height, width] are filled.
        first, last: the edges are those from the first to before the last.
    """
    height, width = maps.shape[2:]
    rows, line = np.zeros((6, width + 8), np.float32), np.empty((6, width + 8), np.float32)
    index, pull = np.empty(width, np.int32), np.float32(stiffness)
    moments, smooth = np.empty((5, height, width), np.float32), np.empty((3, height, width), np.float32)
    planes = np.empty((5, height, width), np.float32)
    for n in range(first, last):
        s, t = sources[n], targets[n]
        for _ in range(iterations):
            _find_moments(maps, s, t, flow, n, inside, rows, line, index, planes, moments)
            _smooth_flow(flow, n, moments, rows, line[5], planes, smooth)
            _step(flow, n, moments, smooth, pull, line[3], line[4])
        structure[n] = moments[:3]
        _find_error(maps, s, t, flow, n, inside, rows, line, index, planes, smooth)
        error[n] = smooth[0]
