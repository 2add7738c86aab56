"""Where frustum voxels are seen: marked voxels and inverses."""

import math

import torch

from video_ae.geometry.frustum import (
    intersect_frustum,
    inverse_depth_planes,
    project_frustum,
    project_frustum_with_depth,
)
from video_ae.geometry.pinhole import pixel_centres, project, transform, unproject
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.types import Cameras

ROWS, COLUMNS = 6, 9
INTRINSICS = torch.tensor([0.8, 1.1, 0.47, 0.53])


def camera(*twist: float) -> Cameras:
    """One camera, with a batch axis, whose world_from_camera is the exponential of a twist."""
    return Cameras(se3_exp(torch.tensor([[twist or (0.0,) * 6]])), INTRINSICS.expand(1, 1, 4))


def test_planes_fall_from_the_nearest_to_one_step_before_infinity():
    planes = inverse_depth_planes(torch.tensor([2.0, 0.5]), 8)
    torch.testing.assert_close(planes[:, 0], torch.tensor([2.0, 0.5]))
    torch.testing.assert_close(planes.diff(dim=1), -torch.tensor([[0.25], [0.0625]]).expand(2, 7))
    torch.testing.assert_close(planes[:, -1], torch.tensor([0.25, 0.0625]))


def test_the_reference_sees_every_voxel_in_its_own_pixel():
    own = camera(0.2, -0.3, 0.1, 1.0, 2.0, 3.0)
    planes = inverse_depth_planes(torch.tensor([2.0]), 4)
    expected = pixel_centres(ROWS, COLUMNS).expand(1, 1, 4, ROWS, COLUMNS, 2)
    coordinates, in_front = project_frustum(own, planes, own, ROWS, COLUMNS)
    torch.testing.assert_close(coordinates, expected, atol=1e-5, rtol=0)
    assert in_front.all()
    inverse_depth = project_frustum_with_depth(own, planes, own, ROWS, COLUMNS)[2]
    torch.testing.assert_close(inverse_depth, planes[:, None, :, None, None].expand_as(inverse_depth))
    coordinates, inverse_depth = intersect_frustum(own, planes, own, ROWS, COLUMNS)
    torch.testing.assert_close(coordinates, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(inverse_depth, planes[:, None, :, None, None].expand_as(inverse_depth))


def test_a_marked_voxel_from_a_camera_turned_by_a_quarter():
    """The voxel 2 ahead of the centre; the view stands 2 ahead and 4 to the left and looks right: it is 4 ahead of it.

    Its ray then meets the reference's plane at the reference's principal point.
    """
    centre = torch.tensor([[[1.0, 1.0, 0.5, 0.5]]])
    reference = Cameras(torch.eye(4)[None, None], centre)
    pose = se3_exp(torch.tensor([0.0, math.pi / 2, 0.0, 0.0, 0.0, 0.0]))
    pose[:3, 3] = torch.tensor([-4.0, 0.0, 2.0])
    view = Cameras(pose[None, None], centre)
    half = torch.tensor([[0.5]])
    coordinates, _ = project_frustum(reference, half, view, 1, 1)
    torch.testing.assert_close(coordinates.flatten(), torch.tensor([0.5, 0.5]), atol=1e-6, rtol=0)
    inverse_depth = project_frustum_with_depth(reference, half, view, 1, 1)[2]
    torch.testing.assert_close(inverse_depth.flatten(), torch.tensor([0.25]))
    # The voxel one pixel right of the centre in a 1 x 3 grid lies at x = 2/3: nothing but its depth changes.
    coordinates, _ = project_frustum(reference, half, view, 1, 3)
    torch.testing.assert_close(coordinates.flatten(0, 4), torch.full((3, 2), 0.5), atol=1e-6, rtol=0)


def test_a_camera_moved_right_sees_voxels_shifted_left_by_focal_times_baseline_times_inverse_depth():
    planes = torch.tensor([[2.0, 0.5, 0.0]])
    coordinates, _ = project_frustum(camera(), planes, camera(0, 0, 0, 0.1, 0, 0), ROWS, COLUMNS)
    shift = coordinates - pixel_centres(ROWS, COLUMNS)
    expected = -0.8 * 0.1 * planes[0, :, None, None].expand(3, ROWS, COLUMNS)
    torch.testing.assert_close(shift[0, 0, ..., 0], expected)
    torch.testing.assert_close(shift[..., 1], torch.zeros_like(shift[..., 1]), atol=1e-6, rtol=0)


def test_projecting_and_intersecting_are_inverse():
    """Each meeting point, lifted in the reference and projected into the view, is the pixel that it began from."""
    reference = camera(0.05, -0.1, 0.02, 0.3, -0.2, 0.1)
    view = camera(-0.1, 0.15, 0.1, -0.1, 0.1, 0.25)
    planes = inverse_depth_planes(torch.tensor([1.2]), 5)
    met, inverse_depth = intersect_frustum(reference, planes, view, ROWS, COLUMNS)
    lifted = unproject(met, INTRINSICS.expand(*met.shape[:-1], 4)) / planes[0, :, None, None, None]
    view_from_reference = invert(view.world_from_camera[0, 0]) @ reference.world_from_camera[0, 0]
    points = transform(view_from_reference, lifted)
    seen = project(points, INTRINSICS.expand(*points.shape[:-1], 4))
    torch.testing.assert_close(seen, pixel_centres(ROWS, COLUMNS).expand_as(seen), atol=1e-5, rtol=0)
    torch.testing.assert_close(1 / points[..., 2], inverse_depth, atol=1e-5, rtol=0)
    # And the other way: what `project_frustum` says of a voxel is what the pinhole camera says of its point.
    coordinates, _ = project_frustum(reference, planes, view, ROWS, COLUMNS)
    rays = unproject(pixel_centres(ROWS, COLUMNS), INTRINSICS.expand(ROWS, COLUMNS, 4))
    direct = transform(view_from_reference, rays / planes[0, :, None, None, None])
    torch.testing.assert_close(
        coordinates[0, 0], project(direct, INTRINSICS.expand(*direct.shape[:-1], 4)), atol=1e-5, rtol=0
    )


def test_planes_behind_a_view_are_not_seen():
    ahead = camera(0, 0, 0, 0, 0, 1.0)  # between the planes at 0.5 and 2
    planes = torch.tensor([[2.0, 0.5]])
    _, in_front = project_frustum(camera(), planes, ahead, ROWS, COLUMNS)
    assert not in_front[:, :, 0].any()
    assert in_front[:, :, 1].all()
    inverse_depth = project_frustum_with_depth(camera(), planes, ahead, ROWS, COLUMNS)[2]
    torch.testing.assert_close(inverse_depth[:, :, 1], torch.ones(1, 1, ROWS, COLUMNS))
    _, inverse_depth = intersect_frustum(camera(), planes, ahead, ROWS, COLUMNS)
    assert (inverse_depth[:, :, 0] <= 0).all()
    torch.testing.assert_close(inverse_depth[:, :, 1], torch.ones(1, 1, ROWS, COLUMNS))


def test_a_view_that_turns_its_back_stays_finite():
    back = camera(0.0, math.pi, 0.0, 0.0, 0.0, 0.0)
    coordinates, inverse_depth = intersect_frustum(camera(), torch.tensor([[1.0, 0.1]]), back, ROWS, COLUMNS)
    assert coordinates.isfinite().all()
    assert (inverse_depth <= 0).all()


def test_gradients_reach_poses_and_planes():
    twist = torch.full((1, 1, 6), 0.03, dtype=torch.float64, requires_grad=True)
    planes = torch.tensor([[1.5, 0.7]], dtype=torch.float64, requires_grad=True)
    intrinsics = INTRINSICS.double().expand(1, 1, 4).clone().requires_grad_()
    reference = Cameras(torch.eye(4, dtype=torch.float64)[None, None], intrinsics)

    def both(twist, planes, intrinsics):
        view = Cameras(se3_exp(twist), intrinsics)
        met, inverse_depth = intersect_frustum(reference, planes, view, 2, 3)
        return met, inverse_depth, project_frustum(reference, planes, view, 2, 3)[0]

    assert torch.autograd.gradcheck(both, (twist, planes, intrinsics))
