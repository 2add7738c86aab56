"""Reprojection and the normal equations of bundle adjustment, edge by edge: the arithmetic of `bundle_adjustment`.

Each inner loop runs over points and writes one row, which is what a compiler turns into vector instructions.
"""

import numpy as np

from video_ae.compiled import Floats, Integers, kernel

NEAREST = 0.05  # depths (in units of the source depth) below this count as behind the camera
BEHIND_PIXELS = 3  # what a match behind the camera costs
_NEAREST, _ONE = np.float32(NEAREST), np.float32(1)


@kernel
def _project(
    points: Floats, inverse_depth: Floats, pose: Floats, focal: np.float32, x: Floats, y: Floats, z: Floats
) -> None:
    """Points in target axes, scaled by the source's inverse depth: depth, and x and y over the clamped depth."""
    rotation, translation = pose[:3, :3], pose[:3, 3]
    for row in range(3):
        out = (x, y, z)[row]
        a, b, c, t = rotation[row, 0] / focal, rotation[row, 1] / focal, rotation[row, 2], translation[row]
        for p in range(len(inverse_depth)):
            out[p] = a * points[0, p] + b * points[1, p] + c + inverse_depth[p] * t
    for p in range(len(inverse_depth)):
        x[p] /= max(z[p], _NEAREST)
    for p in range(len(inverse_depth)):
        y[p] /= max(z[p], _NEAREST)


@kernel
def match_errors(
    points: Floats,
    matched: Floats,
    information: Floats,
    source: Integers,
    poses: Floats,
    inverse_depth: Floats,
    focal_length: float,
    errors: Floats,
    first: int,
    last: int,
) -> None:
    """Squared error of each match; one behind the target camera costs as much as `BEHIND_PIXELS` more.

    Args:
        points: [2, point] in pixels from the principal point.
        matched: [edge, point, 2], the same.
        information: [edge, point, 2, 2].
        source: frame of each edge.
        poses: [edge, 4, 4], target_from_source.
        inverse_depth: [frame, point].
        focal_length: in pixels.
        errors: [edge, point] is filled.
        first, last: the edges are those from the first to before the last.
    """
    count, focal = points.shape[1], np.float32(focal_length)
    x, y, z = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    for n in range(first, last):
        _project(points, inverse_depth[source[n]], poses[n], focal, x, y, z)
        for p in range(count):
            dx, dy = focal * x[p] - matched[n, p, 0], focal * y[p] - matched[n, p, 1]
            xx, xy, yy = information[n, p, 0, 0], information[n, p, 0, 1], information[n, p, 1, 1]
            behind = np.float32(0) if z[p] > _NEAREST else np.float32(BEHIND_PIXELS**2) * (xx + yy)
            errors[n, p] = xx * dx * dx + np.float32(2) * xy * dx * dy + yy * dy * dy + behind


