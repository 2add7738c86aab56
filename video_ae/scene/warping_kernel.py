"""Frames warped into a view as fused loops: the arithmetic of `forward_warping`."""

from typing import Any

import numpy as np

from video_ae.compiled import Floats, inlined_kernel, kernel
from video_ae.scene.reprojection_kernel import project_pixel

_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_LEAST = np.float32(1e-4)  # inverse depth of what is at infinity


@inlined_kernel
def _span(x: np.float32, reach: np.float32, columns: int) -> tuple[Any, Any]:
    """The first pixel that something of a width reaches, and the one after the last."""
    first = max(np.int32(np.floor(x - reach)) + 1, 0)
    return first, min(np.int32(np.ceil(x + reach)), columns)


@inlined_kernel
def _part(x: np.float32, y: np.float32, reach: np.float32, column: int, row: int) -> Any:
    """How much of a pixel a point covers, 0 to 1."""
    return (_ONE - abs(x - np.float32(column)) / reach) * (_ONE - abs(y - np.float32(row)) / reach)


@kernel
def land_points(
    inverse_depth: Floats, poses: Floats, own: Floats, view: Floats, limits: Floats, rows: int, columns: int,
    landed: Floats,
) -> None:  # fmt: skip
    """Where the pixels of frames land in a view, and how far they reach there.

    Args:
        inverse_depth: [source, row, column], 1 / z that frames see, 0 where it is not known.
        poses: [source, 4, 4], view_from_source.
        own: [source, 4], intrinsics of the frames.
        view: [4], those of the view.
        limits: nearest depth; pixels that a point reaches at most.
        rows, columns: of the view.
        landed: [source, row, column, 4] is filled: x and y in pixels of the view, the reach in pixels, and 1 / z, which
            is 0 where a point lands behind the camera or nowhere near the image.
    """
    count, height, width = inverse_depth.shape
    nearest, most = limits[0], limits[1]
    right, bottom = np.float32(columns) - _ONE, np.float32(rows) - _ONE
    for n in range(count):
        scale = view[0] * np.float32(columns) / (own[n, 0] * np.float32(width))
        for i in range(height):
            v = (np.float32(i) + _HALF) / np.float32(height)
            for j in range(width):
                q, u = inverse_depth[n, i, j], (np.float32(j) + _HALF) / np.float32(width)
                a, b, depth = project_pixel(u, v, q, nearest, poses[n], own[n], view)
                x, y, z = a * np.float32(columns) - _HALF, b * np.float32(rows) - _HALF, _ONE / max(depth, nearest)
                reach = min(max(z / max(q, _LEAST) * scale, _ONE), most)
                near = (x > -reach) & (x - right < reach) & (y > -reach) & (y - bottom < reach)
                point = landed[n, i, j]
                point[0], point[1], point[2] = x, y, reach
                point[3] = z if near & (depth > nearest) & (q > _ZERO) else _ZERO


@kernel
def keep_nearest(landed: Floats, trust: Floats, least_trust: float, least_part: float, surface: Floats) -> None:
    """1 / z of the nearest trusted point of all frames in each pixel of a view.

    Args:
        landed: [source, row, column, 4], as of `land_points`.
        trust: [source, row, column], 0 to 1.
        least_trust: of a point that counts as a surface.
        least_part: of a pixel, 0 to 1, that it covers there.
        surface: [row2, column2] is filled; 0 where there is none.
    """
    count, height, width = trust.shape
    rows, columns = surface.shape
    surface[:] = 0
    for n in range(count):
        for i in range(height):
            for j in range(width):
                x, y, reach, z = landed[n, i, j]
                if z <= _ZERO or trust[n, i, j] < least_trust:
                    continue
                left, right = _span(x, reach, columns)
                for row in range(*_span(y, reach, rows)):
                    for column in range(left, right):
                        if _part(x, y, reach, column, row) > least_part:
                            surface[row, column] = max(surface[row, column], z)


@kernel
def add_points(
    landed: Floats, colors: Floats, trust: Floats, shares: Floats, floor: float, surface: Floats, sums: Floats
) -> None:
    """Weighted sums of the points that land in each pixel of a view, those behind the surface nearly without weight.

    Args:
        landed, trust, surface: as in `keep_nearest`.
        colors: [source, 3, row, column], RGB.
        shares: [source], the weight of each frame.
        floor: weight of a point that no other frame confirms.
        sums: [6, row2, column2] is filled: weight, weight times 1 / z and times colour, covered part times trust.
    """
    count, height, width = trust.shape
    _, rows, columns = sums.shape
    sums[:] = 0
    for n in range(count):
        for i in range(height):
            for j in range(width):
                x, y, reach, z = landed[n, i, j]
                if z <= _ZERO:
                    continue
                weight = shares[n] * (trust[n, i, j] ** 3 + np.float32(floor))
                left, right = _span(x, reach, columns)
                for row in range(*_span(y, reach, rows)):
                    for column in range(left, right):
                        part = _part(x, y, reach, column, row)
                        hidden = z / max(surface[row, column], z)
                        hidden *= hidden
                        hidden *= hidden
                        share = weight * part * hidden * hidden
                        sums[0, row, column] += share
                        sums[1, row, column] += share * z
                        for c in range(3):
                            sums[2 + c, row, column] += share * colors[n, c, i, j]
                        sums[5, row, column] += part * trust[n, i, j]
