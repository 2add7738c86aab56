"""Splatted Gaussians: marked points, an independent renderer of files, and a slow twin in values and gradients."""

import pytest
import scenes
import torch

from video_ae import compiled
from video_ae.geometry.se3 import quaternion_from_rotation, so3_exp
from video_ae.renderers import gaussian_rasterizer
from video_ae.renderers.gaussian_rasterizer import rasterize_gaussians
from video_ae.types import Cameras, RenderedViews

SIZE = (37, 26)  # no whole tiles
VIEWS = [[0.0] * 6, [0.1, -0.2, 0.3, 0.2, -0.1, 0.1]]


def cameras(twists: list[list[float]], *intrinsics: tuple[float, ...]) -> Cameras:
    return scenes.cameras(twists, *intrinsics)[0]


CENTRED = cameras([VIEWS[0]], (20 / 41, 20 / 31, 0.5, 0.5))  # focal length 20 pixels of 41x31


def one(opacity: float = 0.8, mean=(0.0, 0.0, 2.0), scale: float = 0.2) -> list[torch.Tensor]:
    """A round orange Gaussian before the first camera."""
    values = [mean], [[0, 0, 0, 1]], [[scale] * 3], [opacity], [[1.0, 0.5, 0.0]]
    return [torch.tensor(value, dtype=torch.float32) for value in values]


