"""What one frame's depth map misses, and its neighbours know: a bar in front of a wall."""

import pytest
import torch

from video_ae.geometry.pinhole import camera_rays, pinhole_intrinsics
from video_ae.geometry.se3 import se3_exp
from video_ae.scene import forward_warping
from video_ae.scene.depth_propagation import propagate_depth
from video_ae.scene.forward_warping import nearest_surface
from video_ae.types import Cameras

SIZE = WIDTH, HEIGHT = 64, 48
WALL, BAR = 2.0, 1.0  # depths
HALF_WIDTH = 0.06  # of the bar: four pixels


def camera(x: float) -> Cameras:
    return Cameras(se3_exp(torch.tensor([[0, 0, 0, x, 0, 0]])), pinhole_intrinsics(torch.tensor(1.0), *SIZE)[None])


def seen(x: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(image, 1 / z) of a camera at x: waves on the wall, and a bar of one colour."""
    rays = camera_rays(camera(x).intrinsics[0], HEIGHT, WIDTH)
    bar = (rays[..., 0] * BAR + x).abs() < HALF_WIDTH
    across, down = rays[..., 0] * WALL + x, rays[..., 1] * WALL
    wall = 0.4 + 0.15 * torch.stack([(9 * across).sin(), (11 * down).sin(), (7 * (across + down)).sin()])
    return torch.where(bar, torch.tensor([0.9, 0.2, 0.2])[:, None, None], wall), torch.where(bar, 1 / BAR, 1 / WALL)


PLACES = [-0.2, -0.1, 0.1, 0.2]
OTHERS = Cameras.cat([camera(x) for x in PLACES])
IMAGES, DEPTHS = (torch.stack(parts) for parts in zip(*(seen(x) for x in PLACES), strict=True))
WALL_ALONE = torch.full((HEIGHT, WIDTH), 1 / WALL)


def test_a_bar_that_only_neighbours_see_is_taken_over():
    image, true = seen(0.0)
    found = propagate_depth(WALL_ALONE, image, camera(0.0), DEPTHS, IMAGES, OTHERS)
    bar, right = true == 1 / BAR, (found - true).abs() < 0.02
    assert bar.float().mean() > 0.1
    assert right[bar].all()
    assert right[~bar].float().mean() > 0.96  # a pixel at each side of the bar may be taken for it


def test_a_bar_that_is_not_there_is_not():
    """Neighbours claim a second bar, where they show the wall like all others."""
    image, true = seen(0.0)
    claimed = DEPTHS.clone()
    claimed[:2, :, 22:28] = 1 / BAR
    found = propagate_depth(true, image, camera(0.0), claimed, IMAGES, OTHERS)
    surface = nearest_surface(claimed[0], OTHERS.select([0]), camera(0.0), SIZE)
    believed = (surface > 0.9) & (true < 0.9)
    believed[:, 24:40] = False  # the true bar
    assert believed.sum() > 100
    assert (found[believed] == 1 / WALL).all()


def test_one_neighbour_alone_and_unknown_depth():
    image, true = seen(0.0)
    alone = propagate_depth(WALL_ALONE, image, camera(0.0), DEPTHS[:1], IMAGES[:1], OTHERS.select([0]))
    assert torch.equal(alone, WALL_ALONE)
    unknown = torch.where(true == 1 / BAR, true, torch.nan)
    found = propagate_depth(unknown, image, camera(0.0), DEPTHS, IMAGES, OTHERS)
    assert (found - true).abs()[:, 8:-8].nan_to_num(1.0).median() < 0.01


@pytest.mark.parametrize("place", [0.0, 0.15])
def test_compiled_surface_agrees_with_its_twin(monkeypatch, place):
    given = torch.where(DEPTHS[0] > 0.9, torch.nan, DEPTHS[0]), OTHERS.select([0]), camera(place), SIZE
    compiled = nearest_surface(*given)
    monkeypatch.setattr(forward_warping, "usable", lambda *tensors: False)
    torch.testing.assert_close(compiled, nearest_surface(*given), atol=1e-5, rtol=1e-5)
    assert 0.5 < (compiled > 0).float().mean() < 1
