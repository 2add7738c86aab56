"""How far a walk misses its start, with key points that lie exactly where the cameras show the points."""

import numpy as np
import pytest
import torch

cv2 = pytest.importorskip("cv2")

from video_ae.evaluation.peers import closing_error  # noqa: E402
from video_ae.geometry.se3 import invert, rigid, so3_exp  # noqa: E402
from video_ae.types import Cameras  # noqa: E402
from video_ae.videos.base import VideoReader  # noqa: E402

FRAMES, SIZE = 40, (64, 48)


class NumberedFrames(VideoReader):
    """Frames whose pixels say which one it is."""

    def decode(self, numbers):
        frames = torch.tensor(numbers, dtype=torch.uint8).view(-1, 1, 1, 1)
        return frames.expand(-1, 3, SIZE[1], SIZE[0])


def walk() -> Cameras:
    """There and back, turning by half a radian."""
    there = torch.sin(torch.linspace(0, torch.pi, FRAMES, dtype=torch.float64))[:, None]
    turns = so3_exp(there * torch.tensor([0.1, 0.5, 0.05]))
    poses = rigid(turns, there * torch.tensor([2.0, 0.3, 0.5]))
    return Cameras(poses, torch.tensor([[0.8, 1.07, 0.52, 0.47]] * FRAMES))


def show(cameras: Cameras, monkeypatch: pytest.MonkeyPatch, plain: tuple[int, ...] = ()) -> None:
    """OpenCV finds the same hundred points in all frames but plain ones."""
    draw = np.random.default_rng(0)
    points = np.c_[draw.uniform(-2, 2, (100, 2)), draw.uniform(2, 5, 100), np.ones(100)]
    marks = draw.normal(size=(100, 128)).astype(np.float32)

    class Sift:
        def detectAndCompute(self, image, mask):
            frame = int(image[0, 0, 0])
            if frame in plain:
                return (), None
            seen = (invert(cameras.world_from_camera[frame]).numpy() @ points.T)[:3]
            pixels = cameras.K(*SIZE)[frame].double().numpy() @ seen
            at = (pixels[:2] / pixels[2] - 0.5).T  # the centre of the first pixel is (0, 0) there
            return [cv2.KeyPoint(float(x), float(y), 1.0) for x, y in at], marks

    monkeypatch.setattr(closing_error.cv2.SIFT, "create", lambda **options: Sift())


def errors(cameras: Cameras) -> list:
    times = torch.arange(FRAMES, dtype=torch.float64)
    return list(closing_error.closing_errors(cameras, torch.arange(FRAMES), NumberedFrames("walk", SIZE, times)))


def test_true_cameras_close_and_a_late_step_is_measured(monkeypatch):
    cameras = walk()
    show(cameras, monkeypatch)
    assert max(one.percent for one in errors(cameras)) < 1e-3
    moved = cameras.world_from_camera.clone()
    moved[-1, 0, 3] += 0.4
    length = (moved[1:, :3, 3] - moved[:-1, :3, 3]).norm(dim=-1).sum().item()
    last = errors(Cameras(moved, cameras.intrinsics))[-1]
    assert last.percent == pytest.approx(100 * 0.4 / length, rel=1e-3)
    assert last.degrees < 0.01


def test_frames_without_texture_say_nothing(monkeypatch):
    cameras = walk()
    show(cameras, monkeypatch, plain=(2, FRAMES - 1))
    found = errors(cameras)
    assert found[-1] is None
    assert found[0].percent < 1e-3
