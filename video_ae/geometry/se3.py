"""Rotations and rigid motions as matrices, with exponential and logarithm maps that are smooth at the identity.

kornia's counterparts are not used: in 0.8.1, which we accept, `axis_angle_to_rotation_matrix` is not orthogonal near
zero and has no gradient at zero, and `Se3` hides the translation from the gradient; 0.9.0 has mended all three.
"""

import math

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

_SMALL_ANGLE = 0.25  # below this the Taylor series are exact to float64, and the quotients lose digits to cancellation
_SMALL_SINE = 1e-3  # of half the angle, in the logarithm, where nothing cancels
# Taylor coefficients in t^2; the first ones left out are below 1e-17 at the small angle.
_SINE_SERIES = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(6))  # sin(t) / t
_COSINE_SERIES = tuple((-1) ** k / math.factorial(2 * k + 2) for k in range(6))  # (1 - cos t) / t^2
_CUBIC_SERIES = tuple((-1) ** k / math.factorial(2 * k + 3) for k in range(6))  # (t - sin t) / t^3
_COTANGENT_SERIES = (1 / 12, 1 / 720, 1 / 30240, 1 / 1209600, 1 / 47900160, 691 / 1307674368000)  # see `se3_log`


def skew(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix of the cross product: `skew(a) @ b = a x b`.

    Args:
        vector: left operands of the product.
    """
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(*x.shape, 3, 3)


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """coefficients[0] + coefficients[1] x + ... (Horner)."""
    value = torch.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def _exponential_coefficients(squared_angle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """sin(t)/t, (1 - cos t)/t^2 and (t - sin t)/t^3, from t^2, with finite gradients at 0."""
    small = squared_angle < _SMALL_ANGLE**2
    angle = torch.where(small, torch.ones_like(squared_angle), squared_angle).sqrt()
    near_zero = torch.where(small, squared_angle, torch.zeros_like(squared_angle))
    sine = torch.where(small, _polynomial(near_zero, _SINE_SERIES), angle.sin() / angle)
    cosine = torch.where(small, _polynomial(near_zero, _COSINE_SERIES), (1 - angle.cos()) / angle**2)
    cubic = torch.where(small, _polynomial(near_zero, _CUBIC_SERIES), (angle - angle.sin()) / angle**3)
    return sine, cosine, cubic


def so3_exp(rotation: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of an axis-angle vector (Rodrigues' formula).

    Args:
        rotation: axis times angle, in radians.

    A quarter turn to the right (about y, which points down) takes the viewing direction z to x:

    >>> turn = so3_exp(torch.tensor([0.0, torch.pi / 2, 0.0]))
    >>> (turn @ torch.tensor([0.0, 0.0, 1.0])).round(decimals=4).tolist()
    [1.0, 0.0, 0.0]
    """
    sine, cosine, _ = _exponential_coefficients(rotation.square().sum(-1))
    cross = skew(rotation)
    identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
    return identity + sine[..., None, None] * cross + cosine[..., None, None] * (cross @ cross)


def so3_log(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Axis-angle vector in radians of a rotation matrix; the angle lies in [0, pi].

    Goes through the unit quaternion, so that angles near pi stay exact.

    Args:
        matrix: rotation matrices.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in matrix.unbind(-2))
    trace = xx + yy + zz
    # Four equivalent quaternions (w, x, y, z), each scaled by another component; take the best conditioned.
    candidates = torch.stack(
        [
            torch.stack([1 + trace, zy - yz, xz - zx, yx - xy], -1),
            torch.stack([zy - yz, 1 + 2 * xx - trace, yx + xy, xz + zx], -1),
            torch.stack([xz - zx, yx + xy, 1 + 2 * yy - trace, zy + yz], -1),
            torch.stack([yx - xy, xz + zx, zy + yz, 1 + 2 * zz - trace], -1),
        ],
        -2,
    )
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)
    quaternion = candidates.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    quaternion = quaternion / quaternion.norm(dim=-1, keepdim=True)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, vector = quaternion[..., 0], quaternion[..., 1:]
    squared = vector.square().sum(-1)
    small = squared < _SMALL_SINE**2
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    factor = torch.where(small, (2 - 2 * squared / (3 * w.square())) / w, 2 * torch.atan2(sine, w) / sine)
    return factor[..., None] * vector


