"""Rigid motions: laws, round trips at every angle, gradients."""

import math

import kornia
import pytest
import torch
from kornia.geometry.conversions import axis_angle_to_rotation_matrix
from kornia.geometry.liegroup import Se3
from torch.autograd import gradcheck
from torch.autograd.functional import jacobian

from video_ae.geometry.se3 import (
    adjoint,
    invert,
    orthonormal,
    quaternion_from_rotation,
    relative_to_first,
    rigid,
    rotation_angle,
    rotation_from_quaternion,
    se3_exp,
    se3_log,
    skew,
    so3_exp,
    so3_log,
)

ANGLES = [0.0, 1e-9, 1e-4, 2e-3, 0.02, 0.24, 0.26, 1.0, 3.0, math.pi - 1e-5]


def twists(angle: float, count: int = 20) -> torch.Tensor:
    """Twists in float64 about random axes by one angle."""
    generator = torch.Generator().manual_seed(0)
    axis = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    shift = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return torch.cat([axis / axis.norm(dim=-1, keepdim=True) * angle, shift], -1)


@pytest.mark.parametrize("angle", ANGLES)
def test_exponential_is_the_matrix_exponential(angle):
    twist = twists(angle)
    generator = torch.zeros(len(twist), 4, 4, dtype=torch.float64)
    generator[:, :3, :3], generator[:, :3, 3] = skew(twist[:, :3]), twist[:, 3:]
    torch.testing.assert_close(se3_exp(twist), torch.linalg.matrix_exp(generator), atol=1e-12, rtol=0)
    torch.testing.assert_close(so3_exp(twist[:, :3]), se3_exp(twist)[:, :3, :3])


@pytest.mark.parametrize("angle", ANGLES)
def test_logarithm_undoes_the_exponential(angle):
    twist = twists(angle)
    torch.testing.assert_close(se3_log(se3_exp(twist)), twist, atol=1e-10, rtol=0)


@pytest.mark.parametrize("angle", ANGLES)
def test_float32_keeps_its_digits_at_small_angles(angle):
    """Quotients like (1 - cos t) / t^2 lose all digits in float32 at t = 0.002: they must not be used there."""
    twist = twists(angle)
    exact = twist.clone().requires_grad_()
    rough = twist.float().requires_grad_()
    torch.testing.assert_close(se3_exp(rough).double(), se3_exp(exact), atol=2e-6, rtol=0)
    if angle < 3:  # near pi the logarithm itself is ill-conditioned
        torch.testing.assert_close(se3_log(se3_exp(twist).float()).double(), twist, atol=2e-6, rtol=0)
    weights = torch.linspace(-1, 1, 16, dtype=torch.float64).view(4, 4)
    (se3_exp(exact) * weights).sum().backward()
    (se3_exp(rough) * weights.float()).sum().backward()
    torch.testing.assert_close(rough.grad.double(), exact.grad, atol=1e-5, rtol=0)


def test_half_turns_have_a_logarithm():
    for axis in torch.eye(3, dtype=torch.float64):
        found = so3_log(torch.diag(2 * axis - 1))
        torch.testing.assert_close(found.abs(), math.pi * axis)


def test_rotations_are_orthogonal_and_proper():
    for angle in ANGLES:
        matrix = so3_exp(twists(angle)[:, :3])
        identity = torch.eye(3, dtype=torch.float64).expand_as(matrix)
        torch.testing.assert_close(matrix @ matrix.mT, identity, atol=1e-12, rtol=0)
        torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(len(matrix), dtype=torch.float64))
        torch.testing.assert_close(
            rotation_angle(matrix), torch.full((len(matrix),), angle, dtype=torch.float64), atol=1e-9, rtol=0
        )


def test_inverse_composes_to_the_identity_and_reverses_products():
    a, b = se3_exp(twists(0.7)), se3_exp(twists(2.0).flip(0))
    torch.testing.assert_close(invert(a) @ a, torch.eye(4, dtype=torch.float64).expand_as(a))
    torch.testing.assert_close(invert(a @ b), invert(b) @ invert(a))


def test_motions_about_one_axis_add_up():
    twist = twists(0.4)
    torch.testing.assert_close(se3_exp(twist) @ se3_exp(2 * twist), se3_exp(3 * twist))


