"""The pinhole camera: worked numbers and inverses."""

import pytest
import torch
from torch.autograd import gradcheck

from video_ae.geometry.pinhole import (
    camera_rays,
    pinhole_intrinsics,
    pixel_centres,
    project,
    sample,
    transform,
    unproject,
)
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.types import Cameras

INTRINSICS = torch.tensor([0.9, 1.2, 0.45, 0.56], dtype=torch.float64)


def test_a_point_right_below_and_ahead_lands_right_and_below():
    """x = 1, y = 0.5, z = 4 with fx = 0.9, fy = 1.2: u = 0.225 + 0.45, v = 0.15 + 0.56."""
    seen = project(torch.tensor([1.0, 0.5, 4.0], dtype=torch.float64), INTRINSICS)
    torch.testing.assert_close(seen, torch.tensor([0.675, 0.71], dtype=torch.float64))


def test_projection_in_pixels_agrees_with_the_usual_matrix():
    point = torch.tensor([0.3, -0.2, 2.0])
    homogeneous = Cameras(torch.eye(4)[None], INTRINSICS.float()[None]).K(320, 240)[0] @ point
    pixels = project(point, INTRINSICS.float()) * torch.tensor([320.0, 240.0])
    torch.testing.assert_close(homogeneous[:2] / homogeneous[2], pixels)


def test_project_and_unproject_are_inverse():
    coordinates = torch.rand(50, 2, dtype=torch.float64)
    depth = torch.rand(50, 1, dtype=torch.float64) * 5 + 0.1
    intrinsics = INTRINSICS.expand(50, 4)
    torch.testing.assert_close(project(unproject(coordinates, intrinsics) * depth, intrinsics), coordinates)


def test_points_on_and_behind_the_camera_plane_stay_finite():
    points = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, -2.0]], requires_grad=True)
    seen = project(points, INTRINSICS.float().expand(2, 4))
    seen.sum().backward()
    assert seen.isfinite().all()
    assert points.grad.isfinite().all()


def test_camera_rays_go_through_pixel_centres():
    rays = camera_rays(INTRINSICS.expand(2, 3, 4), 5, 7)
    assert rays.shape == (2, 3, 5, 7, 3)
    seen = project(rays * 3, INTRINSICS.expand(2, 3, 5, 7, 4))
    torch.testing.assert_close(seen, pixel_centres(5, 7, dtype=torch.float64).expand(2, 3, 5, 7, 2))


def test_square_pixels_have_one_focal_length_in_pixels():
    intrinsics = pinhole_intrinsics(torch.tensor([0.7, 0.9]), 320, 200)
    matrix = Cameras(torch.eye(4).expand(2, 4, 4), intrinsics).K(320, 200)
    torch.testing.assert_close(matrix[:, 0, 0], matrix[:, 1, 1])
    torch.testing.assert_close(matrix[:, :2, 2], torch.tensor([[160.0, 100.0]] * 2))


def test_sampling_at_pixel_centres_returns_the_image():
    image = torch.rand(2, 3, 5, 7)
    drawn = sample(image, pixel_centres(5, 7).expand(2, 5, 7, 2))
    torch.testing.assert_close(drawn, image)


@pytest.mark.parametrize(("padding", "expected"), [("zeros", 0.0), ("border", 1.0)])
def test_sampling_beyond_the_edge(padding, expected):
    drawn = sample(torch.ones(1, 1, 4, 4), torch.full((1, 1, 1, 2), 1.5), padding)
    assert drawn.item() == expected


def test_transform_takes_points_there_and_back():
    pose = se3_exp(torch.randn(4, 6, dtype=torch.float64))
    points = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(transform(invert(pose), transform(pose, points)), points)


def test_gradients():
    coordinates = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    intrinsics = INTRINSICS.expand(3, 4).clone().requires_grad_()
    assert gradcheck(unproject, (coordinates, intrinsics))
    points = torch.tensor([[0.1, 0.2, 1.0], [0.5, -0.3, 2.0], [0.0, 0.0, 0.5]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(project, (points, intrinsics))
