"""Multiplane volumes seen from cameras: known images, known shifts, occlusion, a slow and obvious twin."""

import subprocess
import sys

import pytest
import torch
from scenes import OPAQUE, cameras, identity, random_code, textured_plane

from video_ae import compiled
from video_ae.geometry.se3 import invert
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.types import Cameras, MultiplaneVolume, RenderedViews

RENDER = FrustumRenderer()


def image(height: int, width: int) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))


def test_the_reference_camera_sees_an_opaque_plane_exactly():
    original = image(12, 16)
    own = cameras([[0.1, -0.2, 0.3, 1.0, 2.0, 3.0]])
    code = textured_plane(original, [2.0, 0.5, 0.25], 1, own)
    seen = RENDER(code, own, 12, 16)
    torch.testing.assert_close(seen.rgb[0, 0], original, atol=2e-5, rtol=0)
    torch.testing.assert_close(seen.disparity, torch.full((1, 1, 12, 16), 0.5), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.opacity, torch.ones(1, 1, 12, 16))


def test_a_camera_moved_right_sees_the_plane_moved_left_by_focal_times_baseline_times_inverse_depth():
    """0.8 widths * 0.3125 * 0.5 = 1/8 of the width: 2 of 16 columns."""
    original = image(12, 16)
    seen = RENDER(textured_plane(original, [2.0, 0.5], 1, identity()), cameras([[0, 0, 0, 0.3125, 0, 0]]), 12, 16)
    torch.testing.assert_close(seen.rgb[0, 0, :, :, :14], original[:, :, 2:], atol=2e-5, rtol=0)
    assert seen.opacity[..., 14:].max() == 0, "nothing was ever seen beyond the right edge"
    assert seen.rgb[..., 14:].max() == 0


def test_a_camera_that_walks_forward_sees_a_smaller_part_at_a_smaller_depth():
    intrinsics = (0.8, 1.1, 0.5, 0.5)
    original = image(12, 16)
    code = textured_plane(original, [2.0, 0.5], 1, identity(intrinsics))
    seen = RENDER(code, cameras([[0, 0, 0, 0, 0, 1.0]], intrinsics), 12, 16)  # half way to it: twice as large
    middle = torch.nn.functional.interpolate(original[None], scale_factor=2, mode="bilinear", align_corners=False)[
        0, :, 6:18, 8:24
    ]
    torch.testing.assert_close(seen.rgb[0, 0], middle, atol=2e-5, rtol=0)
    torch.testing.assert_close(seen.disparity, torch.ones(1, 1, 12, 16), atol=1e-5, rtol=0)


def test_warped_there_and_back_a_smooth_image_returns():
    ramp = torch.linspace(0, 1, 32).expand(3, 24, 32).clone()
    ramp[1] = torch.linspace(0, 1, 24)[:, None]
    moved = cameras([[0.0, 0.0, 0.05, 0.1, 0.05, 0.0]])  # the plane keeps its depth: shifts and a turn about z
    there = RENDER(textured_plane(ramp, [0.5], 0, identity()), moved, 24, 32).rgb[0, 0]
    assert (there - ramp)[:, 6:-6, 6:-6].abs().max() > 0.03
    back = RENDER(textured_plane(there, [0.5], 0, moved), identity(), 24, 32)
    torch.testing.assert_close(back.rgb[0, 0, :, 6:-6, 6:-6], ramp[:, 6:-6, 6:-6], atol=2e-3, rtol=0)


def test_near_planes_hide_far_ones():
    red, blue = torch.zeros(3, 4, 6), torch.zeros(3, 4, 6)
    red[0], blue[2] = 1, 1
    near, far = (textured_plane(p, [2.0, 0.5], layer, identity()) for p, layer in ((red, 0), (blue, 1)))
    both = MultiplaneVolume(
        near.density + far.density, near.features + far.features, near.inverse_depth, near.reference
    )
    torch.testing.assert_close(RENDER(both, identity(), 4, 6).rgb[0, 0], red)
    half = torch.full_like(both.density, OPAQUE)
    half[:, 0] = torch.tensor(2.0).log()  # lets half of the light through
    seen = RENDER(MultiplaneVolume(half, both.features, both.inverse_depth, both.reference), identity(), 4, 6)
    torch.testing.assert_close(seen.rgb[0, 0], (red + blue) / 2)
    torch.testing.assert_close(seen.disparity, torch.full((1, 1, 4, 6), 1.25))


def test_planes_behind_the_camera_are_not_seen():
    code = textured_plane(image(4, 6), [2.0, 0.5], 0, identity())
    assert RENDER(code, cameras([[0, 0, 0, 0, 0, 1.0]]), 4, 6).opacity.max() == 0


def test_a_camera_that_looks_back_sees_nothing_and_stays_finite():
    code = random_code(identity())
    seen = RENDER(code, cameras([[0.0, torch.pi, 0.0, 0.0, 0.0, 0.0]]), 4, 6)
    assert seen.opacity.max() == 0
    assert seen.disparity.isfinite().all()


def test_any_number_of_views_and_any_size_one_by_one_or_together():
    code = random_code(identity())
    views = cameras([[0, 0, 0, 0.1, 0, 0], [0, 0.1, 0, 0, 0, 0], [0, 0, 0.1, 0, 0, 0.2]])
    together = RENDER(code, views, 5, 9)
    assert together.rgb.shape == (1, 3, 3, 5, 9)
    for i in range(3):
        alone = RENDER(code, views.select([i]), 5, 9)
        torch.testing.assert_close(together.rgb[:, [i]], alone.rgb)
        torch.testing.assert_close(together.disparity[:, [i]], alone.disparity)


