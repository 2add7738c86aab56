"""Frames warped into a view as fused loops: the arithmetic of `forward_warping`."""

from typing import Any

import numpy as np

from video_ae.compiled import Floats, kernel
from video_ae.scene.color_kernel import project_pixel

_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)


@kernel
def _footprint(
    u: np.float32, v: np.float32, inverse_depth: np.float32, limits: Floats, pose: Floats, own: Floats, view: Floats,
    width: int, rows: int, columns: int,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """Where a pixel of a frame lands in a view, in pixels, how far it reaches there, and 1 / z; 0 where it lands behind
    the camera or nowhere near the image."""
    a, b, depth = project_pixel(u, v, inverse_depth, limits[0], pose, own, view)
    x, y = a * np.float32(columns) - _HALF, b * np.float32(rows) - _HALF
    if not (depth > limits[0]):
        return x, y, _ONE, _ZERO
    z = _ONE / depth
    larger = z / inverse_depth * (view[0] * np.float32(columns)) / (own[0] * np.float32(width))
    reach = min(max(larger, _ONE), limits[4])
    near = (
        (x > -reach) & (x < np.float32(columns) - _ONE + reach) & (y > -reach) & (y < np.float32(rows) - _ONE + reach)
    )
    return x, y, reach, z if near else _ZERO


@kernel
def _span(x: np.float32, reach: np.float32, columns: int) -> tuple[Any, Any]:
    """The first pixel that something of a width reaches, and the one after the last."""
    first = max(np.int32(np.floor(x - reach)) + 1, 0)
    return first, min(np.int32(np.ceil(x + reach)), columns)


@kernel
def keep_nearest(
    inverse_depth: Floats,
    trust: Floats,
    poses: Floats,
    own: Floats,
    view: Floats,
    limits: Floats,
    surface: Floats,
) -> None:
    """1 / z of the nearest trusted point of all frames in each pixel of a view.

    Args:
        inverse_depth: [source, row, column], 1 / z that frames see, 0 where it is not known.
        trust: [source, row, column], 0 to 1.
        poses: [source, 4, 4], view_from_source.
        own: [source, 4], intrinsics of the frames.
        view: [4], those of the view.
        limits: nearest depth; least trust, and least part of a pixel that a point covers, to count as a surface; the
            trust that even a point has that no other frame confirms; pixels that a point reaches at most.
        surface: [row2, column2] is filled; 0 where there is none.
    """
    count, height, width = inverse_depth.shape
    rows, columns = surface.shape
    least_trust, least_part = limits[1], limits[2]
    surface[:] = 0
    for n in range(count):
        for i in range(height):
            v = (np.float32(i) + _HALF) / np.float32(height)
            for j in range(width):
                q = inverse_depth[n, i, j]
                if q <= _ZERO or trust[n, i, j] < least_trust:
                    continue
                u = (np.float32(j) + _HALF) / np.float32(width)
                x, y, reach, z = _footprint(u, v, q, limits, poses[n], own[n], view, width, rows, columns)
                if z <= _ZERO:
                    continue
                top, bottom = _span(y, reach, rows)
                left, right = _span(x, reach, columns)
                for row in range(top, bottom):
                    beside = _ONE - abs(y - np.float32(row)) / reach
                    for column in range(left, right):
                        part = beside * (_ONE - abs(x - np.float32(column)) / reach)
                        if part > least_part:
                            surface[row, column] = max(surface[row, column], z)


@kernel
def add_points(
    inverse_depth: Floats,
    colors: Floats,
    trust: Floats,
    shares: Floats,
    poses: Floats,
    own: Floats,
    view: Floats,
    limits: Floats,
    surface: Floats,
    sums: Floats,
) -> None:
    """Weighted sums of the points that land in each pixel of a view, those behind the surface nearly without weight.

    Args:
        inverse_depth, trust, poses, own, view, limits, surface: as in `keep_nearest`.
        colors: [source, 3, row, column].
        shares: [source], the weight of each frame.
        sums: [6, row2, column2] is filled: weight, weight times 1 / z and times colour, covered part.
    """
    count, height, width = inverse_depth.shape
    _, rows, columns = sums.shape
    least_trust = limits[3]
    sums[:] = 0
    for n in range(count):
        for i in range(height):
            v = (np.float32(i) + _HALF) / np.float32(height)
            for j in range(width):
                q = inverse_depth[n, i, j]
                if q <= _ZERO:
                    continue
                u = (np.float32(j) + _HALF) / np.float32(width)
                x, y, reach, z = _footprint(u, v, q, limits, poses[n], own[n], view, width, rows, columns)
                if z <= _ZERO:
                    continue
                weight = shares[n] * (trust[n, i, j] ** 3 + least_trust)
                top, bottom = _span(y, reach, rows)
                left, right = _span(x, reach, columns)
                for row in range(top, bottom):
                    beside = _ONE - abs(y - np.float32(row)) / reach
                    for column in range(left, right):
                        part = beside * (_ONE - abs(x - np.float32(column)) / reach)
                        hidden = min(z / max(surface[row, column], z), _ONE)
                        hidden *= hidden
                        hidden *= hidden
                        share = weight * part * hidden * hidden
                        sums[0, row, column] += share
                        sums[1, row, column] += share * z
                        sums[2, row, column] += share * colors[n, 0, i, j]
                        sums[3, row, column] += share * colors[n, 1, i, j]
                        sums[4, row, column] += share * colors[n, 2, i, j]
                        sums[5, row, column] += part * trust[n, i, j]
