"""Small videos of what preparation has to tell apart, written by the tests."""

from pathlib import Path

import torch

from video_ae.videos.writer import write_video

WIDTH, HEIGHT = 96, 64


def texture(seed: int, width: int = 400) -> torch.Tensor:
    """A wide random image with detail at several scales, [3, HEIGHT, width] in 0 .. 1."""
    draw = torch.Generator().manual_seed(seed)
    layers = [
        torch.nn.functional.interpolate(
            torch.rand(1, 3, HEIGHT // cell, width // cell, generator=draw), size=(HEIGHT, width), mode="bicubic"
        ) * cell**0.5
        for cell in (4, 8, 16, 32)
    ]  # fmt: skip
    image = sum(layers)[0]
    return (image - image.min()) / (image.max() - image.min())


def pan(seed: int, count: int, step: int = 3) -> torch.Tensor:
    """A camera that looks along the image, `step` pixels further in each frame: [count, 3, HEIGHT, WIDTH]."""
    wide = texture(seed, WIDTH + step * count + 32)
    frames = torch.stack([wide[:, :, step * number : step * number + WIDTH] for number in range(count)])
    return (frames * 255).to(torch.uint8)


def write(path: Path, *parts: torch.Tensor) -> Path:
    write_video(path, torch.cat(parts), fps=10)
    return path
