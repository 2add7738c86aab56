"""Similarity of two images, and the metrics of a table. Images are RGB in [0, 1]; functions return one value per image.

Metrics are computed on tensors, never on images that went through a lossy file.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import reduce
from jaxtyping import Float
from kornia.filters import filter2d_separable, get_gaussian_kernel1d
from kornia.metrics import ssim as kornia_ssim
from torch import Tensor
from torch.nn.functional import avg_pool2d

Images = Float[Tensor, "batch 3 height width"]
ImageMetric = Callable[[Tensor, Tensor], Tensor]
HIGHEST_PSNR = 100.0  # decibels: identical images score this, so that means stay finite
_WINDOW = 11  # taps of the Gaussian of sigma 1.5, as in Wang et al. 2004
_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def psnr(prediction: Images, target: Images) -> Float[Tensor, "batch"]:
    """Peak signal-to-noise ratio in decibels, 10 log10(1 / MSE), MSE over all pixels and channels; at most 100.

    Args:
        prediction, target: images.

    >>> psnr(torch.full((1, 3, 4, 4), 0.5), torch.full((1, 3, 4, 4), 0.6)).round(decimals=3).tolist()
    [20.0]
    """
    error = reduce((prediction.double() - target.double()).square(), "batch c h w -> batch", "mean")
    return (-10 * error.clamp_min(10 ** (-HIGHEST_PSNR / 10)).log10()).to(target.dtype)


def ssim(prediction: Images, target: Images) -> Float[Tensor, "batch"]:
    """Structural similarity (Wang et al. 2004, "Image quality assessment"), from -1 to 1, by kornia.

    Gaussian window of sigma 1.5 and 11 taps, colour channels averaged, borders that the window does not cover left out,
    as in scikit-image's `structural_similarity(gaussian_weights=True, data_range=1)` up to its sample covariance.
    Images smaller than the window get the largest odd window that fits.

    Args:
        prediction, target: images.
    """
    height, width = target.shape[-2:]
    window = min(_WINDOW, (min(height, width) - 1) // 2 * 2 + 1)
    values = kornia_ssim(prediction, target, window, padding="valid", eps=0.0)
    return reduce(values, "batch c h w -> batch", "mean")


def ms_ssim(prediction: Images, target: Images) -> Float[Tensor, "batch"]:
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003), from 0 to 1.

    Five scales, each half as large as the one before; negative contrast terms count as 0. An image whose short side is
    under 176 px has room for fewer scales: then the weights of those that fit are divided by their sum.

    Args:
        prediction, target: images.
    """
    short = min(target.shape[-2:])
    scales = max(1, sum(short // 2**level >= _WINDOW for level in range(len(_MS_SSIM_WEIGHTS))))
    weights = torch.tensor(_MS_SSIM_WEIGHTS[:scales], dtype=target.dtype, device=target.device)
    weights = weights / weights.sum()
    window = min(_WINDOW, (short - 1) // 2 * 2 + 1)
    result = torch.ones(len(target), dtype=target.dtype, device=target.device)
    for level, weight in enumerate(weights):
        luminance, contrast = _ssim_terms(prediction, target, window)
        values = contrast * luminance if level == scales - 1 else contrast
        result = result * reduce(values, "batch c h w -> batch", "mean").clamp_min(0) ** weight
        if level < scales - 1:
            prediction, target = avg_pool2d(prediction, 2), avg_pool2d(target, 2)
    return result


def gradient_energy(prediction: Images, target: Images) -> Float[Tensor, "batch"]:
    """Mean squared gradient of the prediction's grey values over the target's: 1 is as sharp, less is softer.

    Gradients are differences of neighbouring pixels, across and down.

    Args:
        prediction, target: images.

    >>> target = torch.rand(1, 3, 8, 8)
    >>> gradient_energy(target / 2, target).round(decimals=3).tolist()
    [0.25]
    """
    energy = [_squared_steps(image.double().mean(1)) for image in (prediction, target)]
    return (energy[0] / energy[1].clamp_min(1e-12)).to(target.dtype)


def _squared_steps(grey: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch"]:
    return sum((grey.diff(dim=axis).square().mean((1, 2)) for axis in (1, 2)), grey.new_zeros(len(grey)))


def _ssim_terms(x: Tensor, y: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The luminance and the contrast-structure term of SSIM, where the window fits."""
    kernel = get_gaussian_kernel1d(window, 1.5, device=x.device, dtype=x.dtype)

    def blur(image: Tensor) -> Tensor:
        return filter2d_separable(image, kernel, kernel, padding="valid")

    mean_x, mean_y = blur(x), blur(y)
    covariance = blur(x * y) - mean_x * mean_y
    variances = blur(x * x) - mean_x.square() + blur(y * y) - mean_y.square()
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x.square() + mean_y.square() + 0.01**2)
    return luminance, (2 * covariance + 0.03**2) / (variances + 0.03**2)


@dataclass(frozen=True)
class ImageMetrics:
    """Metrics of pairs of images.

    Args:
        found: the metrics by name.
        missing: metrics that cannot be computed here, and why; their numbers are null.
    """

    found: Mapping[str, ImageMetric]
    missing: Mapping[str, str] = field(default_factory=dict)

    def score(self, image: Float[Tensor, "3 height width"], truth: Float[Tensor, "3 height width"]) -> dict[str, float]:
        """Each metric of one pair. Pairs are scored one by one, since metrics share features.

        Args:
            image, truth: RGB in [0, 1].
        """
        return {name: metric(image[None], truth[None]).item() for name, metric in self.found.items()}

    def means(self, scores: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
        """The mean of each metric; None for the missing ones, and for all where there is no score.

        Args:
            scores: of the pairs.
        """
        means = {name: statistics.fmean(score[name] for score in scores) if scores else None for name in self.found}
        return means | dict.fromkeys(self.missing)

    def reasons(self, scores: Sequence[Mapping[str, float]], none: str) -> dict[str, Any]:
        """Why metrics are None, by name under the key "reasons"; empty where none is.

        Args:
            scores: of the pairs.
            none: why there is no pair, where there is none.
        """
        reasons = ({} if scores else dict.fromkeys(self.found, none)) | dict(self.missing)
        return {"reasons": reasons} if reasons else {}


IMAGE_METRICS = ImageMetrics({"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim})
