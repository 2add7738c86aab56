"""Gaussians in a camera as fused loops, forward and backward: the arithmetic of `gaussian_rasterizer.rasterize_slowly`.

Equations: EWA splatting (Zwicker et al. 2001), as in 3D Gaussian Splatting (Kerbl et al. 2023).
"""

from typing import Any

import numpy as np

from video_ae.compiled import Floats, Integers, kernel

SPLAT = 10  # numbers of a projected Gaussian: x, y, conic a / 2, b, c / 2, opacity, red, green, blue, 1 / z
_ZERO, _ONE, _TWO, _HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)


@kernel
def _rotation(quaternion: Floats, R: Floats) -> np.float32:
    """Fills the rotation matrix of (x, y, z, w) of any length, and returns 1 / length."""
    x, y, z, w = quaternion[0], quaternion[1], quaternion[2], quaternion[3]
    inverse = _ONE / np.sqrt(x * x + y * y + z * z + w * w)
    x, y, z, w = x * inverse, y * inverse, z * inverse, w * inverse
    R[0, 0], R[0, 1], R[0, 2] = _ONE - _TWO * (y * y + z * z), _TWO * (x * y - w * z), _TWO * (x * z + w * y)
    R[1, 0], R[1, 1], R[1, 2] = _TWO * (x * y + w * z), _ONE - _TWO * (x * x + z * z), _TWO * (y * z - w * x)
    R[2, 0], R[2, 1], R[2, 2] = _TWO * (x * z - w * y), _TWO * (y * z + w * x), _ONE - _TWO * (x * x + y * y)
    return inverse


@kernel
def _axes(view: Floats, camera: Floats, u: np.float32, v: np.float32, z: np.float32, R: Floats, scale: Floats,
          K: Floats, H: Floats) -> tuple[Any, Any, Any]:  # fmt: skip
    """Fills K, the derivative of pixels by world coordinates, and H = K R diag(scale); returns the covariance H H^T."""
    for i in range(3):
        K[0, i] = camera[0] / z * (view[0, i] - u * view[2, i])
        K[1, i] = camera[1] / z * (view[1, i] - v * view[2, i])
    for r in range(2):
        for j in range(3):
            H[r, j] = (K[r, 0] * R[0, j] + K[r, 1] * R[1, j] + K[r, 2] * R[2, j]) * scale[j]
    xx = H[0, 0] * H[0, 0] + H[0, 1] * H[0, 1] + H[0, 2] * H[0, 2]
    xy = H[0, 0] * H[1, 0] + H[0, 1] * H[1, 1] + H[0, 2] * H[1, 2]
    yy = H[1, 0] * H[1, 0] + H[1, 1] * H[1, 1] + H[1, 2] * H[1, 2]
    return xx, xy, yy


@kernel
def _seen(view: Floats, mean: Floats) -> tuple[Any, Any, Any]:
    """A point in camera axes."""
    x = view[0, 0] * mean[0] + view[0, 1] * mean[1] + view[0, 2] * mean[2] + view[0, 3]
    y = view[1, 0] * mean[0] + view[1, 1] * mean[1] + view[1, 2] * mean[2] + view[1, 3]
    z = view[2, 0] * mean[0] + view[2, 1] * mean[1] + view[2, 2] * mean[2] + view[2, 3]
    return x, y, z