def se3_exp(twist: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 4 4"]:
    """Rigid motion of a twist (the exponential map).

    Args:
        twist: three rotations in radians, then three translations in the scene's unit.

    >>> se3_exp(torch.tensor([0.0, 0.0, 0.0, 1.0, 2.0, 3.0]))[:3, 3].tolist()
    [1.0, 2.0, 3.0]
    """
    rotation, translation = twist[..., :3], twist[..., 3:]
    sine, cosine, cubic = _exponential_coefficients(rotation.square().sum(-1))
    cross = skew(rotation)
    identity = torch.eye(3, dtype=twist.dtype, device=twist.device)
    squared = cross @ cross
    matrix = identity + sine[..., None, None] * cross + cosine[..., None, None] * squared
    left_jacobian = identity + cosine[..., None, None] * cross + cubic[..., None, None] * squared
    return rigid(matrix, (left_jacobian @ translation[..., None]).squeeze(-1))


def se3_log(pose: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 6"]:
    """The twist whose `se3_exp` is the given rigid motion.

    Args:
        pose: rigid 4x4 matrices.
    """
    rotation = so3_log(pose[..., :3, :3])
    squared_angle = rotation.square().sum(-1)
    small = squared_angle < _SMALL_ANGLE**2
    half = torch.where(small, torch.ones_like(squared_angle), squared_angle).sqrt() / 2
    quotient = (1 - half * half.cos() / half.sin()) / (4 * half**2)
    near_zero = torch.where(small, squared_angle, torch.zeros_like(squared_angle))
    # (1 - t/2 cot(t/2)) / t^2
    coefficient = torch.where(small, _polynomial(near_zero, _COTANGENT_SERIES), quotient)
    cross = skew(rotation)
    identity = torch.eye(3, dtype=pose.dtype, device=pose.device)
    inverse_jacobian = identity - cross / 2 + coefficient[..., None, None] * (cross @ cross)
    return torch.cat([rotation, (inverse_jacobian @ pose[..., :3, 3:]).squeeze(-1)], -1)


def rigid(rotation: Float[Tensor, "*batch 3 3"], translation: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4 4"]:
    """The 4x4 matrix of a rotation followed by a translation.

    Args:
        rotation: rotation matrices.
        translation: applied after the rotation.
    """
    top = torch.cat([rotation, translation[..., None]], -1)
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=top.dtype, device=top.device).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], -2)


