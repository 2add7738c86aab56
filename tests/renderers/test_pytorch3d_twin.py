"""Our ray marchers against PyTorch3D's, in values and gradients: they share no line of code but torch's."""

import importlib.util
import sys

import pytest
import torch
from scenes import cameras, random_code

from video_ae.errors import UserError
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.renderers.compositing import march
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.renderers.pytorch3d.bridge import (
    load_pytorch3d,
    march_with_pytorch3d,
    pytorch3d_cameras,
    pytorch3d_volumes,
)
from video_ae.renderers.pytorch3d.cartesian import CartesianRenderer, CartesianVoxels
from video_ae.types import Cameras

needs_pytorch3d = pytest.mark.skipif(
    importlib.util.find_spec("pytorch3d") is None, reason="pytorch3d is not installed: make pytorch3d"
)
NEAREST, FARTHEST, SAMPLES = 0.7, 4.0, 24


def voxels() -> CartesianVoxels:
    """A box of 5 x 6 x 9 oblong voxels around (0.2, -0.1, 2.2), half-transparent, without any symmetry."""
    generator = torch.Generator().manual_seed(2)
    density = (3 * torch.rand(1, 5, 6, 9, generator=generator)).requires_grad_()
    features = torch.rand(1, 3, 5, 6, 9, generator=generator).requires_grad_()
    return CartesianVoxels(density, features, torch.tensor([[0.2, -0.1, 2.2]]), torch.tensor([[0.2, 0.25, 0.4]]))


TWIST = [0.15, -0.2, 0.3, 0.4, -0.3, 0.2]  # turned about all axes and moved
INTRINSICS = (0.75, 1.3, 0.42, 0.61)  # unequal focal lengths, principal point off the centre


def view() -> Cameras:
    return cameras([TWIST], INTRINSICS)


def difference(ours: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...]) -> float:
    """The largest absolute difference of two lists of results, over the largest value of each where that is above 1."""
    largest = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        assert mine.isfinite().all()
        largest = max(largest, ((mine - other).abs().max() / other.abs().max().clamp_min(1)).item())
    return largest


@needs_pytorch3d
@pytest.mark.parametrize(("height", "width"), [(10, 14), (13, 8)])
def test_cameras_project_to_the_same_coordinates(height, width):
    """NDC is +1 at the left and upper edge along the shorter side; ours runs from 0 to 1 from left and top."""
    ours, points = view(), torch.rand(20, 3) + torch.tensor([-0.5, -0.5, 2.0])
    camera_from_world = invert(ours.world_from_camera)[0, 0]
    inside = points @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    fx, fy, cx, cy = ours.intrinsics[0, 0]
    uv = torch.stack([inside[:, 0] / inside[:, 2] * fx + cx, inside[:, 1] / inside[:, 2] * fy + cy], -1)
    theirs = pytorch3d_cameras(Cameras(ours.world_from_camera[0], ours.intrinsics[0]), height, width)
    ndc = theirs.transform_points_ndc(points)[:, :2]
    shorter = min(height, width)
    torch.testing.assert_close(ndc, (1 - 2 * uv) * torch.tensor([width / shorter, height / shorter]), atol=1e-5, rtol=0)


@needs_pytorch3d
def test_volumes_have_their_voxels_where_ours_are():
    grid = pytorch3d_volumes(voxels()).get_coord_grid()  # [batch, layer, row, column, xyz]
    centre, size = torch.tensor([0.2, -0.1, 2.2]), torch.tensor([0.2, 0.25, 0.4])
    torch.testing.assert_close(grid[0, 0, 0, 0], centre - size * torch.tensor([8, 5, 4]) / 2)
    torch.testing.assert_close(grid[0, 1, 2, 3] - grid[0, 0, 0, 0], size * torch.tensor([3, 2, 1]))


