"""Resizing: the same numbers as torch's functions, any batch shape, and sizes that keep the aspect."""

import pytest
import torch
from torch.nn.functional import interpolate

from video_ae.geometry.resize import as_floats, even_size, resize_images, resize_maps, resize_to_floats, short_side_size


def random_images(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("resize", "antialias"), [(resize_images, True), (resize_maps, False)])
@pytest.mark.parametrize("size", [(11, 7), (50, 40), (30, 10)])
def test_images_are_interpolated_bilinearly(resize, antialias, size):
    images = random_images(2, 3, 20, 30)
    expected = interpolate(images, size[::-1], mode="bilinear", align_corners=False, antialias=antialias)
    assert torch.equal(resize(images, size), expected)
    assert torch.equal(resize(images[0], size), expected[0])
    assert torch.equal(resize(images[None], size), expected[None])


def test_bytes_become_floats_before_they_are_resized():
    images = (random_images(40, 3, 20, 30) * 255).byte()
    expected = resize_images(as_floats(images), (11, 7))
    assert torch.equal(resize_to_floats(images, (11, 7)), expected)
    assert torch.equal(resize_to_floats(as_floats(images), (11, 7)), expected)
    assert as_floats(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize("resize", [resize_images, resize_maps])
def test_images_of_the_wanted_size_are_returned_themselves(resize):
    images = random_images(2, 3, 20, 30)
    assert resize(images, (30, 20)) is images
    for antialias in (True, False):  # torch computes the same numbers, so that returning the input changes none
        same = interpolate(images, (20, 30), mode="bilinear", align_corners=False, antialias=antialias)
        assert torch.equal(same, images)


def test_bytes_stay_bytes_and_agree_with_floats():
    images = (random_images(2, 3, 90, 120) * 255).to(torch.uint8)
    small = resize_images(images, (47, 30))
    assert small.dtype == torch.uint8
    torch.testing.assert_close(small.float(), resize_images(images.float(), (47, 30)), atol=1, rtol=0)


def test_antialiasing_averages_what_maps_skip():
    stripes = torch.zeros(1, 1, 32, 32)
    stripes[..., ::2] = 1
    inner = resize_images(stripes, (8, 8))[..., 1:-1]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5), atol=0.02, rtol=0)
    assert torch.equal(resize_maps(stripes, (4, 32)), torch.full((1, 1, 32, 4), 0.5))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"shorter_side": 180}, (320, 180)),
        ({"shorter_side": 720}, (640, 360)),
        ({"shorter_side": 720, "enlarge": True}, (1280, 720)),
        ({"shorter_side": 90, "multiple": 4}, (160, 88)),
        ({"shorter_side": 3, "smallest": 8}, (8, 8)),
        ({"shorter_side": 1, "multiple": 4}, (4, 4)),
    ],
)
def test_sizes_with_a_given_shorter_side(given, expected):
    assert short_side_size((640, 360), **given) == expected


def test_even_sizes_round_to_the_nearest_even_number():
    assert even_size((641, 361)) == (640, 360)
    assert even_size((1, 5)) == (2, 4)
    assert even_size((640, 361), 180) == (320, 180)
    assert even_size((64, 48), 180) == (64, 48)
