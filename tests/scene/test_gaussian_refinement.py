"""Gaussians refined on frames that Gaussians made: they come closer, also on frames that were kept out."""

from dataclasses import replace

import pytest
import torch

from video_ae import compiled
from video_ae.formats.ply import GaussianCloud
from video_ae.geometry.se3 import se3_exp, so3_exp
from video_ae.scene.gaussian_refinement import _Parameters, refined_gaussians, render_gaussians
from video_ae.scene.rendering import to_bytes
from video_ae.types import Cameras

SIZE = (48, 36)

pytestmark = pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed: it would take minutes")


def cameras(count: int = 12) -> Cameras:
    """A camera that moves to the right and turns back."""
    twist = torch.zeros(count, 6)
    twist[:, 3], twist[:, 1] = torch.linspace(-0.4, 0.4, count), torch.linspace(0.2, -0.2, count)
    return Cameras(se3_exp(twist), torch.tensor([0.8, 1.07, 0.5, 0.5]).expand(count, 4))


def wall(count: int = 300) -> GaussianCloud:
    """Coloured discs about a wall at depth 2."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(count, 3, generator=generator) * torch.tensor([4.0, 3.0, 0.4]) + torch.tensor([-2, -1.5, 1.8])
    colors, scale = torch.rand(count, 3, generator=generator), 0.1 + 0.15 * torch.rand(count, 3, generator=generator)
    return GaussianCloud(centres, colors, torch.full((count,), 0.8), scale, so3_exp(torch.zeros(count, 3)))


def disturbed(cloud: GaussianCloud) -> GaussianCloud:
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(len(cloud), 3, generator=generator) for _ in range(3)]
    colors, scale = (cloud.colors + 0.2 * noise[1]).clamp(0, 1), cloud.scale * (0.3 * noise[2]).exp()
    return GaussianCloud(cloud.centres + 0.05 * noise[0], colors, 0.5 * cloud.opacity, scale, cloud.rotation)


def inside(cloud: GaussianCloud) -> torch.Tensor:
    """Whether some camera sees each centre."""
    seen = []
    for pose in cameras().world_from_camera:
        local = (cloud.centres - pose[:3, 3]) @ pose[:3, :3]
        away = (local[:, :2] / local[:, 2:] * torch.tensor([0.8, 1.07])).abs()
        seen.append((local[:, 2] > 0) & (away < 0.5).all(1))
    return torch.stack(seen).any(0)


def psnr(cloud: GaussianCloud, views: Cameras, frames: torch.Tensor) -> float:
    return -10 * (render_gaussians(cloud, views, SIZE).rgb - frames.float() / 255).square().mean().log10().item()


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    return to_bytes(render_gaussians(wall(), cameras(), SIZE).rgb)


def test_frames_are_explained_better_and_so_are_views_that_nobody_saw(frames):
    start, done = disturbed(wall()), []
    refined = refined_gaussians(start, list(frames[::2]), cameras()[::2], 150, done.append)
    assert psnr(refined, cameras()[::2], frames[::2]) > psnr(start, cameras()[::2], frames[::2]) + 6
    assert psnr(refined, cameras()[1::2], frames[1::2]) > psnr(start, cameras()[1::2], frames[1::2]) + 4
    torch.testing.assert_close(torch.linalg.det(refined.rotation), torch.ones(len(refined)), atol=1e-4, rtol=0)
    assert 0 < refined.opacity.min() < refined.opacity.max() < 1
    assert done == pytest.approx([(step + 1) / 150 for step in range(150)])


def test_nothing_shows_through_where_frames_are_dark(frames):
    start = disturbed(wall())
    before = render_gaussians(start, cameras(), SIZE).opacity.mean()
    refined = refined_gaussians(start, list(torch.zeros_like(frames)), cameras(), 150)
    views = render_gaussians(refined, cameras(), SIZE)
    assert views.opacity.mean() > before + 0.05
    assert views.rgb.mean() < 0.1


def test_what_no_frame_sees_is_pruned(frames):
    unseen = replace(wall(200), centres=wall(200).centres - torch.tensor([0.0, 0.0, 9.0]))
    start = GaussianCloud.cat([disturbed(wall()), unseen])
    refined = refined_gaussians(start, list(frames), cameras(), 60)
    assert 0.9 * inside(start).sum() < len(refined) <= 300
    assert refined.centres[:, 2].min() > 0
    assert psnr(refined, cameras(), frames) > psnr(start, cameras(), frames) + 4


def test_gaussians_grow_as_far_as_they_may_in_the_frames_and_shrink_outside_of_them(frames, monkeypatch):
    monkeypatch.setattr("video_ae.scene.gaussian_refinement._LARGEST", 1.5)
    small = refined_gaussians(replace(wall(), scale=torch.full((300, 3), 0.02)), list(frames), cameras(), 60)
    assert small.scale.max().item() == pytest.approx(1.5 * 0.02)
    monkeypatch.undo()
    refined = refined_gaussians(disturbed(wall()), list(frames), cameras(), 60)
    outside = ~inside(refined)
    assert outside.sum() > 20
    assert refined.scale[outside].max() < 0.6 * disturbed(wall()).scale[~inside(disturbed(wall()))].max()


def test_no_gaussian_fills_a_frame(frames):
    fog = refined_gaussians(replace(wall(), scale=torch.full((300, 3), 2.0)), list(frames), cameras(), 60)
    assert fog.scale[inside(fog)].max() < 0.15 * 3.5  # they are at most 3.5 away from the nearest camera


def test_the_start_stays_where_frames_see_none_of_it(frames):
    start = replace(wall(), centres=-wall().centres)
    assert refined_gaussians(start, list(frames), cameras(), 20) is start


def test_a_gaussian_fills_the_pixels_that_its_weights_sum_up_to():
    """Half opaque and 40 pixels wide, it adds half of each pixel to the view that sees it, and nothing to the other."""
    cloud = replace(wall(1), centres=torch.tensor([[0.0, 0.0, 2.0]]), opacity=torch.tensor([0.5]))
    parameters = _Parameters.of(replace(cloud, scale=torch.full((1, 3), 40.0)))
    away = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    views = Cameras(torch.stack([torch.eye(4), away]), cameras(2).intrinsics)
    most = parameters.most_pixels(views, SIZE)
    torch.testing.assert_close(most, torch.tensor([0.5 * SIZE[0] * SIZE[1]]), atol=1, rtol=1e-3)


def test_frames_that_contradict_what_is_kept_out_leave_the_start(frames):
    """Of nine frames the fifth is kept out; all others are noise."""
    noise = [torch.randint(256, frame.shape, dtype=torch.uint8) for frame in frames[:9]]
    noise[4] = frames[4]
    start = wall()
    assert refined_gaussians(start, noise, cameras()[:9], 100) is start


def test_the_same_every_time(frames):
    first, second = (refined_gaussians(disturbed(wall()), list(frames), cameras(), 20) for _ in range(2))
    assert all(torch.equal(getattr(first, name), getattr(second, name)) for name in vars(first))


def test_no_step_is_the_start(frames):
    start = wall()
    assert refined_gaussians(start, list(frames), cameras(), 0) is start
