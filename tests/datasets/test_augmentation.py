"""Colours of training clips: what is promised, as Pillow has it, and the same for all frames of a clip."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from video_ae.datasets import byte_clips
from video_ae.datasets.byte_clips import augment


def test_augmentation_is_one_for_a_clip_and_a_function_of_its_position() -> None:
    frames = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    changed = [augment(frames, seed=0, position=position) for position in range(20)]
    for clip in changed:
        assert torch.equal(clip[0], clip[2])
        assert 0 <= clip.min() <= clip.max() <= 1
    torch.manual_seed(5)
    assert torch.equal(augment(frames, 0, 7), changed[7])
    assert len({round(float(clip.mean()), 5) for clip in changed}) == 20
    left = [float(clip[..., :16].mean() - clip[..., 16:].mean()) for clip in changed]
    assert 0 < sum(value * left[0] > 0 for value in left) < 20, "some are mirrored, some are not"


class Drawn:
    """Draws a change for one of brightness, contrast, saturation and hue, none for the others, and no mirroring."""

    def __init__(self, changed: int, share: float) -> None:
        self._values = [share if number == changed else 0.0 for number in range(4)]

    def uniform(self, low: float, high: float) -> float:
        return high * self._values.pop(0)

    def random(self) -> float:
        return 1.0


@pytest.mark.parametrize("share", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("changed", "enhancer", "largest"),
    [
        (0, ImageEnhance.Brightness, byte_clips.BRIGHTNESS),
        (1, ImageEnhance.Contrast, byte_clips.CONTRAST),
        (2, ImageEnhance.Color, byte_clips.SATURATION),
    ],
)
def test_colours_change_as_in_pillow(monkeypatch, changed, enhancer, largest, share) -> None:
    """Pillow 13. In kornia 0.8.1 and 0.9.0 `adjust_contrast` is the brightness."""
    pixels = torch.randint(20, 180, (3, 16, 20), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    expected = np.array(enhancer(image).enhance(1 + share * largest)).transpose(2, 0, 1) / 255
    monkeypatch.setattr(byte_clips, "random", SimpleNamespace(Random=lambda seed: Drawn(changed, share)))
    found = augment(pixels[None].float() / 255, seed=0, position=0)[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1.5 / 255)  # Pillow rounds the mean and the result
    assert np.abs(found.numpy() - pixels.numpy() / 255).max() > 8 / 255


def test_contrast_of_a_clip_is_about_the_mean_of_all_its_frames(monkeypatch) -> None:
    """What a dark and a bright frame both show keeps one colour; about each frame's own mean it would get two."""
    frames = torch.full((2, 3, 4, 4), 0.2)
    frames[1, :, 1:] = 0.8
    monkeypatch.setattr(byte_clips, "random", SimpleNamespace(Random=lambda seed: Drawn(1, 1.0)))
    found = augment(frames, seed=0, position=0)
    mean = (16 * 0.2 + 4 * 0.2 + 12 * 0.8) / 32
    torch.testing.assert_close(found, 1.2 * frames - 0.2 * mean)