def test_a_rotation_comes_before_its_translation():
    """A quarter turn to the right, then one step forward in the old axes: the camera's right is the old backward."""
    quarter = so3_exp(torch.tensor([0.0, math.pi / 2, 0.0]))
    world_from_camera = rigid(quarter, torch.tensor([0.0, 0.0, 1.0]))
    moved = world_from_camera @ torch.tensor([1.0, 0.0, 0.0, 1.0])
    torch.testing.assert_close(moved, torch.tensor([0.0, 0.0, 0.0, 1.0]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.1, 0.5, 2.5])
def test_gradients(angle):
    twist = twists(angle, 2).requires_grad_()
    assert gradcheck(se3_exp, twist)
    assert gradcheck(lambda t: se3_log(se3_exp(t)), twist)
    pose = se3_exp(twist.detach())
    assert gradcheck(lambda t: se3_log(se3_exp(t) @ pose), torch.zeros(2, 6, dtype=torch.float64, requires_grad=True))


def test_chained_inverses_stay_rotations_only_when_made_orthonormal():
    """`pose @ invert(pose)` doubles what is wrong with a rotation; in a chain that ends in nonsense."""
    drifting = corrected = se3_exp(torch.tensor([0.3, -0.5, 0.2, 1.0, 2.0, 3.0])) + 1e-6 * torch.eye(4)
    for _ in range(15):
        drifting = drifting @ invert(drifting) @ drifting
        corrected = orthonormal(corrected @ invert(corrected) @ corrected)
    departure = [(r.mT @ r - torch.eye(3)).abs().max() for r in (drifting[:3, :3], corrected[:3, :3])]
    assert departure[0] > 1e-2
    assert departure[1] < 1e-6
    near = se3_exp(torch.tensor([0.3, -0.5, 0.2, 1.0, 2.0, 3.0]))
    assert torch.allclose(orthonormal(near + 1e-3 * torch.eye(4)[[1, 0, 2, 3]]), near, atol=2e-3)


@pytest.mark.parametrize("angle", [0.0, 0.1, 2.5])
def test_the_adjoint_carries_a_twist_to_the_other_side(angle):
    pose, small = se3_exp(twists(angle)), twists(0.2).flip(0)
    carried = (adjoint(pose) @ small[..., None]).squeeze(-1)
    torch.testing.assert_close(se3_exp(carried) @ pose, pose @ se3_exp(small))


@pytest.mark.parametrize("angle", ANGLES)
def test_quaternions_are_of_unit_length_and_keep_the_rotation(angle):
    rotation = so3_exp(twists(angle)[:, :3])
    quaternion = quaternion_from_rotation(rotation)
    torch.testing.assert_close(quaternion.norm(dim=-1), torch.ones(len(rotation), dtype=torch.float64))
    assert (quaternion[:, 3] >= 0).all()
    torch.testing.assert_close(rotation_from_quaternion(quaternion), rotation)
    torch.testing.assert_close(rotation_from_quaternion(-3 * quaternion), rotation)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_relative_to_first_moves_the_world_and_nothing_else(dtype):
    poses = se3_exp(twists(0.7)).to(dtype).unflatten(0, (4, 5))
    relative = relative_to_first(poses)
    assert relative.dtype == dtype
    assert torch.equal(relative[:, 0], torch.eye(4, dtype=dtype).expand(4, 4, 4))
    torch.testing.assert_close(invert(relative[:, 1:-1]) @ relative[:, 2:], invert(poses[:, 1:-1]) @ poses[:, 2:])
    torch.testing.assert_close(poses[:, :1] @ relative, poses)
    assert relative_to_first(poses[:, :0]).shape == (4, 0, 4, 4)


def test_relative_to_first_has_gradients():
    twist = twists(0.5, 3).requires_grad_()
    assert gradcheck(lambda t: relative_to_first(se3_exp(t)), twist)


@pytest.mark.skipif(kornia.__version__ < "0.9", reason="kornia 0.8.1 gives NaN at zero and no gradient through Se3")
def test_kornia_0_9_agrees_where_0_8_failed():
    """What the head of `video_ae/geometry/se3.py` says of it."""
    small = torch.tensor([0.0, 3e-4, -1e-4], dtype=torch.float64)
    for vector in (torch.zeros(3, dtype=torch.float64), small):
        theirs = jacobian(lambda value: axis_angle_to_rotation_matrix(value[None])[0], vector)
        torch.testing.assert_close(theirs, jacobian(so3_exp, vector), atol=1e-9, rtol=0)
    twist = torch.tensor([[0.1, 0.2, 0.3, 0.1, 0.2, 0.3]], requires_grad=True)
    (gradient,) = torch.autograd.grad(Se3.exp(twist).matrix()[0, 0, 3], twist)
    assert gradient[0, 0] != 0
