"""Paths start where they should, stay rigid, move smoothly, and keep the laws of interpolation and smoothing."""

import math

import pytest
import torch

from video_ae.geometry.se3 import invert, rotation_angle, se3_exp, se3_log
from video_ae.geometry.trajectories import (
    LEAST_MOVEMENT,
    MOST_MOVEMENT,
    MOST_SMOOTHING,
    PATHS,
    dolly,
    interpolate,
    movement_radius,
    novel,
    orbit,
    scene_depth,
    smooth,
    spiral,
)
from video_ae.types import Cameras

DEPTH = 2.0


def walk(frames: int = 20, shake: float = 0.0) -> Cameras:
    time = torch.linspace(0, 1, frames, dtype=torch.float64)
    twist = torch.stack([0.1 * time, 0.4 * time, 0 * time, 0.3 * time, 0.05 * time, 0.6 * time], -1)
    noise = shake * torch.randn(frames, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Cameras(se3_exp(twist + noise), torch.tensor([0.9, 1.2, 0.5, 0.5], dtype=torch.float64).expand(frames, 4))


def steps(cameras: Cameras) -> torch.Tensor:
    pose = cameras.world_from_camera
    return se3_log(invert(pose[:-1]) @ pose[1:])


ALL = {**PATHS, "novel": novel}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("frames", [2, 20])
def test_paths_start_on_the_input_and_are_rigid_and_smooth(name, frames):
    cameras = walk(frames)
    reference = frames // 2
    path = ALL[name](cameras, DEPTH, 60, reference)
    pose = path.world_from_camera
    assert pose.shape == (60, 4, 4)
    assert path.intrinsics.shape == (60, 4)
    identity = torch.eye(3, dtype=torch.float64).expand(60, 3, 3)
    torch.testing.assert_close(pose[:, :3, :3].mT @ pose[:, :3, :3], identity, atol=1e-9, rtol=0)
    assert (torch.linalg.det(pose[:, :3, :3]) > 0).all()
    start = reference if name in ("orbit", "spiral", "dolly") else 0
    torch.testing.assert_close(pose[0], cameras.world_from_camera[start], atol=1e-9, rtol=0)
    step = steps(path)
    assert step.norm(dim=-1).max() < 0.15
    jerk = (step[1:] - step[:-1]).norm(dim=-1)
    assert jerk.max() < 0.03, jerk


@pytest.mark.parametrize("path", [orbit, spiral, dolly, novel])
def test_new_paths_leave_the_input_by_a_moderate_amount(path):
    standing = Cameras(torch.eye(4).expand(10, 4, 4), torch.tensor([0.9, 1.2, 0.5, 0.5]).expand(10, 4))
    for depth in (0.01, 1.0, 300.0):
        moved = path(standing, depth, 50, 5).world_from_camera[:, :3, 3].norm(dim=-1).max().item() / depth
        assert 0.02 < moved < 1.6 * MOST_MOVEMENT


def test_a_fast_walk_is_shown_from_where_somebody_has_been():
    """Looking left and right by half a radian: an average over a twelfth of the video would look straight ahead."""
    frames = 120
    twist = torch.zeros(frames, 6, dtype=torch.float64)
    twist[:, 1] = 0.5 * torch.sin(torch.arange(frames) / 4)
    looking = Cameras(se3_exp(twist), torch.tensor([0.9, 1.2, 0.5, 0.5], dtype=torch.float64).expand(frames, 4))
    path = novel(looking, DEPTH, frames).world_from_camera
    turned = rotation_angle((invert(looking.world_from_camera) @ path)[:, :3, :3])
    swing = math.atan(LEAST_MOVEMENT)  # the camera turns to the point that it swings around
    assert turned.max() < MOST_SMOOTHING / 0.9 + swing + 1e-6


@pytest.mark.parametrize("path", [orbit, spiral])
def test_the_pivot_stays_in_the_middle(path):
    cameras = walk()
    pivot = cameras.world_from_camera[7] @ torch.tensor([0.0, 0.0, DEPTH, 1.0], dtype=torch.float64)
    seen = invert(path(cameras, DEPTH, 40, 7).world_from_camera) @ pivot
    torch.testing.assert_close(seen[:, :2], torch.zeros(40, 2, dtype=torch.float64), atol=1e-9, rtol=0)


def test_orbit_keeps_its_distance_and_dolly_its_direction():
    cameras = walk()
    start = cameras.world_from_camera[3]
    pivot = start @ torch.tensor([0.0, 0.0, DEPTH, 1.0], dtype=torch.float64)
    distance = (orbit(cameras, DEPTH, 40, 3).world_from_camera[:, :3, 3] - pivot[:3]).norm(dim=-1)
    torch.testing.assert_close(distance, torch.full_like(distance, DEPTH), atol=1e-9, rtol=0)
    forward = invert(start) @ dolly(cameras, DEPTH, 41, 3).world_from_camera
    assert rotation_angle(forward[:, :3, :3]).max() < 1e-9
    assert forward[20, 2, 3] == forward[:, 2, 3].max() > 0


@pytest.mark.parametrize("method", ["linear", "spline"])
def test_interpolation_gives_the_input_at_whole_numbers(method):
    cameras = walk(6, shake=0.1)
    found = interpolate(cameras, torch.arange(6, dtype=torch.float64), method)
    torch.testing.assert_close(found.world_from_camera, cameras.world_from_camera, atol=1e-9, rtol=0)
    torch.testing.assert_close(found.intrinsics, cameras.intrinsics)


@pytest.mark.parametrize("method", ["linear", "spline"])
def test_halfway_between_two_cameras(method):
    quarter = torch.stack([torch.zeros(6), torch.tensor([0.0, math.pi / 2, 0.0, 0.0, 0.0, 0.0])]).double()
    pose = se3_exp(quarter)
    pose[1, :3, 3] = torch.tensor([2.0, 0.0, 4.0])
    half = interpolate(Cameras(pose, torch.ones(2, 4).double()), torch.tensor([0.5]), method).world_from_camera[0]
    torch.testing.assert_close(half[:3, 3], torch.tensor([1.0, 0.0, 2.0]).double())
    torch.testing.assert_close(rotation_angle(half[:3, :3]), torch.tensor(math.pi / 4).double())


def test_spline_bends_where_the_line_has_corners():
    cameras = walk(4)
    cameras.world_from_camera[:, :3, 3] = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 0, 1], [2, 0, 1]]).double()
    positions = torch.linspace(0, 3, 61)
    speeds = {m: steps(interpolate(cameras, positions, m))[:, 3:] for m in ("linear", "spline")}
    sharpest = {m: (s[1:] - s[:-1]).norm(dim=-1).max() for m, s in speeds.items()}
    assert sharpest["spline"] < 0.5 * sharpest["linear"]


