"""Learned perceptual similarity: LPIPS v0.1 with VGG16 (Zhang et al. 2018), and what the 2021 paper used in its place.

Both need VGG16's weights, which nobody has to have: `load` raises a UserError that says why, and a table then holds no
number. It never holds another metric under this name.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.errors import UserError
from video_ae.perceptual_weights import HOW_TO_GET_THEM, Vgg16, Vgg16Weights, find_vgg16, find_vgg16_with_heads

_EPSILON = 1e-10


class Lpips(nn.Module):
    """LPIPS-VGG, 0 (alike) upwards. Pictures are RGB in [0, 1] (LPIPS's own range is [-1, 1]: it is converted here)."""

    shift: Tensor
    scale: Tensor

    def __init__(self, weights: Vgg16Weights):
        super().__init__()
        assert weights.heads is not None, "LPIPS needs its heads"
        self.source = weights.source
        self.network = Vgg16(weights)
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        for number, head in enumerate(weights.heads):
            self.register_buffer(f"head{number}", head)

    @classmethod
    def load(cls, path: str | Path | None = None) -> "Lpips":
        """With the weights at `path`, or those that are installed. Raises UserError where there are none."""
        weights = find_vgg16_with_heads(path)
        if weights is None:
            raise UserError(f"LPIPS is not computed, because its weights were not found: {HOW_TO_GET_THEM}.")
        return cls(weights)

    @torch.no_grad()
    def forward(
        self, prediction: Float[Tensor, "batch 3 height width"], target: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch"]:
        total = torch.zeros(len(target), device=target.device)
        features = zip(self._features(prediction), self._features(target), strict=True)
        for number, (a, b) in enumerate(features):
            squared = (_unit(a) - _unit(b)).square()
            total = total + (squared * getattr(self, f"head{number}")[:, None, None]).sum(1).mean((1, 2))
        return total

    def _features(self, pictures: Tensor) -> list[Tensor]:
        return self.network((2 * pictures - 1 - self.shift) / self.scale)


class VggCosine(nn.Module):
    """Sum over five VGG16 layers of the mean of (1 - cosine) between features: what the 2021 paper reports as
    perceptual similarity. It has no learned heads and is about five times larger than LPIPS. RGB in [0, 1]."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Vgg16Weights):
        super().__init__()
        self.network = Vgg16(weights)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    @classmethod
    def load(cls, path: str | Path | None = None) -> "VggCosine":
        """With the weights at `path`, or those that are installed. Raises UserError where there are none."""
        weights = find_vgg16(path)
        if weights is None:
            raise UserError(f"VGG cosine is not computed, because its weights were not found: {HOW_TO_GET_THEM}.")
        return cls(weights)

    @torch.no_grad()
    def forward(
        self, prediction: Float[Tensor, "batch 3 height width"], target: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch"]:
        pairs = zip(
            self.network((prediction - self.mean) / self.deviation),
            self.network((target - self.mean) / self.deviation),
            strict=True,
        )
        return torch.stack([(1 - (_unit(a) * _unit(b)).sum(1)).mean((1, 2)) for a, b in pairs]).sum(0)


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + _EPSILON)
