"""Rays through a multiplane volume as one fused loop: the arithmetic of `FrustumRenderer`, without gradients."""

import math

import numpy as np

from video_ae.compiled import Floats, Integers, inlined_kernel, kernel
from video_ae.geometry.bilinear import mixed

_BLOCK = 64  # rays that go through the planes together
_NEGLIGIBLE = np.float32(1e-6)  # weights below it are left out, and rays with so little transparency end
_ZERO, _ONE, _HALF, _LEAST = np.float32(0), np.float32(1), np.float32(0.5), np.float32(1e-3)
_C2, _C3, _C4, _C5, _C6 = (np.float32(1 / math.factorial(i)) for i in range(2, 7))  # of the exponential series


@inlined_kernel
def decay(depth: np.float32) -> np.float32:
    """exp(-depth) to 4e-6 of its value: a polynomial of a 64th and six squarings, which can be done for several values
    at a time.

    Args:
        depth: at least 0; above 40 it counts as 40.
    """
    t = -min(depth, np.float32(40)) / np.float32(64)
    e = _ONE + t * (_ONE + t * (_C2 + t * (_C3 + t * (_C4 + t * (_C5 + t * _C6)))))
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return e


@inlined_kernel
def _meet_plane(
    rays: Floats, pose: Floats, intrinsics: Floats, q: np.float32, columns: int, rows: int,
    u: Floats, v: Floats, disparity: Floats, inside: Floats,
) -> np.float32:  # fmt: skip
    """Where rays meet a plane: in pixels of the reference, and 1 / z in the view; 1 where both see it, and how many."""
    ahead = _ONE - q * pose[2, 3]
    fx, fy, cx, cy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    for x in range(len(u)):
        disparity[x] = ahead / max(rays[2, x], _LEAST)
    for x in range(len(u)):
        u[x] = (disparity[x] * rays[0, x] + q * pose[0, 3]) * fx + cx
    for x in range(len(u)):
        v[x] = (disparity[x] * rays[1, x] + q * pose[1, 3]) * fy + cy
    for x in range(len(u)):
        seen = (u[x] > _ZERO) & (u[x] < _ONE) & (v[x] > _ZERO) & (v[x] < _ONE)
        inside[x] = _ONE if seen & (disparity[x] > _LEAST) & (rays[2, x] > _LEAST) & (q > _ZERO) else _ZERO
    for x in range(len(u)):
        disparity[x] = q / max(disparity[x], _LEAST)
    right, bottom = np.float32(columns - 1), np.float32(rows - 1)
    for x in range(len(u)):
        u[x] = min(max(u[x] * np.float32(columns) - _HALF, _ZERO), right)
    for x in range(len(u)):
        v[x] = min(max(v[x] * np.float32(rows) - _HALF, _ZERO), bottom)
    total = _ZERO
    for x in range(len(u)):
        total += inside[x]
    return total


@inlined_kernel
def _march(
    densities: Floats, colors: Floats, size: tuple[int, int], planes: Floats, intrinsics: Floats, pose: Floats,
    rays: Floats, buffers: Floats, index: Integers, color: Floats,
) -> None:  # fmt: skip
    """Some rays through all planes, until nothing is left of their light. Rows 0 and 1 of `buffers` become opacity and
    disparity; the other ones are scratch."""
    (rows, columns), length = size, len(index)
    seen, nearness, left, u, v = buffers[0], buffers[1], buffers[2], buffers[3], buffers[4]
    near, weight, across, down = buffers[5], buffers[6], min(columns - 1, 1), min(rows - 1, 1) * columns
    left[:], seen[:], nearness[:], color[:] = 1, 0, 0, 0
    for p in range(len(planes)):
        if _meet_plane(rays, pose, intrinsics, planes[p], columns, rows, u, v, near, weight) == _ZERO:
            continue
        for x in range(length):
            column = min(max(np.int32(u[x]), np.int32(0)), np.int32(max(columns - 2, 0)))
            row = min(max(np.int32(v[x]), np.int32(0)), np.int32(max(rows - 2, 0)))
            u[x] -= np.float32(column)
            v[x] -= np.float32(row)
            index[x] = (p * rows + row) * columns + column
        for x in range(length):
            weight[x] *= mixed(densities, 0, index[x], u[x], v[x], across, down)
        for x in range(length):
            weight[x] = left[x] * (_ONE - decay(weight[x]))
        for x in range(length):
            left[x] -= weight[x]
        for x in range(length):
            seen[x] += weight[x]
        for x in range(length):
            nearness[x] += weight[x] * near[x]
        for x in range(length):
            if weight[x] > _NEGLIGIBLE:
                for c in range(3):
                    color[c, x] += weight[x] * mixed(colors, c, index[x], u[x], v[x], across, down)
        most = _ZERO
        for x in range(length):
            most = max(most, left[x])
        if most < _NEGLIGIBLE:
            break


@kernel
def render_rows(
    density: Floats,
    features: Floats,
    planes: Floats,
    intrinsics: Floats,
    poses: Floats,
    view_intrinsics: Floats,
    rgb: Floats,
    disparity: Floats,
    opacity: Floats,
    first: int,
    last: int,
) -> None:
    """Some rows of all views, counted through.

    Args:
        density: [plane, row, column].
        features: [3, plane, row, column].
        planes: [plane], their inverse depths, nearest first.
        intrinsics: [4] of the reference camera.
        poses: [view, 4, 4], reference_from_view.
        view_intrinsics: [view, 4].
        rgb: [view, 3, height, width] is filled.
        disparity, opacity: [view, height, width] are filled.
        first, last: the rows are those from the first to before the last.
    """
    count, rows, columns = density.shape
    height, width = opacity.shape[1:]
    scratch = np.empty(13 * _BLOCK, np.float32)
    all_indices = np.empty(_BLOCK, np.int64)
    colors, densities = features.reshape(3, count * rows * columns), density.reshape(1, count * rows * columns)
    for number in range(first, last):
        view, y = number // height, number % height
        pose, own = poses[view], view_intrinsics[view]
        ray_y = ((np.float32(y) + _HALF) / np.float32(height) - own[3]) / own[1]
        for begin in range(0, width, _BLOCK):
            end = min(begin + _BLOCK, width)
            length = end - begin
            rows_of_block = scratch[: 13 * length].reshape(13, length)
            rays, buffers, color = rows_of_block[:3], rows_of_block[3:10], rows_of_block[10:]
            for i in range(3):
                for x in range(length):
                    ray_x = ((np.float32(begin + x) + _HALF) / np.float32(width) - own[2]) / own[0]
                    rays[i, x] = pose[i, 0] * ray_x + pose[i, 1] * ray_y + pose[i, 2]
            size, index = (rows, columns), all_indices[:length]
            _march(densities, colors, size, planes, intrinsics, pose, rays, buffers, index, color)
            opacity[view, y, begin:end], disparity[view, y, begin:end] = buffers[0], buffers[1]
            rgb[view, :, y, begin:end] = color