def test_single_camera_interpolates_to_itself():
    cameras = walk(2).select([1])
    found = interpolate(cameras, torch.tensor([0.0, 0.7]))
    torch.testing.assert_close(found.world_from_camera, cameras.world_from_camera.expand(2, 4, 4))


def test_smoothing_keeps_constant_speed_and_calms_shaking():
    twist = torch.tensor([0.0, 0.1, 0.02, 0.1, 0.0, 0.3])
    steady = Cameras(se3_exp(torch.arange(15).double()[:, None] * twist), walk(15).intrinsics)
    torch.testing.assert_close(smooth(steady, 2.0).world_from_camera, steady.world_from_camera, atol=1e-9, rtol=0)
    shaky = walk(40, shake=0.02)
    calm = smooth(shaky, 3.0)
    torch.testing.assert_close(calm.world_from_camera[[0, -1]], shaky.world_from_camera[[0, -1]], atol=1e-9, rtol=0)
    before, after = (steps(c).diff(dim=0)[5:-5].norm(dim=-1).mean() for c in (shaky, calm))
    assert after < 0.2 * before
    torch.testing.assert_close(smooth(shaky, 0.0).world_from_camera, shaky.world_from_camera, atol=1e-9, rtol=0)


def test_smoothing_follows_the_clock_where_frames_come_unevenly():
    twist = torch.tensor([0.0, 0.1, 0.02, 0.1, 0.0, 0.3])
    times = torch.cat([torch.arange(0, 1, 1 / 30), torch.arange(1, 2, 1 / 10), torch.arange(2, 2.6, 1 / 30)]).double()
    steady = Cameras(se3_exp(times[:, None] * twist), walk(len(times)).intrinsics)
    torch.testing.assert_close(
        smooth(steady, 0.1, times).world_from_camera, steady.world_from_camera, atol=1e-9, rtol=0
    )
    by_frame = smooth(steady, 3.0).world_from_camera
    assert (by_frame - steady.world_from_camera).abs().max() > 1e-3, "by the frame it bends where the rate changes"
    shaky = walk(40, shake=0.02)
    for sigma in (0.5, 2.0, 7.3):  # even times are numbers of frames
        seconds = smooth(shaky, sigma / 25, torch.arange(40).double() / 25).world_from_camera
        torch.testing.assert_close(seconds, smooth(shaky, sigma).world_from_camera, atol=1e-9, rtol=0)


def test_sizes_follow_depth_and_path():
    assert scene_depth(torch.full((3, 4), 0.25)) == 4
    assert scene_depth(torch.zeros(3)) == 1
    assert movement_radius(walk(), 1000.0) == pytest.approx(50)


def line(direction: list[float], frames: int = 21) -> Cameras:
    """Steps of 0.02 in one direction, no turns, focal length 0.9 widths."""
    pose = torch.eye(4, dtype=torch.float64).repeat(frames, 1, 1)
    pose[:, :3, 3] = 0.02 * torch.arange(frames)[:, None] * torch.tensor(direction, dtype=torch.float64)
    return Cameras(pose, torch.tensor([0.9, 1.2, 0.5, 0.5], dtype=torch.float64).expand(frames, 4))


def test_new_paths_stray_only_as_far_as_the_frames_around_say_what_would_come_into_view():
    # Sideways, near surfaces (inverse depth 2) move by 0.25 widths over 0.25 / (0.9 * 2) = 0.139: six steps.
    assert movement_radius(line([1, 0, 0]), 1.0, 10) == pytest.approx(0.06)
    assert movement_radius(line([1, 0, 0], 41), 1.0, 20) == pytest.approx(0.06)  # a longer walk allows no more
    assert movement_radius(line([0.2, 0, 1]), 1.0, 10) == LEAST_MOVEMENT  # straight ahead says little
    assert movement_radius(line([8, 0, 0], 3), 4.0, 1) == pytest.approx(LEAST_MOVEMENT * 4.0)
