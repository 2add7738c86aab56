"""Structural similarity of two images (SSIM, Wang et al. 2004), fast enough for each step of an optimization."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.losses.ssim_kernel import blur_rows, compare_rows

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def structural_similarity(
    image: Float[Tensor, "channel height width"], target: Float[Tensor, "channel height width"]
) -> Float[Tensor, ""]:
    """Mean SSIM over pixels and channels, of values in [0, 1], with zeros around (as in 3D Gaussian Splatting).

    Args:
        image: which may want gradients.
        target: of the same size; it gets no gradients.
    """
    if usable(image.detach(), target):
        return _Similarity.apply(image, target)
    products = torch.cat([image, target, image.square(), target.square(), image * target])
    x, y, xx, yy, xy = _blurred(products).chunk(5)
    similar_means = (2 * x * y + _C1) / (x * x + y * y + _C1)
    return (similar_means * (2 * (xy - x * y) + _C2) / (xx - x * x + yy - y * y + _C2)).mean()


def _window() -> Float[Tensor, "tap"]:
    offset = torch.arange(_WINDOW) - _WINDOW // 2
    window = torch.exp(-0.5 * (offset / _SIGMA).square())
    return window / window.sum()


def _blurred(maps: Float[Tensor, "map height width"]) -> Float[Tensor, "map height width"]:
    """Each map in a Gaussian window of 11 pixels, standard deviation 1.5, with zeros around."""
    window = _window().to(maps)
    across = F.conv2d(maps[:, None], window.view(1, 1, 1, -1), padding=(0, _WINDOW // 2))
    return F.conv2d(across, window.view(1, 1, -1, 1), padding=(_WINDOW // 2, 0))[:, 0]


def _blurred_fast(maps: Any) -> Any:
    """The same of an array by a compiled loop."""
    result = np.empty_like(maps)
    spread(len(maps) * maps.shape[1], blur_rows, maps, *arrays(_window()), result)
    return result


class _Similarity(torch.autograd.Function):
    """By compiled loops; the window is symmetric, so that the gradient of a blur is the same blur."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor) -> Tensor:
        x, y = arrays(image, target)
        means = _blurred_fast(np.concatenate([x, y, x * x, y * y, x * y])).reshape(5, *x.shape)
        totals, slopes = np.empty(len(x) * x.shape[1], np.float32), np.empty((3, *x.shape), np.float32)
        spread(len(totals), compare_rows, means, np.array([_C1, _C2], np.float32), totals, slopes)
        ctx.work = x, y, slopes
        return torch.tensor(totals.sum(dtype=np.float64) / x.size, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        x, y, slopes = ctx.work
        by_x, by_xx, by_xy = _blurred_fast(slopes.reshape(-1, *x.shape[1:])).reshape(slopes.shape)
        return torch.from_numpy(by_x + 2 * x * by_xx + y * by_xy) * (wanted / x.size), None
