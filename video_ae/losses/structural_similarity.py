"""Structural similarity of two images (SSIM, Wang et al. 2004), fast enough for each step of an optimization."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.losses.blur_kernel import blur_rows

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def structural_similarity(
    image: Float[Tensor, "channel height width"], target: Float[Tensor, "channel height width"]
) -> Float[Tensor, ""]:
    """Mean SSIM over pixels and channels, of values in [0, 1], with zeros around (as in 3D Gaussian Splatting).

    Args:
        image: which may want gradients.
        target: of the same size.
    """
    maps = blurred(torch.cat([image, target, image.square(), target.square(), image * target]))
    x, y, xx, yy, xy = maps.chunk(5)
    similar_means = (2 * x * y + _C1) / (x * x + y * y + _C1)
    return (similar_means * (2 * (xy - x * y) + _C2) / (xx - x * x + yy - y * y + _C2)).mean()


def blurred(maps: Float[Tensor, "map height width"]) -> Float[Tensor, "map height width"]:
    """Each map in a Gaussian window of 11 pixels, standard deviation 1.5, with zeros around.

    Args:
        maps: of numbers.
    """
    offset = torch.arange(_WINDOW, dtype=maps.dtype, device=maps.device) - _WINDOW // 2
    window = torch.exp(-0.5 * (offset / _SIGMA).square())
    window = window / window.sum()
    if usable(maps.detach()):
        return _Blur.apply(maps, window)
    across = F.conv2d(maps[:, None], window.view(1, 1, 1, -1), padding=(0, _WINDOW // 2))
    return F.conv2d(across, window.view(1, 1, -1, 1), padding=(_WINDOW // 2, 0))[:, 0]


class _Blur(torch.autograd.Function):
    """By a compiled loop; the window is symmetric, so that the gradient is the same blur."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, window: Tensor) -> Tensor:
        ctx.window = window
        result = np.empty(maps.shape, np.float32)
        spread(len(result) * result.shape[1], blur_rows, *arrays(maps, window), result)
        return torch.from_numpy(result)

    @staticmethod
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _Blur.apply(wanted, ctx.window), None
