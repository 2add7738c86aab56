"""SSIM against kornia's in the interior, and its compiled loops against convolutions in values and gradients."""

import pytest
import torch
from kornia.metrics import ssim

from video_ae import compiled
from video_ae.losses.structural_similarity import structural_similarity


def images(height: int = 30, width: int = 41) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_of_an_image_with_itself_is_one_and_of_black_with_white_nearly_zero():
    first = images()[0]
    torch.testing.assert_close(structural_similarity(first, first), torch.tensor(1.0))
    assert structural_similarity(torch.zeros_like(first), torch.ones_like(first)) < 1e-3


def test_equals_another_library_where_windows_see_no_border():
    framed = torch.zeros(2, 3, 50, 60)  # black beyond the border, for kornia as well
    framed[:, :, 10:40, 10:50] = images(30, 40)
    expected = ssim(framed[:1], framed[1:], 11).mean()
    torch.testing.assert_close(structural_similarity(*framed), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed")
@pytest.mark.parametrize("size", [(30, 41), (3, 4), (1, 1)], ids=str)
def test_the_compiled_loops_are_the_tensor_operations_in_values_and_gradients(monkeypatch, size):
    found = []
    for switch in (True, False):
        if not switch:
            monkeypatch.setattr("video_ae.losses.structural_similarity.usable", lambda *_: False)
        image, target = images(*size)
        image.requires_grad_()
        similarity = structural_similarity(image, target)
        (3 * similarity).backward()
        found.append((similarity, image.grad))
    for fast, slow in zip(*found, strict=True):
        assert slow.abs().max() > 1e-5
        torch.testing.assert_close(fast, slow, atol=1e-6, rtol=1e-4)
