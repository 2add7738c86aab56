"""What nothing has seen of a view is filled in smoothly from around it."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.resize import resize_maps


def fill_unseen(
    frames: Float[Tensor, "view 3 height width"], opacity: Float[Tensor, "view height width"]
) -> Float[Tensor, "view 3 height width"]:
    """Images whose unseen parts continue the colours around them: means of what was seen, at the finest scale that saw
    anything (pull and push, Gortler et al. 1996).

    Args:
        frames: colours times opacity, hence over black.
        opacity: 0 (nothing was seen) to 1.

    >>> import torch
    >>> seen = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    >>> fill_unseen(0.5 * seen[:, None].expand(1, 3, 2, 2), seen)[0, 0].tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    color, weight = frames, opacity[:, None].clamp(0, 1)
    if min(frames.shape[-2:]) <= 1 or bool((weight > 0.999).all()):
        return color / weight.clamp_min(1e-6)
    half = [max(1, (side + 1) // 2) for side in frames.shape[-2:]]
    coarse_color, coarse_weight = (F.interpolate(x, half, mode="area") for x in (color, weight))
    below = fill_unseen(coarse_color, coarse_weight[:, 0])
    return color + (1 - weight) * resize_maps(below, (frames.shape[-1], frames.shape[-2]))
