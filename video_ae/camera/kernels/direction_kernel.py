"""The fit of every direction of translation to every edge: the arithmetic of `direction_search.motion_costs`."""

from typing import Any

import numpy as np

from video_ae.compiled import Doubles, Floats, inlined_kernel, kernel

_ONE, _ZERO, _FLOOR = np.float32(1), np.float32(0), np.float32(1e-3)
_FACTORS = 8  # of a product whose logarithm is taken: eight squared errors of 1e30 stay finite in float64


@inlined_kernel
def _solve(a: Doubles, right: Doubles, out: Doubles) -> None:
    """A symmetric 3x3 system, with the ridge of `direction_search`, by its adjugate."""
    ridge = (a[0] + a[3] + a[5]) / 3 * 1e-3 + 1e-3
    xx, xy, xz, yy, yz, zz = a[0] + ridge, a[1], a[2], a[3] + ridge, a[4], a[5] + ridge
    c0, c1, c2 = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    scale = 1 / (xx * c0 + xy * c1 + xz * c2)
    out[0] = (c0 * right[0] + c1 * right[1] + c2 * right[2]) * scale
    out[1] = (c1 * right[0] + (xx * zz - xz * xz) * right[1] + (xy * xz - xx * yz) * right[2]) * scale
    out[2] = (c2 * right[0] + (xy * xz - xx * yz) * right[1] + (xx * yy - xy * xy) * right[2]) * scale


@inlined_kernel
def _sum_of_logarithms(values: Floats) -> float:
    """Of positive values; one logarithm for eight of them."""
    total, count = 0.0, len(values)
    for begin in range(0, count, _FACTORS):
        product = 1.0
        for p in range(begin, min(begin + _FACTORS, count)):
            product *= values[p]
        total += np.log(product)
    return total


@inlined_kernel
def _face_lines(
    flow: Floats, information: Floats, rays: Floats, direction: Floats, rotational: Floats, focal: np.float32,
    rows: Floats, jacobian: Floats,
) -> None:  # fmt: skip
    """The epipolar lines of a direction. Rows: parallax x and y (flow at inverse depth 1), information along the line
    and across it (per squared normal), the flow across it; the Jacobian is the flow across it by each rotation."""
    px, py, along, across, offset = rows[0], rows[1], rows[2], rows[3], rows[4]
    fx, fy, xx, xy, yy = flow[0], flow[1], information[0], information[1], information[3]
    for p in range(len(px)):
        px[p] = focal * (direction[0] - rays[0, p] * direction[2])
    for p in range(len(px)):
        py[p] = focal * (direction[1] - rays[1, p] * direction[2])
    for p in range(len(px)):
        along[p] = (xx[p] * px[p] + xy[p] * py[p]) * px[p] + (xy[p] * px[p] + yy[p] * py[p]) * py[p] + _FLOOR
    for p in range(len(px)):
        across[p] = (xx[p] * yy[p] - xy[p] * xy[p]) / along[p]
    for p in range(len(px)):
        offset[p] = px[p] * fy[p] - py[p] * fx[p]
    for i in range(3):
        for p in range(len(px)):
            jacobian[i, p] = px[p] * rotational[3 + i, p] - py[p] * rotational[i, p]


@inlined_kernel
def _rotate(rows: Floats, j: Floats, rounds: int, matrix: Doubles, right: Doubles, turn: Doubles) -> None:
    """The rotation that brings points onto their lines, by iteratively reweighted least squares."""
    across, offset = rows[3], rows[4]
    turn[:] = 0
    for _ in range(rounds):
        t0, t1, t2 = np.float32(turn[0]), np.float32(turn[1]), np.float32(turn[2])
        m0 = m1 = m2 = m3 = m4 = m5 = r0 = r1 = r2 = _ZERO
        for p in range(len(offset)):
            residual = offset[p] - j[0, p] * t0 - j[1, p] * t1 - j[2, p] * t2
            weight = across[p] / (_ONE + across[p] * residual * residual)
            w0, w1, w2 = weight * j[0, p], weight * j[1, p], weight * j[2, p]
            m0 += w0 * j[0, p]
            m1 += w0 * j[1, p]
            m2 += w0 * j[2, p]
            m3 += w1 * j[1, p]
            m4 += w1 * j[2, p]
            m5 += w2 * j[2, p]
            r0 += w0 * offset[p]
            r1 += w1 * offset[p]
            r2 += w2 * offset[p]
        matrix[:] = m0, m1, m2, m3, m4, m5
        right[:] = r0, r1, r2
        _solve(matrix, right, turn)


