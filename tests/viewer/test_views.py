"""What a client looks at, in our cameras and in viser's."""

import math

import pytest
import torch

from video_ae.geometry.pinhole import project, transform
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.geometry.trajectories import frustum_scale, spread_frames
from video_ae.types import Cameras
from video_ae.viewer.views import (
    CameraFollow,
    View,
    camera_of_view,
    frame_at,
    start_view,
    view_of_camera,
)


def cameras(count=6, focal=0.7, aspect=4 / 3):
    twist = torch.randn(count, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    intrinsics = torch.tensor([focal, focal * aspect, 0.5, 0.5], dtype=torch.float64).expand(count, 4)
    return Cameras(se3_exp(twist), intrinsics)


@pytest.mark.parametrize("frame", range(6))
def test_a_view_and_its_camera_are_the_same(frame):
    given = cameras()
    back = camera_of_view(view_of_camera(given, frame, 4 / 3))
    torch.testing.assert_close(back.world_from_camera[0], given.world_from_camera[frame], atol=1e-9, rtol=0)
    torch.testing.assert_close(back.intrinsics[0], given.intrinsics[frame], atol=1e-9, rtol=0)


def test_quaternions_have_w_first():
    quarter = View((math.sqrt(0.5), 0.0, math.sqrt(0.5), 0.0), (1.0, 2.0, 3.0), 1.0, 1.0)  # to the right, about y
    pose = camera_of_view(quarter).world_from_camera[0]
    torch.testing.assert_close(pose[:3, 2], torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), atol=1e-9, rtol=0)
    assert pose[:3, 3].tolist() == [1.0, 2.0, 3.0]


def test_viser_agrees_on_what_the_numbers_mean():
    transforms = pytest.importorskip("viser.transforms")
    view = view_of_camera(cameras(), 2, 1.0)
    rotation = torch.from_numpy(transforms.SO3(torch.tensor(view.wxyz).numpy()).as_matrix())
    torch.testing.assert_close(rotation.double(), cameras().world_from_camera[2, :3, :3], atol=1e-6, rtol=0)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 4 / 3, 2.5])
def test_the_whole_image_fits_on_any_page_and_touches_two_edges(aspect):
    given = cameras()
    view = camera_of_view(view_of_camera(given, 1, aspect))
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    rays = torch.cat([(corners - 0.5) / given.intrinsics[1, :2], torch.ones(4, 1)], -1)
    world = transform(given.world_from_camera[1], rays)
    seen = project(transform(invert(view.world_from_camera[0]), world), view.intrinsics.expand(4, 4))
    low, high = seen.min(0).values, seen.max(0).values
    assert (low > -1e-9).all()
    assert (high < 1 + 1e-9).all()
    assert torch.stack([low, 1 - high]).abs().min() < 1e-9


def test_the_start_sees_the_path_and_what_is_ahead():
    pose = torch.eye(4, dtype=torch.float64).repeat(9, 1, 1)
    pose[:, 2, 3] = torch.linspace(0, 0.5, 9)
    path = Cameras(pose, cameras(9).intrinsics)
    position, ahead = (torch.tensor(point) for point in start_view(path, 2.0))
    assert position[2] < 0  # behind the first camera
    assert position[1] < 0  # above it: y points down
    direction = torch.nn.functional.normalize(ahead - position, dim=0)
    for centre in pose[:, :3, 3].float():
        angle = torch.dot(torch.nn.functional.normalize(centre - position, dim=0), direction).acos()
        assert angle < math.radians(30)


def test_drawn_cameras_are_neither_specks_nor_walls():
    still = Cameras(torch.eye(4).repeat(4, 1, 1), torch.full((4, 4), 0.5))
    assert frustum_scale(still, 2.0) == pytest.approx(0.08)
    far = torch.eye(4).repeat(4, 1, 1)
    far[3, 0, 3] = 100.0
    assert frustum_scale(Cameras(far, torch.full((4, 4), 0.5)), 2.0) == pytest.approx(0.14)


def test_following_ends_when_the_client_moves_away_and_not_before_it_arrived():
    follow = CameraFollow((0.0, 0.0, 1.0))
    assert follow.update((9.0, 0.0, 0.0), 0.2) == follow  # the page has not yet moved its camera
    arrived = follow.update((0.0, 0.0, 1.05), 0.2)
    assert arrived is not None
    assert arrived.arrived
    assert arrived.update((0.0, 0.0, 1.09), 0.2) == arrived
    assert arrived.update((0.0, 0.0, 1.2), 0.2) is None


def test_playback_keeps_time_and_starts_over():
    assert [frame_at(0, second / 10, 10.0, 4) for second in range(9)] == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert frame_at(3, -0.1, 10.0, 4) == 3


def test_drawn_cameras_keep_both_ends():
    assert spread_frames(5, 60) == [0, 1, 2, 3, 4]
    assert len(spread_frames(1000, 60)) == 60
    assert (spread_frames(1000, 60)[0], spread_frames(1000, 60)[-1]) == (0, 999)
    assert spread_frames(1, 60) == [0]
