"""A dot that a moving camera sees, and where a clip says that it is: for data sets that tests write."""

from pathlib import Path

import torch
from PIL import Image

from video_ae.geometry.pinhole import project, transform
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.types import VideoClip

WIDTH, HEIGHT, COUNT = 80, 60, 5
DOT = torch.tensor([0.25, -0.15, 3.0])


def poses(count: int = COUNT) -> torch.Tensor:
    """world_from_camera [count, 4, 4]: a camera walks right, rises, turns and rolls; the first pose is no identity."""
    steps = torch.arange(1, count + 1)[:, None]
    return se3_exp(steps * torch.tensor([[0.01, 0.03, -0.02, 0.08, -0.03, 0.05]]))


def write_images(files: list[Path], intrinsics: tuple[float, float, float, float]) -> None:
    """Draws what each camera of `poses` sees: DOT, 4x4 pixels. intrinsics: (fx, fy, cx, cy) in pixels."""
    scale = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    for file, pose in zip(files, poses(len(files)), strict=True):
        seen = project(transform(invert(pose), DOT), torch.tensor(intrinsics) / scale)
        x, y = (seen * scale[:2]).round().int().tolist()
        frame = torch.zeros(HEIGHT, WIDTH, 3, dtype=torch.uint8)
        frame[y - 2 : y + 2, x - 2 : x + 2] = 255
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame.numpy()).save(file, quality=95)


def dot_error(clip: VideoClip) -> float:
    """The largest distance, in pixels of the clip, between the dot in a picture and where the cameras put DOT."""
    assert clip.cameras is not None
    width, height = clip.image_size
    size = torch.tensor([width, height])
    bright = (clip.frames.mean(1) - 0.2).clamp_min(0)
    total = bright.sum((1, 2))
    assert (total > 0).all(), "no dot is to be seen"
    x, y = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / height
    seen = torch.stack([(bright.sum(1) * x).sum(1), (bright.sum(2) * y).sum(1)], -1) / total[:, None]
    expected = project(transform(invert(clip.cameras.world_from_camera), DOT), clip.cameras.intrinsics)
    return ((seen - expected) * size).norm(dim=-1).max().item()
