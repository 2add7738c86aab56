"""Frames warped into a view as fused loops: the arithmetic of `forward_warping`."""

from typing import Any

import numpy as np

from video_ae.compiled import Floats, kernel
from video_ae.scene.color_kernel import project_pixel

_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)


@kernel
def _corners(
    u: np.float32, v: np.float32, inverse_depth: np.float32, nearest: np.float32, pose: Floats, own: Floats,
    view: Floats, rows: int, columns: int,
) -> tuple[Any, Any, Any, Any, Any]:  # fmt: skip
    """First of the four pixels of a view that a pixel of a frame lands between, how far between them it lies, and 1 / z
    there; 0 where it lands behind the camera or nowhere near the image."""
    a, b, depth = project_pixel(u, v, inverse_depth, nearest, pose, own, view)
    x, y = a * np.float32(columns) - _HALF, b * np.float32(rows) - _HALF
    inside = (x > -_ONE) & (x < np.float32(columns)) & (y > -_ONE) & (y < np.float32(rows)) & (depth > nearest)
    if not inside:
        return 0, 0, _ZERO, _ZERO, _ZERO
    column, row = np.int32(np.floor(x)), np.int32(np.floor(y))
    return row, column, x - np.float32(column), y - np.float32(row), _ONE / depth


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
            trust that even a point has that no other frame confirms.
        surface: [row2, column2] is filled; 0 where there is none.
    """
    count, height, width = inverse_depth.shape
    rows, columns = surface.shape
    nearest, least_trust, least_part = limits[0], limits[1], limits[2]
    surface[:] = 0
    for n in range(count):
        for i in range(height):
            v = (np.float32(i) + _HALF) / np.float32(height)
            for j in range(width):
                q = inverse_depth[n, i, j]
                if q <= _ZERO or trust[n, i, j] < least_trust:
                    continue
                u = (np.float32(j) + _HALF) / np.float32(width)
                row, column, dx, dy, z = _corners(u, v, q, nearest, poses[n], own[n], view, rows, columns)
                if z <= _ZERO:
                    continue
                for k in range(4):
                    right, down = k % 2, k // 2
                    part = (dx if right else _ONE - dx) * (dy if down else _ONE - dy)
                    y, x = row + down, column + right
                    if part > least_part and 0 <= y < rows and 0 <= x < columns:
                        surface[y, x] = max(surface[y, x], z)


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
    nearest, least_trust = limits[0], limits[3]
    sums[:] = 0
    for n in range(count):
        for i in range(height):
            v = (np.float32(i) + _HALF) / np.float32(height)
            for j in range(width):
                q = inverse_depth[n, i, j]
                if q <= _ZERO:
                    continue
                u = (np.float32(j) + _HALF) / np.float32(width)
                row, column, dx, dy, z = _corners(u, v, q, nearest, poses[n], own[n], view, rows, columns)
                if z <= _ZERO:
                    continue
                weight = shares[n] * (trust[n, i, j] ** 3 + least_trust)
                for k in range(4):
                    right, down = k % 2, k // 2
                    y, x = row + down, column + right
                    if 0 <= y < rows and 0 <= x < columns:
                        part = (dx if right else _ONE - dx) * (dy if down else _ONE - dy)
                        behind = min(z / surface[y, x], _ONE) if surface[y, x] > _ZERO else _ONE
                        behind *= behind
                        behind *= behind
                        share = weight * part * behind * behind
                        sums[0, y, x] += share
                        sums[1, y, x] += share * z
                        sums[2, y, x] += share * colors[n, 0, i, j]
                        sums[3, y, x] += share * colors[n, 1, i, j]
                        sums[4, y, x] += share * colors[n, 2, i, j]
                        sums[5, y, x] += part