@needs_pytorch3d
@pytest.mark.parametrize(("height", "width"), [(10, 14), (13, 8)])
def test_cartesian_voxels_render_as_with_their_volume_renderer(height, width):
    renderer = load_pytorch3d()
    absorb = renderer.EmissionAbsorptionRaymarcher()

    def marcher(rays_densities, rays_features, ray_bundle, **kwargs):
        steps = ray_bundle.lengths.diff(dim=-1)[..., :1]
        length = steps * ray_bundle.directions.norm(dim=-1, keepdim=True)
        return absorb(rays_densities=1 - torch.exp(-rays_densities * length[..., None]), rays_features=rays_features)

    sampler = renderer.NDCMultinomialRaysampler(
        image_width=width, image_height=height, n_pts_per_ray=SAMPLES, min_depth=NEAREST, max_depth=FARTHEST
    )
    weights = torch.linspace(-1, 1, 3 * height * width).view(3, height, width)
    results = []
    for theirs in (False, True):
        grid = voxels()
        twist = torch.tensor(TWIST, requires_grad=True)  # a 4x4 matrix has gradients off the rigid motions too
        from_view = Cameras(se3_exp(twist)[None, None], torch.tensor(INTRINSICS)[None, None])
        if theirs:
            seen_by = pytorch3d_cameras(Cameras(from_view.world_from_camera[0], from_view.intrinsics[0]), height, width)
            rendered, _ = renderer.VolumeRenderer(sampler, marcher)(seen_by, pytorch3d_volumes(grid))
            frame, opacity = rendered[0, ..., :3].permute(2, 0, 1), rendered[0, ..., 3]
        else:
            seen = CartesianRenderer(NEAREST, FARTHEST, SAMPLES)(grid, from_view, height, width)
            frame, opacity = seen.rgb[0, 0], seen.opacity[0, 0]
        loss = (frame * weights).sum() + (opacity * weights[0]).sum()
        found = torch.autograd.grad(loss, (grid.density, grid.features, twist))
        results.append((frame, opacity, *found))
    assert results[0][1].min() < 0.2
    assert results[0][1].max() > 0.8, "the scene would prove little"
    assert difference(*results) <= 2e-5


@needs_pytorch3d
def test_march_equals_their_ray_marcher():
    results = []
    for absorb in (march, march_with_pytorch3d):
        generator = torch.Generator().manual_seed(3)
        opacity = torch.rand(4, 5, 9, generator=generator, dtype=torch.float64).requires_grad_()
        features = torch.rand(4, 5, 9, 2, generator=generator, dtype=torch.float64).requires_grad_()
        seen, total = absorb(opacity, features)
        results.append((seen, total, *torch.autograd.grad((seen.square().sum() + total.sum()), (opacity, features))))
    assert difference(*results) <= 1e-8


@needs_pytorch3d
def test_frustum_voxels_render_alike_by_name():
    results = []
    for marcher in ("native", "pytorch3d"):
        reference = cameras([[0.02, 0.03, -0.01, 0.1, 0.0, 0.0]])
        code, views = random_code(reference), cameras([[0.05, -0.1, 0.08, 0.2, -0.1, 0.1], [0.0] * 6])
        views.world_from_camera.requires_grad_()
        seen = FrustumRenderer(marcher)(code, views, 7, 11)
        loss = seen.rgb.square().sum() + seen.disparity.sum() + seen.opacity.square().sum()
        found = torch.autograd.grad(loss, (code.density, code.features, views.world_from_camera))
        results.append((seen.rgb, seen.disparity, seen.opacity, *found))
    assert difference(*results) <= 2e-5


