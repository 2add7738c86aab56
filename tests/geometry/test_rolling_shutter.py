"""A rolling shutter's images are straightened."""

import pytest
import torch

from video_ae.geometry.rolling_shutter import as_global_shutter, camera_motion, image_motion, motion_field
from video_ae.geometry.se3 import se3_exp
from video_ae.types import CameraEstimate, Cameras


def test_image_points_move_as_the_camera_takes_them():
    generator = torch.Generator().manual_seed(0)
    points, inverse_depth = 0.5 * torch.randn(20, 2, generator=generator).double(), torch.rand(20).double() + 0.1
    twist = 0.2 * torch.randn(6, generator=generator).double()
    rays = torch.cat([points, torch.ones(20, 1)], 1) / inverse_depth[:, None]
    ahead, behind = (se3_exp(time * twist) for time in (1e-5, -1e-5))
    there, before = (rays @ pose[:3, :3].mT + pose[:3, 3] for pose in (ahead, behind))
    expected = (there[:, :2] / there[:, 2:] - before[:, :2] / before[:, 2:]) / 2e-5
    torch.testing.assert_close(motion_field(points, inverse_depth, twist), expected, rtol=1e-5, atol=1e-6)


def test_motion_is_that_of_the_poses():
    time, twist = torch.arange(9).double()[:, None], torch.tensor([0.1, -0.2, 0.05, 1.0, 0.5, -0.3]).double()
    velocity, acceleration = camera_motion(se3_exp(time * twist))
    torch.testing.assert_close(velocity, twist.expand(9, 6), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(acceleration, torch.zeros(9, 6).double(), rtol=0, atol=1e-9)
    axis = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]).double()  # shaken about one axis, ten frames a period
    velocity, acceleration = camera_motion(se3_exp(0.02 * (0.63 * time).sin() * axis))
    inside = slice(2, -2)
    torch.testing.assert_close(velocity[inside, 1], 0.02 * 0.63 * (0.63 * time[inside, 0]).cos(), rtol=0, atol=1e-4)
    assert (acceleration[inside, 1] + 0.02 * 0.63**2 * (0.63 * time[inside, 0]).sin()).abs().max() < 3e-4


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_turning_camera_leans_no_more(as_bytes):
    """A vertical edge that a camera sees while it turns by a twentieth of the width a frame."""
    width, height, readout, focal = 96, 64, 0.8, 4.0
    turn = torch.tensor([0.0, 0.05 / focal, 0, 0, 0, 0])
    poses = torch.stack([se3_exp(time * turn) for time in torch.arange(-1.0, 2.0)])
    intrinsics = torch.tensor([focal, focal * width / height, 0.5, 0.5]).expand(3, 4)
    maps = torch.ones(3, 4, 6)
    cameras = Cameras(torch.linalg.inv(poses), intrinsics)
    estimate = CameraEstimate(cameras, maps, torch.ones(3), torch.zeros(3, 6, 6), readout=readout)
    rows, columns = (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width
    edge = 0.5 + 0.05 * readout * (rows - 0.5)  # where each row shows it
    image = (0.5 + (columns - edge[:, None]) * width / 4).clamp(0, 1).expand(3, 3, height, width).contiguous()
    frames = (image * 255).round().byte() if as_bytes else image
    straight = as_global_shutter(frames, image_motion(estimate), readout)
    assert straight.dtype == frames.dtype
    shown = straight[1, 0].float() / (255 if as_bytes else 1)
    places = 1 - shown.mean(1)
    assert (image[1, 0].mean(1) - image[1, 0].mean()).abs().max() > 0.015  # it did lean
    assert (places - 0.5).abs().max() < 0.002
