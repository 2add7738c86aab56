"""Learned perceptual similarity: LPIPS v0.1 with VGG16 (Zhang et al. 2018), and what the 2021 paper used in its place.

Both need VGG16's weights, which nobody has to have: `load` raises a UserError that says why, and a table then holds no
number. It never holds another metric under this name.
"""

import hashlib
from collections import OrderedDict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.errors import UserError
from video_ae.losses.vgg import HOW_TO_GET_THEM, Vgg16, Vgg16Weights, find_vgg16, find_vgg16_with_heads

_EPSILON = 1e-10
_REMEMBERED = 6  # batches of pictures, each about 30 MB of features per 192 x 346 picture


class UnitFeatures(nn.Module):
    """Five layers of VGG16, each pixel's features of length 1; RGB in [0, 1].

    The last few batches of pictures are remembered: a table compares many pictures with one target, by two metrics.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Vgg16Weights):
        super().__init__()
        self.network = Vgg16(weights)
        # LPIPS shifts pictures in [-1, 1] by (-0.030, -0.088, -0.188) over (0.458, 0.448, 0.450): the same numbers.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None])
        self._known: OrderedDict[bytes, list[Tensor]] = OrderedDict()

    @torch.no_grad()
    def forward(self, pictures: Float[Tensor, "batch 3 height width"]) -> list[Float[Tensor, "batch _ _ _"]]:
        content = pictures.detach().to("cpu", torch.float32).contiguous()
        key = hashlib.blake2b(content.numpy().tobytes() + str(tuple(content.shape)).encode()).digest()
        if key not in self._known:
            layers = self.network((pictures - self.mean) / self.deviation)
            self._known[key] = [layer / (layer.square().sum(1, keepdim=True).sqrt() + _EPSILON) for layer in layers]
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


class Lpips(nn.Module):
    """LPIPS-VGG, 0 (alike) upwards. Pictures are RGB in [0, 1] (LPIPS's own range is [-1, 1]: it is converted here)."""

    def __init__(self, weights: Vgg16Weights, features: UnitFeatures | None = None):
        super().__init__()
        assert weights.heads is not None, "LPIPS needs its heads"
        self.source = weights.source
        self.features = features or UnitFeatures(weights)
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
        for number, (a, b) in enumerate(zip(self.features(prediction), self.features(target), strict=True)):
            head = getattr(self, f"head{number}")[:, None, None]
            total = total + ((a - b).square() * head).sum(1).mean((1, 2))
        return total


class VggCosine(nn.Module):
    """Sum over five VGG16 layers of the mean of (1 - cosine) between features: what the 2021 paper reports as
    perceptual similarity. It has no learned heads and is about five times larger than LPIPS. RGB in [0, 1]."""

    def __init__(self, weights: Vgg16Weights, features: UnitFeatures | None = None):
        super().__init__()
        self.features = features or UnitFeatures(weights)

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
        pairs = zip(self.features(prediction), self.features(target), strict=True)
        return torch.stack([(1 - (a * b).sum(1)).mean((1, 2)) for a, b in pairs]).sum(0)


def perceptual_metrics() -> tuple[dict[str, Lpips | VggCosine], dict[str, str]]:
    """The metrics "lpips" and "vgg_cosine" where weights are installed, on shared features; why others are missing."""
    found: dict[str, Lpips | VggCosine] = {}
    missing: dict[str, str] = {}
    features: UnitFeatures | None = None
    for name, metric in (("lpips", Lpips), ("vgg_cosine", VggCosine)):
        try:
            found[name] = metric.load()
        except UserError as error:
            missing[name] = str(error)
            continue
        features = features or found[name].features
        found[name].features = features
    return found, missing
