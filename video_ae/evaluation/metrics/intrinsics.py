"""Errors of found intrinsics."""

import math

from jaxtyping import Float
from torch import Tensor


def focal_ratio(estimated: Float[Tensor, "frame 4"], true: Float[Tensor, "frame 4"]) -> float | None:
    """Found over true focal length along x, both as means over the clip; 1 is right, 2 is twice too long.

    None where either is not a positive number, or the clip has no frame.

    Args:
        estimated, true: as in `Cameras`.
    """
    if len(estimated) == 0:
        return None
    found, truth = estimated[:, 0].double().mean().item(), true[:, 0].double().mean().item()
    if not (math.isfinite(found) and math.isfinite(truth) and found > 0 and truth > 0):
        return None
    return found / truth


def field_of_view_error(estimated: Float[Tensor, "frame 4"], true: Float[Tensor, "frame 4"]) -> float | None:
    """Absolute error of the horizontal field of view 2 atan(1 / (2 fx)), in degrees; None as in `focal_ratio`.

    Args:
        estimated, true: as in `Cameras`.
    """
    ratio = focal_ratio(estimated, true)
    if ratio is None:
        return None
    truth = true[:, 0].double().mean().item()
    return math.degrees(2 * abs(math.atan(0.5 / (truth * ratio)) - math.atan(0.5 / truth)))
