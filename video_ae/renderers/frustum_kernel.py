"""Rays through a multiplane volume as one fused loop: the arithmetic of `FrustumRenderer`, without gradients."""

import numpy as np

from video_ae.compiled import Floats, kernel

_NEGLIGIBLE = np.float32(1e-6)  # weights below it are left out, and rays with so little transparency end
_ZERO, _ONE, _HALF, _LEAST = np.float32(0), np.float32(1), np.float32(0.5), np.float32(1e-3)


@kernel
def _transparency(density: Floats, out: Floats) -> None:
    """exp(-density) to 4e-6 of its value, by a polynomial of a 64th and six squarings, which run side by side."""
    for x in range(len(out)):
        t = -min(density[x], np.float32(40)) / np.float32(64)
        e = _ONE + t * (
            _ONE + t / 2 * (_ONE + t / 3 * (_ONE + t / 4 * (_ONE + t / 5 * (_ONE + t / 6 * (_ONE + t / 7)))))
        )
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        out[x] = e * e


@kernel
def _meet_plane(
    rays: Floats, pose: Floats, intrinsics: Floats, q: np.float32, columns: int, rows: int,
    u: Floats, v: Floats, disparity: Floats, inside: Floats,
) -> None:  # fmt: skip
    """Where the rays of a row meet a plane: in pixels of the reference, and 1 / z in the view; 1 where both see it."""
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
    rays, left = np.empty((3, width), np.float32), np.empty(width, np.float32)
    u, v, near, inside = (np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32),
                          np.empty(width, np.float32))  # fmt: skip
    weight, index, across = np.empty(width, np.float32), np.empty(width, np.int64), min(columns - 1, 1)
    down = min(rows - 1, 1) * columns
    flat = features.reshape(3, count * rows * columns)
    flat_density = density.reshape(count * rows * columns)
    for number in range(first, last):
        view, y = number // height, number % height
        pose, own = poses[view], view_intrinsics[view]
        ray_y = ((np.float32(y) + _HALF) / np.float32(height) - own[3]) / own[1]
        for i in range(3):
            for x in range(width):
                ray_x = ((np.float32(x) + _HALF) / np.float32(width) - own[2]) / own[0]
                rays[i, x] = pose[i, 0] * ray_x + pose[i, 1] * ray_y + pose[i, 2]
        left[:] = 1
        disparity[view, y], opacity[view, y] = 0, 0
        rgb[view, :, y] = 0
        for p in range(count):
            _meet_plane(rays, pose, intrinsics, planes[p], columns, rows, u, v, near, inside)
            for x in range(width):
                column = min(max(np.int32(u[x]), np.int32(0)), np.int32(max(columns - 2, 0)))
                row = min(max(np.int32(v[x]), np.int32(0)), np.int32(max(rows - 2, 0)))
                u[x] -= np.float32(column)
                v[x] -= np.float32(row)
                index[x] = (p * rows + row) * columns + column
            for x in range(width):
                i = index[x]
                upper = flat_density[i] + u[x] * (flat_density[i + across] - flat_density[i])
                lower = flat_density[i + down] + u[x] * (flat_density[i + down + across] - flat_density[i + down])
                weight[x] = upper + v[x] * (lower - upper)
            _transparency(weight, weight)
            most = _ZERO
            for x in range(width):
                weight[x] = (_ONE - weight[x]) * inside[x]
            for x in range(width):
                here = left[x] * weight[x]
                left[x] -= here
                weight[x] = here
            for x in range(width):
                most = max(most, left[x])
            for x in range(width):
                opacity[view, y, x] += weight[x]
            for x in range(width):
                disparity[view, y, x] += weight[x] * near[x]
            for x in range(width):
                if weight[x] > _NEGLIGIBLE:
                    i = index[x]
                    for c in range(3):
                        upper = flat[c, i] + u[x] * (flat[c, i + across] - flat[c, i])
                        lower = flat[c, i + down] + u[x] * (flat[c, i + down + across] - flat[c, i + down])
                        rgb[view, c, y, x] += weight[x] * (upper + v[x] * (lower - upper))
            if most < _NEGLIGIBLE:
                break
