"""How far `novel_view.mp4` leaves the path of its video."""

import pytest
import torch

from tests.scene.test_image_based_rendering import SIZE, Wall, cameras, scene_of
from video_ae.geometry.trajectories import novel
from video_ae.scene.novel_path import LONGEST, NOVEL_RATE, SHORTEST, SWINGS, novel_path
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.source import Source


def walk_along(model, seconds: float, step: float = 0.01) -> Reconstruction:
    """Six frames of a wall, each a hundredth of its distance (or another part) beside the one before."""
    scene = scene_of(cameras(*([0.0, 0.0, 0.0, step * i, 0.0, 0.0] for i in range(6))))
    scene.clip.times[:] = torch.linspace(0, seconds, 6)
    return Reconstruction(model, scene, Source("wall", SIZE, lambda: pytest.fail("opened")))


def widest(found: Reconstruction, swing: float) -> torch.Tensor:
    path = novel(found.scene.cameras.to("cpu", torch.float64), found.scene_depth, len(found.novel_path), swing=swing)
    return path.world_from_camera


def test_where_frames_agree_the_path_swings_as_far_as_it_may():
    found = walk_along(Wall(), 4.0)
    torch.testing.assert_close(found.novel_path.world_from_camera, widest(found, 1.0))


def test_where_their_depths_disagree_it_stays_near_the_frames():
    found = walk_along(Wall(), 4.0)
    depths = torch.stack([torch.full(SIZE[::-1], 1.5**step) for step in (0, 3, 1, 4, 2, 5)])
    torch.testing.assert_close(novel_path(found, depths).world_from_camera, widest(found, SWINGS[-1]))


def test_where_the_camera_hardly_moved_so_does_the_path():
    """Frames agree about depth that no parallax has told; 5 % of it would be ten times what the camera moved."""
    found = walk_along(Wall(), 4.0, step=0.001)
    torch.testing.assert_close(found.novel_path.world_from_camera, widest(found, SWINGS[-1]))


@pytest.mark.parametrize(("video", "shown"), [(0.5, SHORTEST), (4.0, 4.0), (60.0, LONGEST)])
def test_it_lasts_as_long_as_the_video_within_bounds(video, shown):
    assert len(novel_path(walk_along(Wall(), video))) == shown * NOVEL_RATE
