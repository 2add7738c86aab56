"""Overlap of two images, against pans of known width."""

from itertools import pairwise

import pytest
import torch
from prepared_videos import WIDTH, texture

from video_ae.preparation.measured_overlap import photometric_overlap, small_grey


def overlap(first: torch.Tensor, second: torch.Tensor) -> float:
    return photometric_overlap(small_grey(first), small_grey(second))


@pytest.mark.parametrize("shift", [0, 12, 24, 48, 72, 96, 150])
def test_a_pan_of_known_width(shift: int) -> None:
    wide = texture(0)
    expected = max(0.0, 1 - shift / WIDTH)
    found = overlap(wide[:, :, :WIDTH], wide[:, :, shift : shift + WIDTH])
    assert found == pytest.approx(expected, abs=0.12)


def test_other_scenes_share_nothing_and_the_same_scene_everything() -> None:
    images = [texture(seed)[:, :, :WIDTH] for seed in range(6)]
    for one, other in pairwise(images):
        assert overlap(one, other) < 0.1
        assert overlap(one, one) == 1


def test_light_does_not_matter_and_noise_hardly() -> None:
    image = texture(1)[:, :, :WIDTH]
    assert overlap(image, 0.5 * image + 0.3) == 1
    noisy = image + 0.03 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    assert overlap(image, noisy) > 0.8


def test_going_back_sees_all_and_going_ahead_less() -> None:
    image = texture(2)[:, :, :WIDTH]
    near = torch.nn.functional.interpolate(image[None, :, 4:-4, 6:-6], size=image.shape[1:], mode="bilinear")[0]
    assert overlap(near, image) > 0.7  # all that the near image shows is in the far one
    assert overlap(image, near) <= overlap(near, image)


def test_an_image_without_texture_is_wholly_visible() -> None:
    assert overlap(torch.full((3, 64, 96), 0.5), torch.rand(3, 64, 96)) == 1