@kernel
def project_gaussians(
    means: Floats, quaternions: Floats, scales: Floats, opacities: Floats, colors: Floats, view: Floats, camera: Floats,
    limits: Floats, splats: Floats, boxes: Integers, first: int, last: int,
) -> None:  # fmt: skip
    """Some Gaussians as they appear in an image.

    Args:
        means, scales, colors: [gaussian, 3].
        quaternions: [gaussian, 4], (x, y, z, w) of any length.
        opacities: [gaussian], 0 to 1.
        view: [4, 4], camera_from_world.
        camera: [4 + 4]: fx, fy, cx, cy in pixels; smallest and largest x / z and y / z at which shapes are taken.
        limits: width, height, least z, least alpha, low-pass variance in pixels.
        splats: [gaussian, 10] is filled where a Gaussian is seen.
        boxes: [gaussian, 4] is filled: first and last column and row (the last ones excluded) that it can reach; empty
            where it is not seen.
        first, last: the Gaussians are those from the first to before the last.
    """
    R, K, H = np.empty((3, 3), np.float32), np.empty((2, 3), np.float32), np.empty((2, 3), np.float32)
    width, height, nearest, least, low_pass = limits[0], limits[1], limits[2], limits[3], limits[4]
    for n in range(first, last):
        boxes[n], splats[n, 9] = 0, 0
        x, y, z = _seen(view, means[n])
        if z < nearest or opacities[n] <= least:
            continue
        u, v = x / z, y / z
        _rotation(quaternions[n], R)
        shape_u, shape_v = min(max(u, camera[4]), camera[5]), min(max(v, camera[6]), camera[7])
        xx, xy, yy = _axes(view, camera, shape_u, shape_v, z, R, scales[n], K, H)
        xx, yy = xx + low_pass, yy + low_pass
        scale = _ONE / (xx * yy - xy * xy)
        x, y = camera[0] * u + camera[2], camera[1] * v + camera[3]
        reach = _TWO * np.log(opacities[n] / least)
        across, down = np.sqrt(reach * xx), np.sqrt(reach * yy)
        splat = splats[n]
        splat[0], splat[1], splat[5], splat[9] = x, y, opacities[n], _ONE / z
        splat[2], splat[3], splat[4] = _HALF * yy * scale, -xy * scale, _HALF * xx * scale
        splat[6], splat[7], splat[8] = colors[n, 0], colors[n, 1], colors[n, 2]
        boxes[n, 0] = np.int32(min(max(np.ceil(x - across - _HALF), _ZERO), width))
        boxes[n, 1] = np.int32(min(max(np.floor(x + across + _HALF), _ZERO), width))
        boxes[n, 2] = np.int32(min(max(np.ceil(y - down - _HALF), _ZERO), height))
        boxes[n, 3] = np.int32(min(max(np.floor(y + down + _HALF), _ZERO), height))


@kernel
def pull_back(
    means: Floats, quaternions: Floats, scales: Floats, view: Floats, camera: Floats, splats: Floats, boxes: Integers,
    sums: Floats, to_means: Floats, to_quaternions: Floats, to_scales: Floats, first: int, last: int,
) -> None:  # fmt: skip
    """Gradients of some Gaussians from those of their images.

    Args:
        means, quaternions, scales, view, camera, splats, boxes: as in `project_gaussians`.
        sums: [gaussian, 10], derivatives by x, y, conic a, b, c, opacity, red, green, blue, 1 / z.
        to_means, to_scales: [gaussian, 3] are filled.
        to_quaternions: [gaussian, 4] is filled.
        first, last: the Gaussians are those from the first to before the last.
    """
    R, K, H = np.empty((3, 3), np.float32), np.empty((2, 3), np.float32), np.empty((2, 3), np.float32)
    to_H, to_K, to_R = np.empty((2, 3), np.float32), np.empty((2, 3), np.float32), np.empty((3, 3), np.float32)
    for n in range(first, last):
        if boxes[n, 0] >= boxes[n, 1] or boxes[n, 2] >= boxes[n, 3]:
            to_means[n], to_quaternions[n], to_scales[n] = 0, 0, 0
            continue
        x, y, z = _seen(view, means[n])
        u, v = x / z, y / z
        inverse = _rotation(quaternions[n], R)
        shape_u, shape_v = min(max(u, camera[4]), camera[5]), min(max(v, camera[6]), camera[7])
        _axes(view, camera, shape_u, shape_v, z, R, scales[n], K, H)
        _pull_covariance(splats[n], sums[n], H, to_H)
        for i in range(3):
            for r in range(2):
                to_K[r, i] = _ZERO
                for j in range(3):
                    to_K[r, i] += to_H[r, j] * R[i, j] * scales[n, j]
            for j in range(3):
                to_R[i, j] = K[0, i] * to_H[0, j] + K[1, i] * to_H[1, j]
        for j in range(3):
            to_scales[n, j] = to_R[0, j] * R[0, j] + to_R[1, j] * R[1, j] + to_R[2, j] * R[2, j]
            for i in range(3):
                to_R[i, j] *= scales[n, j]
        _pull_rotation(quaternions[n], inverse, to_R, to_quaternions[n])
        to_u, to_v, to_z = sums[n, 0] * camera[0], sums[n, 1] * camera[1], -sums[n, 9] / (z * z)
        for i in range(3):
            to_u -= to_K[0, i] * camera[0] / z * view[2, i] if u == shape_u else _ZERO
            to_v -= to_K[1, i] * camera[1] / z * view[2, i] if v == shape_v else _ZERO
            to_z -= (to_K[0, i] * K[0, i] + to_K[1, i] * K[1, i]) / z
        to_x, to_y = to_u / z, to_v / z
        to_z -= to_x * u + to_y * v
        for i in range(3):
            to_means[n, i] = to_x * view[0, i] + to_y * view[1, i] + to_z * view[2, i]