@kernel
def edge_equations(
    points: Floats,
    matched: Floats,
    information: Floats,
    source: Integers,
    poses: Floats,
    inverse_depth: Floats,
    focal_length: float,
    slots: Integers,
    adjoints: Floats,
    blocks: Floats,
    sides: Floats,
    coupling: Floats,
    depth: Floats,
    depth_right: Floats,
    first: int,
    last: int,
) -> None:
    """What the edges of some source frames add to the normal equations.

    Args:
        points, matched, information, source, poses, inverse_depth, focal_length: as in `match_errors`.
        slots: where the target of each edge begins among its source's columns.
        adjoints: [edge, 6, 6] of the poses.
        blocks, sides: [edge, 7, 7] and [edge, 7] are filled.
        coupling: [frame, column, point] is added to.
        depth, depth_right: [frame, point] are added to.
        first, last: the source frames are those from the first to before the last.
    """
    count, focal = points.shape[1], np.float32(focal_length)
    x, y, z = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    rx, ry = np.empty(count, np.float32), np.empty(count, np.float32)
    xx, xy, yy = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    near, dx, dy = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    jx, jy = np.zeros((7, count), np.float32), np.zeros((7, count), np.float32)
    wx, wy = np.empty((7, count), np.float32), np.empty((7, count), np.float32)
    mixed = np.empty((7, count), np.float32)
    for n in range(len(source)):
        s = source[n]
        if s < first or s >= last:
            continue
        pose, d = poses[n], inverse_depth[s]
        _project(points, d, pose, focal, x, y, z)
        for p in range(count):
            rx[p] = focal * x[p] - matched[n, p, 0]
        for p in range(count):
            ry[p] = focal * y[p] - matched[n, p, 1]
        for p in range(count):
            a, b, c = information[n, p, 0, 0], information[n, p, 0, 1], information[n, p, 1, 1]
            error = a * rx[p] * rx[p] + np.float32(2) * b * rx[p] * ry[p] + c * ry[p] * ry[p]
            near[p] = (_ONE if z[p] > _NEAREST else np.float32(0)) / (_ONE + error)
        for p in range(count):
            xx[p] = near[p] * information[n, p, 0, 0]
        for p in range(count):
            xy[p] = near[p] * information[n, p, 0, 1]
        for p in range(count):
            yy[p] = near[p] * information[n, p, 1, 1]
        for p in range(count):
            near[p] = focal / max(z[p], _NEAREST)
        for p in range(count):
            dx[p] = near[p] * (pose[0, 3] - x[p] * pose[2, 3])
        for p in range(count):
            dy[p] = near[p] * (pose[1, 3] - y[p] * pose[2, 3])
        for p in range(count):
            jx[0, p] = -focal * x[p] * y[p]
        for p in range(count):
            jy[0, p] = -focal * (_ONE + y[p] * y[p])
        for p in range(count):
            jx[1, p] = focal * (_ONE + x[p] * x[p])
        for p in range(count):
            jy[1, p] = focal * x[p] * y[p]
        for p in range(count):
            jx[2, p] = -focal * y[p]
        for p in range(count):
            jy[2, p] = focal * x[p]
        for p in range(count):
            jx[3, p] = near[p] * d[p]
        for p in range(count):
            jy[4, p] = near[p] * d[p]
        for p in range(count):
            jx[5, p] = -x[p] * near[p] * d[p]
        for p in range(count):
            jy[5, p] = -y[p] * near[p] * d[p]
        (r00, r01), (r10, r11), (r20, r21) = pose[0, :2] / focal, pose[1, :2] / focal, pose[2, :2] / focal
        for p in range(count):
            turned = r20 * points[0, p] + r21 * points[1, p]
            jx[6, p] = focal * x[p] - near[p] * (r00 * points[0, p] + r01 * points[1, p] - x[p] * turned)
        for p in range(count):
            turned = r20 * points[0, p] + r21 * points[1, p]
            jy[6, p] = focal * y[p] - near[p] * (r10 * points[0, p] + r11 * points[1, p] - y[p] * turned)
        for i in range(7):
            for p in range(count):
                wx[i, p] = xx[p] * jx[i, p] + xy[p] * jy[i, p]
            for p in range(count):
                wy[i, p] = xy[p] * jx[i, p] + yy[p] * jy[i, p]
            for p in range(count):
                mixed[i, p] = wx[i, p] * dx[p] + wy[i, p] * dy[p]
            side = np.float32(0)
            for p in range(count):
                side -= wx[i, p] * rx[p] + wy[i, p] * ry[p]
            sides[n, i] = side
            for j in range(i + 1):
                block = np.float32(0)
                for p in range(count):
                    block += wx[i, p] * jx[j, p] + wy[i, p] * jy[j, p]
                blocks[n, i, j] = block
                blocks[n, j, i] = block
        for p in range(count):
            depth[s, p] += (xx[p] * dx[p] + xy[p] * dy[p]) * dx[p] + (xy[p] * dx[p] + yy[p] * dy[p]) * dy[p]
        for p in range(count):
            depth_right[s, p] -= (xx[p] * dx[p] + xy[p] * dy[p]) * rx[p] + (xy[p] * dx[p] + yy[p] * dy[p]) * ry[p]
        for i in range(6):
            for j in range(6):
                a = adjoints[n, j, i]
                for p in range(count):
                    coupling[s, i, p] -= a * mixed[j, p]
            row = slots[n] + i
            for p in range(count):
                coupling[s, row, p] += mixed[i, p]
        for p in range(count):
            coupling[s, coupling.shape[1] - 1, p] += mixed[6, p]
