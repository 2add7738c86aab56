"""PSNR, SSIM and MS-SSIM against slow twins, hand-made cases and degenerate pictures."""

import math

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from video_ae.evaluation.metrics.images import HIGHEST_PSNR, ms_ssim, psnr, ssim


def pictures(height=40, width=48, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 3, 6, 6, generator=generator)
    first = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return first, (first + 0.1 * torch.randn(first.shape, generator=generator)).clamp(0, 1)


def slow_ssim(x, y):
    """Wang et al. 2004 written out window by window, for one channel."""
    taps = torch.exp(-((torch.arange(11).double() - 5) ** 2) / (2 * 1.5**2))
    window = torch.outer(taps, taps) / taps.sum() ** 2
    values = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            a, b = (picture[top : top + 11, left : left + 11].double() for picture in (x, y))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            covariance = (window * (a - mean_a) * (b - mean_b)).sum()
            luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
            values.append(luminance * (2 * covariance + 9e-4) / (var_a + var_b + 9e-4))
    return torch.stack(values).mean().item()


def test_psnr_of_a_known_error():
    black = torch.zeros(2, 3, 5, 5)
    errors = torch.tensor([0.1, 0.01])[:, None, None, None]
    torch.testing.assert_close(psnr(black + errors, black), torch.tensor([20.0, 40.0]), atol=1e-4, rtol=0)


def test_psnr_is_one_number_per_picture_over_all_channels():
    target = torch.zeros(1, 3, 4, 4)
    prediction = target.clone()
    prediction[:, 0] = 0.3
    assert psnr(prediction, target).item() == pytest.approx(-10 * math.log10(0.09 / 3), abs=1e-4)


def test_identical_pictures_have_the_highest_scores():
    first, _ = pictures()
    assert psnr(first, first).tolist() == [HIGHEST_PSNR] * 2
    torch.testing.assert_close(ssim(first, first), torch.ones(2))
    torch.testing.assert_close(ms_ssim(first, first), torch.ones(2))


def test_ssim_equals_its_slow_twin():
    first, second = pictures(16, 18)
    twin = sum(slow_ssim(first[0, channel], second[0, channel]) for channel in range(3)) / 3
    assert ssim(second, first)[0].item() == pytest.approx(twin, abs=1e-5)


def test_ms_ssim_of_one_scale_is_ssim():
    first, second = pictures(16, 18)
    torch.testing.assert_close(ms_ssim(second, first), ssim(second, first))


def test_ms_ssim_falls_with_noise():
    first, second = pictures(192, 200)
    assert 0 < ms_ssim(second, first).max() < 0.99
    assert (ms_ssim((first + second) / 2, first) > ms_ssim(second, first)).all()


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (11, 11), (12, 300)])
def test_no_picture_is_too_small_or_too_plain(metric, size):
    black, white = torch.zeros(1, 3, *size), torch.ones(1, 3, *size)
    assert metric(black, white).isfinite().all()
    assert metric(black, black).item() >= 0.999


def test_ssim_is_that_of_torchmetrics_without_its_border():
    """torchmetrics 1.9.0 counts a border of reflections (findings/torchmetrics_ssim_counts_the_border.sh)."""
    one, other = pictures()
    other[:, :, :2] = 0  # beside this it hardly matters
    theirs, full = structural_similarity_index_measure(one, other, data_range=1.0, return_full_image=True)
    torch.testing.assert_close(ssim(one, other).mean(), full[..., 5:-5, 5:-5].mean(), atol=1e-5, rtol=0)
    assert ssim(one, other).mean() - theirs > 0.02