@kernel
def _pull_covariance(splat: Floats, sums: Floats, H: Floats, to_H: Floats) -> None:
    """Through the inverse of H H^T: its gradient is -Q G Q, for a conic Q with the gradient G."""
    a, b, c = _TWO * splat[2], splat[3], _TWO * splat[4]
    to_a, to_b, to_c = sums[2], _HALF * sums[3], sums[4]
    left_x, left_y = to_a * a + to_b * b, to_a * b + to_b * c
    right_x, right_y = to_b * a + to_c * b, to_b * b + to_c * c
    xx, xy, yy = -(a * left_x + b * right_x), -(a * left_y + b * right_y), -(b * left_y + c * right_y)
    for j in range(3):
        to_H[0, j] = _TWO * (xx * H[0, j] + xy * H[1, j])
        to_H[1, j] = _TWO * (xy * H[0, j] + yy * H[1, j])


@kernel
def _pull_rotation(quaternion: Floats, inverse: np.float32, to_R: Floats, to_quaternion: Floats) -> None:
    """Through the rotation matrix and the length of the quaternion, 1 / inverse."""
    x, y, z, w = quaternion[0] * inverse, quaternion[1] * inverse, quaternion[2] * inverse, quaternion[3] * inverse
    xy, xz, yz = to_R[0, 1] + to_R[1, 0], to_R[0, 2] + to_R[2, 0], to_R[1, 2] + to_R[2, 1]
    turn_x, turn_y, turn_z = to_R[2, 1] - to_R[1, 2], to_R[0, 2] - to_R[2, 0], to_R[1, 0] - to_R[0, 1]
    to_x = _TWO * (y * xy + z * xz + w * turn_x - _TWO * x * (to_R[1, 1] + to_R[2, 2]))
    to_y = _TWO * (x * xy + z * yz + w * turn_y - _TWO * y * (to_R[0, 0] + to_R[2, 2]))
    to_z = _TWO * (x * xz + y * yz + w * turn_z - _TWO * z * (to_R[0, 0] + to_R[1, 1]))
    to_w = _TWO * (x * turn_x + y * turn_y + z * turn_z)
    along = x * to_x + y * to_y + z * to_z + w * to_w
    to_quaternion[0], to_quaternion[1] = (to_x - along * x) * inverse, (to_y - along * y) * inverse
    to_quaternion[2], to_quaternion[3] = (to_z - along * z) * inverse, (to_w - along * w) * inverse