def bilinear(values: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """values [channel, row, column] at an image coordinate, edge values continued."""
    rows, columns = values.shape[-2:]
    x, y = u * columns - 0.5, v * rows - 0.5
    x, y = x.clamp(0, columns - 1), y.clamp(0, rows - 1)
    left, top = min(int(x), columns - 2), min(int(y), rows - 2)
    a, b = x - left, y - top
    patch = values[:, top : top + 2, left : left + 2]
    upper = patch[:, 0, 0] * (1 - a) + patch[:, 0, 1] * a
    lower = patch[:, 1, 0] * (1 - a) + patch[:, 1, 1] * a
    return upper * (1 - b) + lower * b


def slow_twin(code: MultiplaneVolume, views: Cameras, height: int, width: int) -> RenderedViews:
    """The same by textbook: for every pixel, walk through the planes and keep what light is left."""
    pose = invert(code.reference.world_from_camera[0, 0]) @ views.world_from_camera[0, 0]
    fx, fy, cx, cy = views.intrinsics[0, 0]
    gx, gy, hx, hy = code.reference.intrinsics[0, 0]
    channels, disparities, opacities = [], [], []
    for row in range(height):
        for column in range(width):
            u, v = (column + 0.5) / width, (row + 0.5) / height
            ray = pose[:3, :3] @ torch.stack([(u - cx) / fx, (v - cy) / fy, torch.ones_like(fx)])
            light, colour, disparity = torch.ones_like(fx), torch.zeros(3, dtype=fx.dtype), torch.zeros_like(fx)
            for plane, q in enumerate(code.inverse_depth[0]):
                depth = (1 / q - pose[2, 3]) / ray[2]  # along z of the view
                if depth <= 0:
                    continue
                point = pose[:3, 3] + depth * ray
                s, t = point[0] / point[2] * gx + hx, point[1] / point[2] * gy + hy
                if not (0 < s < 1 and 0 < t < 1):
                    continue
                absorbed = light * (1 - torch.exp(-bilinear(code.density[0, plane][None], s, t)[0]))
                colour = colour + absorbed * bilinear(code.features[0, :, plane], s, t)
                disparity = disparity + absorbed / depth
                light = light - absorbed
            channels.append(colour)
            disparities.append(disparity)
            opacities.append(1 - light)
    return RenderedViews(
        torch.stack(channels, -1).view(1, 1, 3, height, width),
        torch.stack(disparities).view(1, 1, height, width),
        torch.stack(opacities).view(1, 1, height, width),
    )


@pytest.mark.parametrize("marcher", ["native", "pytorch3d"])
def test_equals_its_slow_twin_in_values_and_gradients(marcher):
    if marcher == "pytorch3d":
        pytest.importorskip("pytorch3d", reason="pytorch3d is not installed: make pytorch3d")
    results = []
    for render in (FrustumRenderer(marcher), slow_twin):
        reference = identity().to(torch.float64)
        code = random_code(reference)
        twist = [[0.05, -0.1, 0.08, 0.2, -0.1, 0.15]]
        views = cameras(twist).to(torch.float64)
        views.world_from_camera.requires_grad_()
        seen = render(code, views, 5, 7)
        weights = torch.linspace(-1, 1, 105, dtype=torch.float64).view(1, 1, 3, 5, 7)
        loss = (seen.rgb * weights).sum() + (seen.disparity * weights[:, :, 0]).sum() + seen.opacity[..., 3].sum()
        found = torch.autograd.grad(loss, (code.density, code.features, views.world_from_camera))
        results.append((seen.rgb, seen.disparity, seen.opacity, *found))
    assert 0.1 < results[0][2].mean() < 0.95, "the scene would prove little"
    for fast, slow in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-7, rtol=1e-6)


def test_the_native_renderer_does_not_import_the_optional_package():
    script = (
        "import sys; from video_ae.renderers.frustum_renderer import FrustumRenderer; FrustumRenderer(); "
        "print([name for name in sys.modules if 'pytorch3d' in name])"
    )
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed")
@pytest.mark.parametrize("size", [(12, 16), (7, 5), (1, 1)])
@pytest.mark.parametrize("code", [(5, 9, 11), (1, 2, 3), (3, 1, 1)], ids=str)
def test_the_compiled_loop_is_the_tensor_operations(monkeypatch, size, code):
    planes, rows, columns = code
    generator = torch.Generator().manual_seed(1)
    density = 3 * torch.rand(2, planes, rows, columns, generator=generator)
    density[:, :, :, columns // 2] = 20
    features = torch.rand(2, 3, planes, rows, columns, generator=generator)
    reference = Cameras.stack([cameras([[0, 0.1, 0, 0, 0, 0]])[0], identity()[0]])
    volume = MultiplaneVolume(density, features, torch.linspace(2.0, 0.1, planes).expand(2, planes), reference)
    twists = [[0.0] * 6, [0.1, -0.2, 0.3, 0.2, -0.1, 0.1], [0, 0, 0, 0, 0, 0.9], [0, 3.0, 0, 0, 0, 0]]
    views = Cameras.stack([cameras(twists)[0], cameras(twists[::-1])[0]])
    found = RENDER(volume, views, *size)
    monkeypatch.setattr("video_ae.renderers.frustum_renderer.usable", lambda *_: False)
    for got, expected in zip(vars(found).values(), vars(RENDER(volume, views, *size)).values(), strict=True):
        torch.testing.assert_close(got, expected, atol=5e-5, rtol=1e-4)


def test_where_gradients_are_wanted_there_are_some():
    code = random_code(identity())
    RENDER(code, identity(), 6, 8).rgb.sum().backward()
    assert code.density.grad.abs().max() > 0
