"""Overlap of two pictures, against pans of known width."""

from itertools import pairwise

import pytest
import torch
from prepared_videos import WIDTH, texture

from video_ae.preparation.measured_overlap import photometric_overlap


@pytest.mark.parametrize("shift", [0, 12, 24, 48, 72, 96, 150])
def test_a_pan_of_known_width(shift: int) -> None:
    wide = texture(0)
    expected = max(0.0, 1 - shift / WIDTH)
    found = photometric_overlap(wide[:, :, :WIDTH], wide[:, :, shift : shift + WIDTH])
    assert found == pytest.approx(expected, abs=0.12)


def test_other_places_share_nothing_and_the_same_place_everything() -> None:
    pictures = [texture(seed)[:, :, :WIDTH] for seed in range(6)]
    for one, other in pairwise(pictures):
        assert photometric_overlap(one, other) < 0.1
        assert photometric_overlap(one, one) == 1


def test_light_does_not_matter_and_noise_hardly() -> None:
    picture = texture(1)[:, :, :WIDTH]
    assert photometric_overlap(picture, 0.5 * picture + 0.3) == 1
    noisy = picture + 0.03 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    assert photometric_overlap(picture, noisy) > 0.8


def test_going_back_sees_all_and_going_ahead_less() -> None:
    picture = texture(2)[:, :, :WIDTH]
    near = torch.nn.functional.interpolate(picture[None, :, 4:-4, 6:-6], size=picture.shape[1:], mode="bilinear")[0]
    assert photometric_overlap(near, picture) > 0.7  # all that the near picture shows is in the far one
    assert photometric_overlap(picture, near) <= photometric_overlap(near, picture)


def test_a_plain_picture_says_nothing() -> None:
    assert photometric_overlap(torch.full((3, 64, 96), 0.5), torch.rand(3, 64, 96)) == 1
