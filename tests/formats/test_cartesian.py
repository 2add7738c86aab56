"""Frustum codes in a Cartesian box, and PyTorch3D's view of them."""

import importlib.util

import pytest
import torch

from video_ae.errors import UserError
from video_ae.geometry.pinhole import project
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.renderers.pytorch3d.cartesian import sample_voxels
from video_ae.renderers.pytorch3d.resampling import resample_frustum, resampling_psnr
from video_ae.renderers.pytorch3d.volumes import export_cameras, export_volumes
from video_ae.types import Cameras, MultiplaneVolume

needs_pytorch3d = pytest.mark.skipif(
    importlib.util.find_spec("pytorch3d") is None, reason="pytorch3d is not installed: make pytorch3d"
)


def wall(depth: float = 2.0, planes: int = 8) -> MultiplaneVolume:
    """An opaque wall across the view of a turned camera, red on the left and green on the right half."""
    inverse_depth = torch.linspace(1.0, 0.125, planes)[None]
    density = torch.zeros(1, planes, 24, 32)
    density[:, (inverse_depth[0] - 1 / depth).abs().argmin()] = 9.0
    features = torch.zeros(1, 3, planes, 24, 32)
    features[:, 0, :, :, :16], features[:, 1, :, :, 16:] = 1.0, 1.0
    pose = se3_exp(torch.tensor([[0.1, 0.4, -0.2, 0.5, -0.3, 0.8]]))
    return MultiplaneVolume(
        density, features, inverse_depth, Cameras(pose[None], torch.tensor([[[0.8, 1.07, 0.45, 0.52]]]))
    )


def test_the_wall_stands_where_it_stood():
    structure = wall()
    voxels = resample_frustum(structure, (48, 48, 48), 4.0)
    layer, row, column = torch.nonzero(voxels.density[0] > 0.5 * voxels.density.max(), as_tuple=True)
    count = torch.tensor(voxels.density.shape[:0:-1])
    place = torch.stack([column, row, layer], -1) + 0.5 - count / 2
    world = voxels.centre[0] + place * voxels.voxel_size[0]
    view = invert(structure.reference.world_from_camera[0, 0])
    local = world @ view[:3, :3].mT + view[:3, 3]
    interval = 2.0**2 * 0.125  # of depth that the wall's plane stands for
    assert ((local[:, 2] - 2).abs() < interval / 2 + voxels.voxel_size.max()).all()
    u = project(local, structure.reference.intrinsics[0, 0].expand(len(local), 4))[:, 0]
    red = voxels.features[0, 0, layer, row, column] > 0.5
    clear = (u - 0.5).abs() > 0.05
    assert torch.equal(red[clear], u[clear] < 0.5)


def test_what_a_ray_meets_is_kept_and_more_voxels_cost_less():
    structure = wall()
    coarse, fine = (resampling_psnr(structure, resample_frustum(structure, (n, n, n), 4.0)) for n in (16, 64))
    assert fine > coarse + 2
    assert fine > 22
    nothing = resample_frustum(structure, (16, 16, 16), 1.2)  # ends in front of the wall
    assert resampling_psnr(structure, nothing) < 8


def test_density_is_the_planes_optical_depth():
    structure = wall()
    voxels = resample_frustum(structure, (64, 64, 64), 4.0)
    depth = torch.linspace(1.0, 4.0, 3000)
    pose = structure.reference.world_from_camera[0, 0]
    axis = pose[:3, 2]
    density, _ = sample_voxels(voxels, (pose[:3, 3] + depth[:, None] * axis)[None])
    total = density.sum().item() * (3.0 / 2999)
    assert total == pytest.approx(9.0, rel=0.08)


@needs_pytorch3d
def test_pytorch3d_sees_points_where_we_see_them():
    twist = torch.tensor([[0.1, -0.2, 0.3, 0.4, -0.1, 0.2], [0.0, 0.5, 0.1, -0.3, 0.2, 0.1]])
    cameras = Cameras(se3_exp(twist), torch.tensor([[0.8, 1.1, 0.47, 0.52]]).expand(2, 4))
    theirs = export_cameras(cameras, 48, 64)  # float32, PyTorch3D's own
    points = torch.tensor([[0.3, -0.2, 3.0], [-0.5, 0.4, 4.0], [0.0, 0.1, 2.5]])
    screen = theirs.transform_points_screen(points.expand(2, 3, 3), image_size=((48, 64), (48, 64)))
    for view in range(2):
        local = (
            points @ invert(cameras.world_from_camera)[view, :3, :3].mT + invert(cameras.world_from_camera)[view, :3, 3]
        )
        ours = project(local, cameras.intrinsics[view].expand(3, 4)) * torch.tensor([64, 48])
        torch.testing.assert_close(screen[view, :, :2], ours, atol=1e-5, rtol=0)
    back = theirs.get_world_to_view_transform().get_matrix().mT  # PyTorch3D's points are rows
    flip = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    torch.testing.assert_close(invert(flip @ back), cameras.world_from_camera, atol=1e-6, rtol=0)


@needs_pytorch3d
def test_pytorch3d_volumes_hold_the_voxels_at_their_places():
    structure = wall()
    export = export_volumes(structure, (24, 20, 28), 4.0)
    voxels = resample_frustum(structure, (24, 20, 28), 4.0)
    torch.testing.assert_close(export.volumes.densities()[:, 0], voxels.density)
    torch.testing.assert_close(export.volumes.features(), voxels.features)
    assert export.psnr == pytest.approx(resampling_psnr(structure, voxels))
    first = export.volumes.get_coord_grid(world_coordinates=True)[0, 0, 0, 0]
    count = torch.tensor([24, 20, 28])
    torch.testing.assert_close(first, voxels.centre[0] + (0.5 - count / 2) * voxels.voxel_size[0], atol=1e-5, rtol=0)


@pytest.mark.skipif(importlib.util.find_spec("pytorch3d") is not None, reason="pytorch3d is installed")
def test_without_pytorch3d_one_sentence_says_so():
    with pytest.raises(UserError, match="pytorch3d"):
        export_volumes(wall(), (8, 8, 8), 4.0)
