"""What one frame's depth map misses or has too large, and its neighbours know: a bar in front of a wall."""

import pytest
import torch
import torch.nn.functional as F

from video_ae import compiled
from video_ae.geometry.pinhole import camera_rays, pinhole_intrinsics
from video_ae.geometry.se3 import se3_exp
from video_ae.scene import depth_refinement
from video_ae.scene.depth_refinement import refine_depth, see_from
from video_ae.types import Cameras

SIZE = WIDTH, HEIGHT = 64, 48
WALL, BAR = 2.0, 1.0  # depths
HALF_WIDTH = 0.06  # of the bar: four pixels


def camera(x: float) -> Cameras:
    return Cameras(se3_exp(torch.tensor([[0, 0, 0, x, 0, 0]])), pinhole_intrinsics(torch.tensor(1.0), *SIZE)[None])


def seen(x: float, brighter: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """(brightness, 1 / z) of a camera at x: waves on the wall, and a bar that is darker."""
    rays = camera_rays(camera(x).intrinsics[0], HEIGHT, WIDTH)
    bar = (rays[..., 0] * BAR + x).abs() < HALF_WIDTH
    across, down = rays[..., 0] * WALL + x, rays[..., 1] * WALL
    wall = 0.5 + 0.1 * ((26 * across).sin() + (33 * down).sin() + (21 * (across + down)).sin())
    return torch.where(bar, 0.05, wall) + brighter, torch.where(bar, 1 / BAR, 1 / WALL)


PLACES = [-0.2, -0.1, 0.1, 0.2]
OTHERS = Cameras.cat([camera(x) for x in PLACES])
IMAGES, DEPTHS = (torch.stack(parts) for parts in zip(*(seen(x) for x in PLACES), strict=True))
WALL_ALONE = torch.full((HEIGHT, WIDTH), 1 / WALL)


@pytest.mark.parametrize("brighter", [0.0, 0.2], ids=["same exposure", "another exposure"])
def test_a_bar_that_only_neighbours_see_is_taken_over(brighter):
    image, true = seen(0.0, brighter)
    found = refine_depth(WALL_ALONE, image, camera(0.0), DEPTHS, IMAGES, OTHERS)
    bar, right = true == 1 / BAR, (found - true).abs() < 0.02
    assert bar.float().mean() > 0.1
    assert right[bar].float().mean() > 0.95
    assert right[~bar].float().mean() > 0.9  # a pixel at each side of the bar may be taken for it


def test_a_bar_that_reaches_beyond_its_outline_is_trimmed():
    """All depth maps have it too wide by the same three pixels, so that no neighbour proposes what is true."""
    image, true = seen(0.0)
    wide = lambda maps: F.max_pool2d(maps[None], (1, 7), 1, (0, 3))[0]  # noqa: E731
    own = wide(true[None])[0]
    assert 0.5 < (own == true).float().mean() < 0.92
    found = refine_depth(own, image, camera(0.0), wide(DEPTHS), IMAGES, OTHERS)
    assert (found == true)[:, 8:-8].float().mean() > 0.97


def test_a_bar_that_is_not_there_is_not_taken_over():
    """Neighbours claim a second bar, where they show the wall like all others."""
    image, true = seen(0.0)
    claimed = DEPTHS.clone()
    claimed[:2, :, 22:28] = 1 / BAR
    found = refine_depth(true, image, camera(0.0), claimed, IMAGES, OTHERS)
    believed = (see_from(claimed[:1], OTHERS.select([0]), camera(0.0), SIZE)[0] > 0.9) & (true < 0.9)
    believed[:, 22:42] = False  # the true bar, and what is around it
    assert believed.sum() > 50
    assert (found[believed] == 1 / WALL).all()


def test_where_nothing_speaks_for_another_depth_a_frame_keeps_its_own():
    plain = torch.full((HEIGHT, WIDTH), 0.5)
    found = refine_depth(WALL_ALONE, plain, camera(0.0), DEPTHS, plain.expand(4, -1, -1), OTHERS)
    assert torch.equal(found, WALL_ALONE)


def test_one_neighbour_alone_and_unknown_depth():
    image, true = seen(0.0)
    alone = refine_depth(WALL_ALONE, image, camera(0.0), DEPTHS[:1], IMAGES[:1], OTHERS.select([0]))
    assert torch.equal(alone, WALL_ALONE)
    unknown = torch.where(true == 1 / BAR, true, torch.nan)
    found = refine_depth(unknown, image, camera(0.0), DEPTHS, IMAGES, OTHERS)
    assert (found - true).abs()[:, 8:-8].nan_to_num(1.0).median() < 0.01


def test_what_another_camera_sees_is_the_nearest_point():
    found = see_from(DEPTHS, OTHERS, camera(0.0), SIZE)
    for place, one in zip(PLACES, found, strict=True):
        bar = seen(0.0)[1] == 1 / BAR
        assert (one[bar] > 0.9).float().mean() > 0.8, place
        assert (one[:, 12:-12] > 0).float().mean() > 0.8, place  # the rest is hidden from it by the bar


@pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed")
@pytest.mark.parametrize("place", [0.0, 0.15])
def test_compiled_loops_agree_with_their_twins(monkeypatch, place):
    image, true = seen(place)
    depths = torch.where(DEPTHS > 0.9, torch.nan, DEPTHS)
    given = torch.where(true > 0.9, 0.4, 0.45), image, camera(place), depths, IMAGES, OTHERS
    surfaces, found = see_from(depths, OTHERS, camera(place), SIZE), refine_depth(*given)
    monkeypatch.setattr(depth_refinement, "usable", lambda *tensors: False)
    twin = see_from(depths, OTHERS, camera(place), SIZE)
    assert ((surfaces - twin).abs() < 1e-4).float().mean() > 0.99  # a point on the border of two pixels lands in either
    assert 0.5 < (surfaces > 0).float().mean() < 1
    assert ((found - refine_depth(*given)).abs() < 1e-4).float().mean() > 0.99
    assert (found != given[0]).float().mean() > 0.1
