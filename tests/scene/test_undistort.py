"""Frames of a lens that bends become those of a pinhole."""

import pytest
import torch

from video_ae.errors import UserError
from video_ae.formats.lens import Lens
from video_ae.scene.source import FramesInMemory
from video_ae.scene.undistort import UndistortedReader
from video_ae.types import LensOffset

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


@pytest.mark.parametrize("name", LENSES)
def test_maps_of_the_frames_are_shown_as_they_were_filmed(name):
    """Where the lens shows a ray, a map tells of that ray."""
    reader = UndistortedReader(FramesInMemory(torch.zeros(2, 3, SIZE[1], SIZE[0], dtype=torch.uint8)), LENSES[name])
    focal = reader.focal_over_width * SIZE[0]
    frames = pattern((pixels() - torch.tensor(SIZE) / 2) / focal).float()
    shown, bent = reader.as_filmed(frames), filmed(LENSES[name]).float()
    inside = (slice(None), slice(30, -30), slice(40, -40))
    assert (shown[inside] - bent[inside]).abs().max() < 0.005
    assert (frames[inside] - bent[inside]).abs().max() > 0.02
    assert shown.isfinite().all()


def test_a_pinhole_is_left_as_it_is():
    frames = torch.randint(0, 256, (2, 3, SIZE[1], SIZE[0]), dtype=torch.uint8)
    reader = UndistortedReader(FramesInMemory(frames), Lens(SIZE, (100, 100), (80, 60)))
    assert torch.equal(reader.read([0, 1]), frames)
    assert reader.focal_over_width == 100 / 160


def test_what_is_found_in_two_rounds_adds_up():
    lens = Lens(SIZE, (140, 140), (76, 63), (-0.2,))
    bent = (filmed(lens) * 255).round().byte()[None].repeat(2, 1, 1, 1)
    focal = 140 / SIZE[0]
    once = UndistortedReader.correcting(FramesInMemory(bent), LensOffset(-0.12, (-4 / SIZE[0], 3 / SIZE[1]), focal))
    # What is left, in the pixels of the frames that were corrected once: their focal length is a little longer.
    rest = LensOffset(-0.08 * (once.focal_over_width / focal) ** 2, (0.0, 0.0), once.focal_over_width)
    twice = UndistortedReader.correcting(once, rest)
    assert twice.lens.radial[0] == pytest.approx(-0.2 * (once.focal_over_width / focal) ** 2, rel=0.1)
    assert twice.lens.centre == pytest.approx((76, 63))
    assert "47.5 % of the width" in twice.note


@pytest.mark.parametrize("radial", [(1e6,), (-3.0,), (-0.5, -4.0), (float("nan"),)])
def test_a_distortion_that_leaves_no_image_is_refused(radial):
    frames = torch.zeros(2, 3, SIZE[1], SIZE[0], dtype=torch.uint8)
    with pytest.raises(UserError, match="no full image"):
        UndistortedReader(FramesInMemory(frames), Lens(SIZE, (40, 40), (80, 60), radial))


@pytest.mark.parametrize(
    ("lens", "said", "unsaid"),
    [
        (Lens(SIZE, (140, 140), (80, 60), (-0.2,)), "bends straight lines (k1 -0.200)", "centre"),
        (Lens(SIZE, (140, 140), (76, 66), (0.0,)), "centre lies at 47.5 % of the width and 55.0 % of the height", "k1"),
        (Lens(SIZE, (140, 140), (76, 60), (-0.1,)), "(k1 -0.100) and its centre lies at 47.5 %", "little"),
    ],
)
def test_the_note_says_what_is_wrong_with_a_lens_and_nothing_else(lens, said, unsaid):
    still = torch.zeros(2, 3, *SIZE[::-1], dtype=torch.uint8)
    note = UndistortedReader(FramesInMemory(still), lens).note
    assert note.startswith("lens: ")
    assert said in note
    assert unsaid not in note
