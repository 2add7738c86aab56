"""Corners that are followed through rendered pictures of a known scene."""

import pytest
import torch

from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.scene.feature_tracks import track_points
from video_ae.types import Cameras, MultiplaneVolume

COUNT, SIZE, WALL = 7, (128, 96), 2.5


@pytest.fixture(scope="module", params=[1.0, 1.4], ids=["one focal length", "zoom"])
def views(request):
    """Pictures of one textured wall from a moving camera, with true cameras and inverse depths."""
    picture = torch.rand(1, 3, 60, 80, generator=torch.Generator().manual_seed(0))
    picture = torch.nn.functional.interpolate(picture, (240, 320), mode="bicubic").clamp(0, 1)
    time = torch.arange(COUNT).double()
    zero = torch.zeros_like(time)
    pose = se3_exp(0.01 * torch.stack([zero, time, zero, 4 * time, time, 2 * time], -1))
    focal = 0.8 * torch.linspace(1, request.param, COUNT).double()
    intrinsics = torch.stack([focal, focal * 4 / 3, zero + 0.5, zero + 0.5], -1)
    wide = torch.tensor([[0.4, 0.4 * 4 / 3, 0.5, 0.5]])
    code = MultiplaneVolume(
        torch.full((1, 240, 320), 20.0),
        picture[0, :, None],
        torch.tensor([1 / WALL]),
        Cameras(torch.eye(4)[None], wide),
    )
    cameras = Cameras(pose, intrinsics)
    seen = FrustumRenderer()(code[None], cameras[None].to(torch.float32), SIZE[1], SIZE[0])[0]
    track = CameraTrajectory(cameras, torch.arange(COUNT), time, torch.ones_like(time), (2 * SIZE[0], 2 * SIZE[1]))
    return seen.rgb, track, seen.disparity


def test_points_lie_on_the_wall_and_are_seen_where_they_are(views):
    frames, track, inverse_depth = views
    points = track_points(frames, track, 1.1 * inverse_depth, [0, 3])  # the structure is 10 % off
    assert len(points) > 150
    assert (points.points[:, 2] - WALL).abs().median() < 0.01 * WALL
    assert points.error.mean() < 0.3  # pixels of the source
    view = invert(track.cameras.world_from_camera)[points.frame]
    local = (view[:, :3, :3] @ points.points[points.point][..., None]).squeeze(-1) + view[:, :3, 3]
    lens = track.cameras.intrinsics[points.frame]
    place = local[:, :2] / local[:, 2:] * lens[:, :2] + lens[:, 2:]
    error = (place * torch.tensor(track.image_size) - points.pixel).norm(dim=-1)
    mean = torch.zeros(len(points)).double().index_add_(0, points.point, error) / points.point.bincount()
    torch.testing.assert_close(mean, points.error, atol=1e-4, rtol=1e-4)
    assert points.point.bincount().min() >= 3
    assert (points.point * COUNT + points.frame).unique().numel() == len(points.point)  # a frame sees a point once


def test_the_error_tells_wrong_cameras_from_right_ones(views):
    frames, track, inverse_depth = views
    turned = track.cameras.world_from_camera @ se3_exp(
        0.01 * torch.randn(COUNT, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    )
    wrong = CameraTrajectory(
        Cameras(turned, track.cameras.intrinsics), track.indices, track.times, track.confidence, track.image_size
    )
    right, off = (track_points(frames, t, inverse_depth, [0, 3]) for t in (track, wrong))
    assert off.error.mean() > 3 * right.error.mean()
    assert len(off) < len(right)


def test_a_blank_wall_and_unknown_depth_have_no_points(views):
    frames, track, inverse_depth = views
    assert len(track_points(0 * frames + 0.5, track, inverse_depth, [0, 3])) == 0
    assert len(track_points(frames, track, torch.full_like(inverse_depth, torch.nan), [0, 3])) == 0