def invert(pose: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """The inverse of a rigid motion: `invert(a_from_b)` is `b_from_a`.

    Args:
        pose: rigid 4x4 matrices.

    >>> pose = se3_exp(torch.tensor([0.1, -0.2, 0.3, 1.0, 2.0, 3.0]))
    >>> torch.allclose(invert(pose) @ pose, torch.eye(4), atol=1e-6)
    True
    """
    transposed = pose[..., :3, :3].transpose(-1, -2)
    return rigid(transposed, -(transposed @ pose[..., :3, 3:]).squeeze(-1))


def relative_to_first(world_from_camera: Float[Tensor, "*batch frame 4 4"]) -> Float[Tensor, "*batch frame 4 4"]:
    """The same poses in the coordinates of the first frame's camera, whose pose becomes exactly the identity.

    Args:
        world_from_camera: poses in any world. Dtype and device are kept.

    >>> poses = se3_exp(torch.tensor([[0.1, 0.2, 0.3, 1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 4.0, 5.0, 6.0]]))
    >>> torch.equal(relative_to_first(poses)[0], torch.eye(4))
    True
    """
    relative = invert(world_from_camera[..., :1, :, :]) @ world_from_camera
    relative[..., :1, :, :] = torch.eye(4, dtype=relative.dtype, device=relative.device)
    return relative


def adjoint(pose: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 6 6"]:
    """The adjoint matrix, which carries twists through a motion: exp(adjoint(pose) @ twist) @ pose = pose @ exp(twist).

    Sola, Deray & Atchuthan 2018, "A micro Lie theory for state estimation in robotics", eq. 175, with the rotation
    first.

    Args:
        pose: rigid motions; twists have three rotations (radians), then three translations.
    """
    rotation = pose[..., :3, :3]
    top = torch.cat([rotation, torch.zeros_like(rotation)], -1)
    return torch.cat([top, torch.cat([skew(pose[..., :3, 3]) @ rotation, rotation], -1)], -2)


def orthonormal(pose: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """The same motion with its rotation orthonormalized: one Newton step to the nearest rotation (Higham 1986).

    Chained products need it: `invert` transposes, so that `pose @ invert(pose)` doubles a rotation's departure from
    orthonormality every time, from 1e-7 to 1e-2 in seventeen steps.

    Args:
        pose: 4x4 matrices that are rigid up to rounding.
    """
    rotation = pose[..., :3, :3]
    identity = torch.eye(3, dtype=pose.dtype, device=pose.device)
    return rigid(rotation @ (3 * identity - rotation.mT @ rotation) / 2, pose[..., :3, 3])


def rotation_angle(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch"]:
    """Angle of a rotation, in radians from 0 to pi; exact near both ends.

    Args:
        rotation: rotation matrices.
    """
    angle: Tensor = so3_log(rotation).norm(dim=-1)
    return angle


def is_rotation(matrix: Float[Tensor, "*batch 3 3"], tolerance: float = 1e-2) -> Bool[Tensor, "*batch"]:
    """Whether a matrix is orthonormal and right-handed.

    Args:
        matrix: any 3x3 matrices.
        tolerance: largest error of an element of `matrix @ matrix.T`; the default allows for rounding in files.

    >>> is_rotation(torch.eye(3)).item(), is_rotation(-torch.eye(3)).item()
    (True, False)
    """
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    orthonormal_columns = (matrix @ matrix.mT - identity).abs().flatten(-2).amax(-1) < tolerance
    right_handed: Tensor = torch.linalg.det(matrix) > 0
    return orthonormal_columns & right_handed


def is_rigid(pose: Float[Tensor, "*batch 4 4"]) -> Bool[Tensor, "*batch"]:
    """Whether a matrix is a pose: finite, and made of a rotation and a translation.

    Programs that lose a frame write NaN, infinity or zeros in its place.

    Args:
        pose: any 4x4 matrices.

    >>> poses = torch.stack([torch.eye(4), torch.zeros(4, 4), torch.full((4, 4), torch.nan)])
    >>> is_rigid(poses).tolist()
    [True, False, False]
    """
    finite: Tensor = pose.isfinite().all(-1).all(-1)
    return finite & is_rotation(pose[..., :3, :3])


def quaternion_from_rotation(rotation: Float64[Tensor, "*batch 3 3"]) -> Float64[Tensor, "*batch 4"]:
    """The unit quaternion (x, y, z, w), with w >= 0, of a rotation.

    Args:
        rotation: rotation matrices.

    >>> quarter = so3_exp(torch.tensor([0.0, 0.0, torch.pi / 2], dtype=torch.float64))
    >>> quaternion_from_rotation(quarter).round(decimals=4).tolist()
    [0.0, 0.0, 0.7071, 0.7071]
    """
    vector = so3_log(rotation)
    angle = vector.norm(dim=-1, keepdim=True)
    factor = 0.5 * torch.sinc(angle / (2 * torch.pi))  # sin(angle / 2) / angle
    return torch.cat([vector * factor, (angle / 2).cos()], -1)


def rotation_from_quaternion(quaternion: Float64[Tensor, "*batch 4"]) -> Float64[Tensor, "*batch 3 3"]:
    """The rotation matrix of a quaternion.

    Args:
        quaternion: (x, y, z, w), of any length and sign.
    """
    vector, w = quaternion[..., :3], quaternion[..., 3:]
    sine = vector.norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, w)
    return so3_exp(torch.where(sine > 0, angle * vector / sine.clamp_min(1e-300), torch.zeros_like(vector)))


def pose_from_quaternion(
    quaternion: Float64[Tensor, "*batch 4"], translation: Float64[Tensor, "*batch 3"]
) -> Float64[Tensor, "*batch 4 4"]:
    """The 4x4 matrix of a pose as files keep it; NaN where the quaternion is zero, as it is written for a lost frame.

    Args:
        quaternion: (x, y, z, w), of any length and sign.
        translation: applied after the rotation.
    """
    rotation = rotation_from_quaternion(quaternion)
    none = quaternion.norm(dim=-1)[..., None, None] < 1e-6
    return rigid(rotation.masked_fill(none, torch.nan), translation)
