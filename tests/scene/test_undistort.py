"""Frames of a lens that bends become those of a pinhole."""

import pytest
import torch

from video_ae.formats.lens import Lens
from video_ae.scene.source import FramesInMemory
from video_ae.scene.undistort import UndistortedReader

SIZE = (160, 120)
LENSES = {
    "barrel": Lens(SIZE, (140, 140), (80, 60), (-0.2,)),
    "pincushion": Lens(SIZE, (130, 130), (80, 60), (0.15, 0.02)),
    "off centre": Lens(SIZE, (120, 124), (76, 64), (0.03,), tangential=(0.004, -0.003)),
}


def pattern(rays: torch.Tensor) -> torch.Tensor:
    """A smooth image of the world, by viewing ray: [3, ...]."""
    x, y = rays.unbind(-1)
    return torch.stack(
        [0.5 + 0.4 * torch.sin(9 * x + 2 * y), 0.5 + 0.4 * torch.cos(8 * y), 0.5 + 0.3 * torch.sin(7 * (x - y))]
    )


def pixels() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(SIZE[1]) + 0.5, torch.arange(SIZE[0]) + 0.5, indexing="ij")
    return torch.stack([x, y], -1).double()


def filmed(lens: Lens) -> torch.Tensor:
    """What the lens sees of the pattern; its rays by Newton's method with a pinhole's slope."""
    rays = lens.rays_without_distortion(pixels())
    for _ in range(100):
        rays = rays - (lens.project(rays) - pixels()) / torch.tensor(lens.focal)
    assert (lens.project(rays) - pixels()).abs().max() < 1e-6
    return pattern(rays)


@pytest.mark.parametrize("name", LENSES)
def test_frames_are_those_of_a_pinhole(name):
    lens = LENSES[name]
    bent = (filmed(lens) * 255).round().byte()
    reader = UndistortedReader(FramesInMemory(torch.stack([bent, bent])), lens)
    focal = reader.focal_over_width * SIZE[0]
    straight = pattern((pixels() - torch.tensor(SIZE) / 2) / focal)
    frames = reader.read([1])[0] / 255
    assert (frames - straight).abs().mean() < 0.004
    assert (frames - straight).abs().max() < 0.03
    assert (bent / 255 - straight).abs().mean() > 0.01  # it bends
    assert max(lens.focal) <= focal < 1.25 * max(lens.focal)


def test_a_pinhole_is_left_as_it_is():
    frames = torch.randint(0, 256, (2, 3, SIZE[1], SIZE[0]), dtype=torch.uint8)
    reader = UndistortedReader(FramesInMemory(frames), Lens(SIZE, (100, 100), (80, 60)))
    assert torch.equal(reader.read([0, 1]), frames)
    assert reader.focal_over_width == 100 / 160
