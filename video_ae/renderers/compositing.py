"""Absorption along rays: how opacities and colours of successive samples become a pixel."""

import torch
from jaxtyping import Float
from torch import Tensor


def absorption_weights(opacity: Float[Tensor, "*rays sample"]) -> Float[Tensor, "*rays sample"]:
    """How much each sample contributes to its ray: its opacity times the transparency before it.

    Max 1995, "Optical models for direct volume rendering", eq. 10.

    Args:
        opacity: 0 to 1, nearest sample first.

    >>> absorption_weights(torch.tensor([0.5, 0.5, 1.0])).tolist()
    [0.5, 0.25, 0.25]
    """
    transparency = torch.cumprod(1 - opacity, -1)
    before = torch.cat([torch.ones_like(transparency[..., :1]), transparency[..., :-1]], -1)
    return before * opacity


def march(
    opacity: Float[Tensor, "*rays sample"], features: Float[Tensor, "*rays sample channel"]
) -> tuple[Float[Tensor, "*rays channel"], Float[Tensor, "*rays"]]:
    """Features seen along rays, and the total opacity (0 to 1) of each ray.

    Args:
        opacity: 0 to 1, nearest sample first.
        features: what each sample emits.
    """
    weights = absorption_weights(opacity)
    return (weights[..., None] * features).sum(-2), weights.sum(-1)