def many(count: int = 300, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Gaussians about, partly behind and beside the cameras, of all shapes and opacities."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.rand(count, n, generator=generator, dtype=dtype) for n in (3, 4, 3, 1, 3)]
    means = values[0] * torch.tensor([4.0, 3.0, 3.0]) - torch.tensor([2.0, 1.5, 0.3])
    scales = 0.02 * 12 ** values[2] * means[:, 2:].abs().clamp_min(0.1)
    parameters = means.to(dtype), values[1] - 0.5, scales.to(dtype), values[3][:, 0], values[4]
    return [value.requires_grad_() for value in parameters]


def test_a_gaussian_stands_where_the_pinhole_says_as_wide_as_its_perspective():
    """Focal length 20 pixels: 0.2 at depth 2 is a deviation of 2 pixels, 4 + 0.3 square pixels of variance."""
    seen = rasterize_gaussians(*one(mean=(0.5, 0.0, 2.0)), CENTRED, (41, 31))
    alpha = seen.opacity[0]
    assert alpha.argmax() == 15 * 41 + 20 + 5
    torch.testing.assert_close(alpha[15, 25], torch.tensor(0.8))
    # x / z = 1 / 4 lengthens it sideways: Jacobian (10, 0, -2.5), variance 0.04 * 106.25 + 0.3.
    profile = 0.8 * torch.exp(-0.5 * torch.tensor([0.0, 1, 4, 9]) / (0.04 * 106.25 + 0.3))
    torch.testing.assert_close(alpha[15, 25:29], profile, atol=1e-5, rtol=1e-4)
    profile = 0.8 * torch.exp(-0.5 * torch.tensor([0.0, 1, 4, 9]) / 4.3)
    torch.testing.assert_close(alpha[15:19, 25], profile, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen.rgb[0], alpha * torch.tensor([1.0, 0.5, 0.0])[:, None, None])
    torch.testing.assert_close(seen.inverse_depth[0, 15, 25], torch.tensor(0.5))


def test_near_gaussians_hide_far_ones_in_whatever_order_they_stand():
    near, far = one(0.75, (0, 0, 1.0)), one(0.5, (0, 0, 3.0))
    far[4] = far[4].flip(-1)
    for pair in ((near, far), (far, near)):
        seen = rasterize_gaussians(*map(torch.cat, zip(*pair, strict=True)), CENTRED, (41, 31))
        expected = 0.75 * torch.tensor([1.0, 0.5, 0.0]) + 0.25 * 0.5 * torch.tensor([0.0, 0.5, 1.0])
        torch.testing.assert_close(seen.rgb[0, :, 15, 20], expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(seen.disparity[0, 15, 20], torch.tensor(0.75 + 0.125 / 3))


def test_what_is_behind_the_camera_or_invisible_is_left_out():
    for gaussian in (one(mean=(0, 0, -2.0)), one(0.003)):
        seen = rasterize_gaussians(*gaussian, cameras([VIEWS[0]]), SIZE)
        assert seen.opacity.max() == 0
        assert seen.rgb.max() == 0


def test_a_gaussian_of_more_than_the_image_fills_it():
    seen = rasterize_gaussians(*one(scale=30.0), cameras([VIEWS[0]]), SIZE)
    torch.testing.assert_close(seen.opacity, torch.full_like(seen.opacity, 0.8), atol=2e-3, rtol=0)


def test_none_at_all():
    seen = rasterize_gaussians(*(value[:0] for value in one()), cameras(VIEWS), SIZE)
    assert seen.rgb.shape == (2, 3, SIZE[1], SIZE[0])
    assert seen.opacity.max() == 0


def results(parameters: list[torch.Tensor], views: Cameras, size=SIZE) -> list[torch.Tensor]:
    """Values and the gradients of a sum that asks for all of them."""
    seen = rasterize_gaussians(*parameters, views, size)
    values = torch.cat([seen.rgb, seen.disparity[:, None], seen.opacity[:, None]], 1)
    weights = torch.rand(values.shape, generator=torch.Generator().manual_seed(2)).to(values) - 0.4
    found = torch.autograd.grad((values * weights).sum(), parameters)
    return [values, *found]


@pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed")
def test_the_compiled_loops_are_the_tensor_operations_in_values_and_gradients():
    views = cameras(VIEWS)
    fast = results(many(), views)
    slow = results([value.detach().double().requires_grad_() for value in many()], views.to(torch.float64))
    assert 0.3 < fast[0][:, 4].mean() < 0.95, "the scene would prove little"
    torch.testing.assert_close(fast[0], slow[0].float(), atol=3e-4, rtol=1e-4)
    for got, expected in zip(fast[1:], slow[1:], strict=True):
        assert expected.abs().max() > 0.01
        error = (got - expected).abs() / (expected.abs() + 1e-3 * expected.abs().max())
        assert error.quantile(0.99) < 1e-3  # a pixel at one of the limits falls to either side
        assert error.mean() < 2e-3


def test_gradients_of_the_specification_are_those_of_differences():
    parameters = [value.detach().requires_grad_() for value in many(6, torch.float64)]
    views = cameras([VIEWS[0]]).to(torch.float64)

    def image(*values: torch.Tensor) -> torch.Tensor:
        seen: RenderedViews = rasterize_gaussians(*values, views, (6, 5))
        return torch.cat([seen.rgb[0], seen.disparity, seen.opacity])

    torch.autograd.gradcheck(image, parameters, atol=1e-4)


@pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed")
def test_any_number_of_threads_gives_the_same_bits():
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(results(many(), cameras(VIEWS)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.gpu
def test_gsplat_shows_the_same():
    pytest.importorskip("gsplat", reason="gsplat is not installed")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    own = results(many(), cameras(VIEWS))
    theirs = results([value.detach().cuda().requires_grad_() for value in many()], cameras(VIEWS).to("cuda"))
    torch.testing.assert_close(theirs[0].cpu(), own[0], atol=5e-3, rtol=1e-3)
    for got, expected in zip(theirs[1:], own[1:], strict=True):
        assert (got.cpu() - expected).norm() < 0.02 * expected.norm()


def test_gsplat_is_asked_in_its_own_terms(monkeypatch):
    """Its contract without its kernels: shapes, quaternions with w first, matrices in pixels."""

    class FakeGsplat:
        @staticmethod
        def rasterization(means, quats, scales, opacities, colors, viewmats, Ks, width, height, **options):
            FakeGsplat.given = means, quats, colors, viewmats, Ks, options
            return torch.ones(2, height, width, 4), torch.ones(2, height, width, 1), {}

    monkeypatch.setattr(gaussian_rasterizer.importlib, "import_module", lambda name: FakeGsplat)
    views = cameras(VIEWS)
    seen = gaussian_rasterizer._by_gsplat(*one(), views, SIZE)
    _, quats, colors, viewmats, matrices, options = FakeGsplat.given
    assert quats.tolist() == [[1, 0, 0, 0]]
    torch.testing.assert_close(viewmats @ views.world_from_camera, torch.eye(4).expand(2, 4, 4))
    torch.testing.assert_close(matrices, views.K(*SIZE))
    torch.testing.assert_close(colors[0, 0], torch.tensor([1.0, 0.5, 0.0, 0.5]))
    assert options == {"near_plane": 0.01, "eps2d": 0.3, "rasterize_mode": "classic"}
    assert seen.rgb.shape == (2, 3, SIZE[1], SIZE[0])


def test_files_show_what_another_renderer_shows(tmp_path):
    pytest.importorskip("plyfile")
    from splat_renderer import render_splats

    from video_ae.formats.ply import GaussianCloud, write_gaussians

    generator = torch.Generator().manual_seed(1)
    means = torch.rand(200, 3, generator=generator) * torch.tensor([2.0, 1.5, 1.0]) + torch.tensor([-1, -0.75, 2.0])
    colors, scales = torch.rand(200, 3, generator=generator), 0.005 + 0.06 * torch.rand(200, 3, generator=generator)
    rotation = so3_exp(torch.rand(200, 3, generator=generator))
    opacity = 0.05 + 0.9 * torch.rand(200, generator=generator)
    write_gaussians(tmp_path / "one.ply", GaussianCloud(means, colors, opacity, scales, rotation))
    view = cameras([[0.0, 0.0, 0.1, 0.05, 0.0, 0.0]])
    fx, fy, cx, cy = (view.intrinsics[0] * torch.tensor([37, 26, 37, 26])).tolist()
    theirs = render_splats(tmp_path / "one.ply", view.camera_from_world[0], fx, fy, cx, cy, *SIZE)
    quaternions = quaternion_from_rotation(rotation.double()).float()
    seen = rasterize_gaussians(means, quaternions, scales, opacity, colors, view, SIZE)
    assert seen.opacity.mean() > 0.1
    torch.testing.assert_close(seen.rgb[0].permute(1, 2, 0).double(), theirs, atol=2e-2, rtol=0)
