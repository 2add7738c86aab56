"""Reprojection and the normal equations of bundle adjustment, edge by edge: the arithmetic of `bundle_adjustment`.

Each inner loop runs over points and writes one row, which is what a compiler turns into vector instructions.
"""

import numpy as np

from video_ae.compiled import Floats, Integers, inlined_kernel, kernel

NEAREST = 0.05  # depths (in units of the source depth) below this count as behind the camera
BEHIND_PIXELS = 3  # what a match behind the camera costs
_NEAREST, _ONE = np.float32(NEAREST), np.float32(1)


@inlined_kernel
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


@inlined_kernel
def _weigh(
    matched: Floats, information: Floats, n: int, focal: np.float32, x: Floats, y: Floats, z: Floats,
    residual: Floats, weights: Floats,
) -> None:  # fmt: skip
    """Residuals of an edge (x, y), and its information (xx, xy, yy) reweighted by the Cauchy cost."""
    rx, ry, xx, xy, yy = residual[0], residual[1], weights[0], weights[1], weights[2]
    for p in range(len(x)):
        rx[p] = focal * x[p] - matched[n, p, 0]
    for p in range(len(x)):
        ry[p] = focal * y[p] - matched[n, p, 1]
    for p in range(len(x)):
        a, b, c = information[n, p, 0, 0], information[n, p, 0, 1], information[n, p, 1, 1]
        error = a * rx[p] * rx[p] + np.float32(2) * b * rx[p] * ry[p] + c * ry[p] * ry[p]
        xy[p] = (_ONE if z[p] > _NEAREST else np.float32(0)) / (_ONE + error)
    for p in range(len(x)):
        xx[p] = xy[p] * information[n, p, 0, 0]
    for p in range(len(x)):
        yy[p] = xy[p] * information[n, p, 1, 1]
    for p in range(len(x)):
        xy[p] *= information[n, p, 0, 1]


@inlined_kernel
def _differentiate(
    points: Floats, inverse_depth: Floats, pose: Floats, focal: np.float32, x: Floats, y: Floats, z: Floats,
    jx: Floats, jy: Floats,
) -> None:  # fmt: skip
    """Image motion by the target's left twist (rows 0 to 5), the log focal length (6) and each inverse depth (7).

    Rows 4 of `jx` and 3 of `jy` stay zero.
    """
    scale = z  # from here on focal length over depth
    for p in range(len(x)):
        scale[p] = focal / max(z[p], _NEAREST)
    for p in range(len(x)):
        jx[0, p] = -focal * x[p] * y[p]
    for p in range(len(x)):
        jy[0, p] = -focal * (_ONE + y[p] * y[p])
    for p in range(len(x)):
        jx[1, p] = focal * (_ONE + x[p] * x[p])
    for p in range(len(x)):
        jy[1, p] = focal * x[p] * y[p]
    for p in range(len(x)):
        jx[2, p] = -focal * y[p]
    for p in range(len(x)):
        jy[2, p] = focal * x[p]
    for p in range(len(x)):
        jx[3, p] = scale[p] * inverse_depth[p]
    for p in range(len(x)):
        jy[4, p] = scale[p] * inverse_depth[p]
    for p in range(len(x)):
        jx[5, p] = -x[p] * scale[p] * inverse_depth[p]
    for p in range(len(x)):
        jy[5, p] = -y[p] * scale[p] * inverse_depth[p]
    (r00, r01), (r10, r11), (r20, r21) = pose[0, :2] / focal, pose[1, :2] / focal, pose[2, :2] / focal
    for p in range(len(x)):
        turned = r20 * points[0, p] + r21 * points[1, p]
        jx[6, p] = focal * x[p] - scale[p] * (r00 * points[0, p] + r01 * points[1, p] - x[p] * turned)
    for p in range(len(x)):
        turned = r20 * points[0, p] + r21 * points[1, p]
        jy[6, p] = focal * y[p] - scale[p] * (r10 * points[0, p] + r11 * points[1, p] - y[p] * turned)
    for p in range(len(x)):
        jx[7, p] = scale[p] * (pose[0, 3] - x[p] * pose[2, 3])
    for p in range(len(x)):
        jy[7, p] = scale[p] * (pose[1, 3] - y[p] * pose[2, 3])


@inlined_kernel
def _multiply(
    jx: Floats, jy: Floats, residual: Floats, weights: Floats, wx: Floats, wy: Floats, mixed: Floats,
    block: Floats, side: Floats,
) -> None:  # fmt: skip
    """Products of the derivatives: of cameras and focal length among each other (`block`), with each inverse depth
    (rows of `mixed`; the last one is that of the depth itself), and with the residuals (`side`)."""
    count = jx.shape[1]
    for i in range(8):
        for p in range(count):
            wx[p] = weights[0, p] * jx[i, p] + weights[1, p] * jy[i, p]
        for p in range(count):
            wy[p] = weights[1, p] * jx[i, p] + weights[2, p] * jy[i, p]
        for p in range(count):
            mixed[i, p] = wx[p] * jx[7, p] + wy[p] * jy[7, p]
        if i < 7:
            total = np.float32(0)
            for p in range(count):
                total -= wx[p] * residual[0, p] + wy[p] * residual[1, p]
            side[i] = total
            for j in range(i + 1):
                total = np.float32(0)
                for p in range(count):
                    total += wx[p] * jx[j, p] + wy[p] * jy[j, p]
                block[i, j] = block[j, i] = total


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
    rows = np.empty((10, count), np.float32)
    x, y, z, wx, wy, residual, weights = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5:7], rows[7:]
    jx, jy, mixed = np.zeros((8, count), np.float32), np.zeros((8, count), np.float32), np.empty((8, count), np.float32)
    for n in range(len(source)):
        s = source[n]
        if s < first or s >= last:
            continue
        _project(points, inverse_depth[s], poses[n], focal, x, y, z)
        _weigh(matched, information, n, focal, x, y, z, residual, weights)
        _differentiate(points, inverse_depth[s], poses[n], focal, x, y, z, jx, jy)
        _multiply(jx, jy, residual, weights, wx, wy, mixed, blocks[n], sides[n])
        for p in range(count):
            depth[s, p] += mixed[7, p]
        for p in range(count):
            depth_right[s, p] -= wx[p] * residual[0, p] + wy[p] * residual[1, p]  # of the depth, the last row
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
