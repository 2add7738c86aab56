"""Errors of a depth map, up to its scale (Eigen et al. 2014; median scaling as in Zhou et al. 2017, SfMLearner)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class DepthError:
    """Errors of a depth map.

    Args:
        absolute_relative: mean of |found - true| / true.
        within_25_percent: share of pixels with max(found / true, true / found) < 1.25.
        scale: factor that the found depth was multiplied with.
        pixels: that were compared.
    """

    absolute_relative: float
    within_25_percent: float
    scale: float
    pixels: int


def depth_error(
    estimated: Float[Tensor, "*shape"], true: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"] | None = None
) -> DepthError | None:
    """Errors of depth along z, in any unit, after multiplying it by median(true) / median(estimated).

    Compared where the mask holds, the truth is a positive number and the estimate is one too; None where no pixel is
    left. Pixels whose estimate is not a positive number count as wrong in `within_25_percent` and as an error of 1.

    Args:
        estimated: depth along z.
        true: the same; NaN where it is unknown.
        mask: which pixels are compared; None takes all.
    """
    estimated, true = estimated.double(), true.double()
    known = true.isfinite() & (true > 0)
    known = known if mask is None else known & mask
    if not known.any():
        return None
    found, truth = estimated[known], true[known]
    usable = found.isfinite() & (found > 0)
    if not usable.any():
        return DepthError(1.0, 0.0, 1.0, len(truth))
    scale = truth[usable].median() / found[usable].median()
    scaled = torch.where(usable, found * scale, torch.zeros_like(found))
    ratio = torch.maximum(scaled / truth, truth / scaled.clamp_min(1e-300))
    relative = (scaled - truth).abs() / truth
    return DepthError(relative.mean().item(), (ratio < 1.25).double().mean().item(), scale.item(), len(truth))