@needs_pytorch3d
def test_frustum_voxels_render_as_a_volumetric_function_of_their_implicit_renderer():
    """Their cameras, rays and marcher; only the look-up of a world point in the code is written here."""
    renderer = load_pytorch3d()
    height, width = 7, 11
    reference, from_view = cameras([[0.02, 0.03, -0.01, 0.1, 0.0, 0.0]]), view()
    code = random_code(reference)
    base = renderer.NDCMultinomialRaysampler(
        image_width=width, image_height=height, n_pts_per_ray=2, min_depth=1.0, max_depth=2.0
    )
    into = invert(reference.world_from_camera)[0, 0]

    def to_the_planes(cameras, **kwargs):
        bundle = base(cameras)
        z = (bundle.origins @ into[:3, :3].T + into[:3, 3])[..., 2:]
        lengths = (1 / code.inverse_depth[0] - z) / (bundle.directions @ into[:3, :3].T)[..., 2:]
        return bundle._replace(lengths=lengths)

    def look_up(ray_bundle, **kwargs):
        points = ray_bundle.origins[..., None, :] + ray_bundle.lengths[..., None] * ray_bundle.directions[..., None, :]
        x, y, z = (points @ into[:3, :3].T + into[:3, 3]).unbind(-1)
        fx, fy, cx, cy = reference.intrinsics[0, 0]
        uv = torch.stack([x / z * fx + cx, y / z * fy + cy], -1)[0]  # [row, column, plane, 2]
        maps = torch.cat([code.density[0][:, None], code.features[0].transpose(0, 1)], 1)
        values = torch.nn.functional.grid_sample(
            maps, 2 * uv.permute(2, 0, 1, 3) - 1, padding_mode="border", align_corners=False
        ).permute(2, 3, 0, 1)
        inside = ((uv > 0) & (uv < 1)).all(-1) & (ray_bundle.lengths[0] > 0)
        return ((1 - torch.exp(-values[..., 0])) * inside)[None, ..., None], values[None, ..., 1:]

    implicit = renderer.ImplicitRenderer(to_the_planes, renderer.EmissionAbsorptionRaymarcher())
    seen_by = pytorch3d_cameras(Cameras(from_view.world_from_camera[0], from_view.intrinsics[0]), height, width)
    theirs, _ = implicit(seen_by, volumetric_function=look_up)
    ours = FrustumRenderer()(code, from_view, height, width)
    assert 0.1 < ours.opacity.mean() < 0.95
    expected = (theirs[0, ..., :3].permute(2, 0, 1), theirs[0, ..., 3])
    assert difference((ours.rgb[0, 0], ours.opacity[0, 0]), expected) <= 2e-5


def test_without_pytorch3d_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch3d", None)
    with pytest.raises(UserError, match="make pytorch3d"):
        FrustumRenderer("pytorch3d")
    FrustumRenderer("native")


@needs_pytorch3d
def test_compiled_functions_say_that_they_are_missing():
    load_pytorch3d()
    extension = sys.modules["pytorch3d._C"]
    if hasattr(extension, "__file__"):
        pytest.skip("pytorch3d is fully built here")
    with pytest.raises(UserError, match="rasterize_meshes"):
        extension.rasterize_meshes()


def test_a_grid_turned_by_a_quarter_is_seen_from_the_turned_camera():
    """Marked voxel: right of the centre for the camera at the origin; from the right side, it is the nearest one."""
    density = torch.zeros(1, 3, 3, 3)
    density[0, 1, 1, 2] = 3.0  # layer 1, row 1, column 2: centre at x = 1, z = 4
    grid = CartesianVoxels(density, torch.ones(1, 3, 3, 3, 3), torch.tensor([[0.0, 0.0, 4.0]]), torch.ones(1, 3))
    render, intrinsics = CartesianRenderer(0.5, 7.5, 141), torch.tensor([[[1.0, 1.0, 0.5, 0.5]]])
    ahead = render(grid, Cameras(torch.eye(4)[None, None], intrinsics), 5, 5)
    # x / z = 1 / 4: u = 0.75, which is in column 3 of 5
    assert ahead.opacity[0, 0, 2].argmax() == 3
    pose = se3_exp(torch.tensor([0.0, -torch.pi / 2, 0.0, 0.0, 0.0, 0.0]))  # looks to the left
    pose[:3, 3] = torch.tensor([4.0, 0.0, 4.0])
    side = render(grid, Cameras(pose[None, None], intrinsics), 5, 5)
    assert side.opacity[0, 0].flatten().argmax() == 12
    # Its centre is 3 away and it fades out one voxel before and behind: seen a little before its centre.
    assert 1 / 3 < side.disparity[0, 0, 2, 2] / side.opacity[0, 0, 2, 2] < 1 / 2