@inlined_kernel
def _place_points(
    flow: Floats, information: Floats, rotational: Floats, turn: Doubles, rows: Floats
) -> tuple[Any, Any]:
    """Each point's inverse depth, and its squared errors with and without it (rows 5, 6 and 7 of `rows`; the flow that
    is left takes the memory of 3 and 4). Returns the weighted sum of inverse depths and that of the weights."""
    px, py, along, rx, ry = rows[0], rows[1], rows[2], rows[3], rows[4]
    inverse_depth, error, across_error = rows[5], rows[6], rows[7]
    fx, fy, xx, xy, yy = flow[0], flow[1], information[0], information[1], information[3]
    t0, t1, t2 = np.float32(turn[0]), np.float32(turn[1]), np.float32(turn[2])
    for p in range(len(px)):
        rx[p] = fx[p] - rotational[0, p] * t0 - rotational[1, p] * t1 - rotational[2, p] * t2
    for p in range(len(px)):
        ry[p] = fy[p] - rotational[3, p] * t0 - rotational[4, p] * t1 - rotational[5, p] * t2
    for p in range(len(px)):
        ax, ay = xx[p] * px[p] + xy[p] * py[p], xy[p] * px[p] + yy[p] * py[p]
        inverse_depth[p] = (ax * rx[p] + ay * ry[p]) / along[p]
    for p in range(len(px)):
        error[p] = (xx[p] * rx[p] + xy[p] * ry[p]) * rx[p] + (xy[p] * rx[p] + yy[p] * ry[p]) * ry[p]
    for p in range(len(px)):
        across_error[p] = max(error[p] - inverse_depth[p] * inverse_depth[p] * along[p], _ZERO)
    weighted, support = _ZERO, _ZERO
    for p in range(len(px)):
        share = along[p] / (_ONE + across_error[p])
        support += share
        weighted += share * inverse_depth[p]
    return weighted, support


@inlined_kernel
def _cost(rows: Floats, sign: np.float32) -> float:
    """The Cauchy cost of one sign of the motion, which does not explain points of negative depth."""
    inverse_depth, error, across_error, factors = rows[5], rows[6], rows[7], rows[8]
    for p in range(len(factors)):
        factors[p] = _ONE + (across_error[p] if sign * inverse_depth[p] > _ZERO else error[p])
    return _sum_of_logarithms(factors)


@kernel
def fit_directions(
    flow: Floats,
    information: Floats,
    rays: Floats,
    directions: Floats,
    rotational: Floats,
    focal_length: float,
    rounds: int,
    cost: Floats,
    rotation: Floats,
    length: Floats,
    first: int,
    last: int,
) -> None:
    """Cost, rotation and length of some edges for every direction, whose opposites follow in the second half.

    Args:
        flow: [edge, 2, point] in pixels, derotated.
        information: [edge, 4, point], the 2x2 matrices by rows.
        rays: [2, point], image points at z = 1.
        directions: [direction, 3], unit vectors.
        rotational: [6, point], flow by each axis of rotation: three for x, three for y.
        focal_length: in pixels.
        rounds: of iteratively reweighted least squares.
        cost, length: [edge, 2 direction] are filled.
        rotation: [edge, 2 direction, 3] is filled.
        first, last: the edges are those from the first to before the last.
    """
    count, half, focal = rays.shape[1], len(directions), np.float32(focal_length)
    rows, jacobian = np.empty((9, count), np.float32), np.empty((3, count), np.float32)
    matrix, right, turn = np.empty(6), np.empty(3), np.zeros(3)
    for n in range(first, last):
        for k in range(half):
            _face_lines(flow[n], information[n], rays, directions[k], rotational, focal, rows, jacobian)
            _rotate(rows, jacobian, rounds, matrix, right, turn)
            weighted, support = _place_points(flow[n], information[n], rotational, turn, rows)
            cost[n, k], cost[n, half + k] = _cost(rows, _ONE), _cost(rows, -_ONE)
            length[n, k], length[n, half + k] = weighted / support, -weighted / support
            for i in range(3):
                rotation[n, k, i] = turn[i]
                rotation[n, half + k, i] = turn[i]
