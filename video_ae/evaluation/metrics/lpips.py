"""Learned perceptual similarity: LPIPS v0.1 with VGG16 (Zhang et al. 2018), and what the 2021 paper used in its place.

Both need VGG16's weights, which are optional: without them `load` raises a UserError that says why, and a table has no
number. It never has another metric under this name.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.evaluation.metrics.images import IMAGE_METRICS, ImageMetrics, Images
from video_ae.losses.vgg import HOW_TO_GET_THEM, Vgg16, Vgg16Weights, find_vgg16, find_vgg16_with_heads

Metric = TypeVar("Metric", bound="_VggMetric")
_EPSILON = 1e-10
_CACHED_BATCHES = 6  # each about 30 MB of features per 192 x 346 image


class UnitFeatures:
    """Five layers of VGG16, each pixel's features of length 1; RGB in [0, 1].

    The features of the last few batches are cached: a table compares many images with one target, by two metrics.

    Args:
        weights: of VGG16.
    """

    def __init__(self, weights: Vgg16Weights):
        # LPIPS shifts images in [-1, 1] by (-0.030, -0.088, -0.188) over (0.458, 0.448, 0.450): as VGG16's in [0, 1].
        self._network = Vgg16(weights)
        self._cached = lru_cache(_CACHED_BATCHES)(self._compute)

    def __call__(self, images: Images) -> list[Float[Tensor, "batch _ _ _"]]:
        content = images.detach().to("cpu", torch.float32).contiguous()
        return self._cached(content.numpy().tobytes(), content.shape)

    @torch.no_grad()
    def _compute(self, content: bytes, shape: torch.Size) -> list[Tensor]:
        images = torch.frombuffer(bytearray(content), dtype=torch.float32).view(shape)
        layers = self._network(self._network.normalise(images))
        return [layer / (layer.square().sum(1, keepdim=True).sqrt() + _EPSILON) for layer in layers]


class _VggMetric:
    """A metric on the features of VGG16. Images are RGB in [0, 1]; the result is the distance of each pair."""

    title: str
    find: Callable[[str | Path | None], Vgg16Weights | None]

    def __init__(self, weights: Vgg16Weights):
        self.weights, self.features = weights, UnitFeatures(weights)

    @classmethod
    def load(cls: type[Metric], path: str | Path | None = None) -> Metric:
        """With the weights of a file, or those that are installed.

        Args:
            path: of the weights; None takes those that are installed.

        Raises:
            UserError: there are none.
        """
        weights = cls.find(path)
        if weights is None:
            raise UserError(f"{cls.title} is not computed, because its weights were not found: {HOW_TO_GET_THEM}.")
        return cls(weights)


class Lpips(_VggMetric):
    """LPIPS-VGG, from 0 (identical) upwards. Images are RGB in [0, 1], which is converted to LPIPS's own range [-1, 1].

    Args:
        weights: of VGG16 with the heads of LPIPS.
    """

    title = "LPIPS"
    find = staticmethod(find_vgg16_with_heads)

    @torch.no_grad()
    def __call__(self, prediction: Images, target: Images) -> Float[Tensor, "batch"]:
        assert self.weights.heads is not None, "LPIPS needs its heads"
        layers = zip(self.features(prediction), self.features(target), self.weights.heads, strict=True)
        errors = [((a - b).square() * head[:, None, None]).sum(1).mean((1, 2)) for a, b, head in layers]
        return sum(errors, torch.zeros(1, device=target.device))


class VggCosine(_VggMetric):
    """Sum over five VGG16 layers of the mean of (1 - cosine) between features.

    It is what the 2021 paper reports as perceptual similarity; it has no learned heads and is about five times larger
    than LPIPS. Images are RGB in [0, 1].

    Args:
        weights: of VGG16.
    """

    title = "VGG cosine"
    find = staticmethod(find_vgg16)

    @torch.no_grad()
    def __call__(self, prediction: Images, target: Images) -> Float[Tensor, "batch"]:
        layers = zip(self.features(prediction), self.features(target), strict=True)
        return torch.stack([(1 - (a * b).sum(1)).mean((1, 2)) for a, b in layers]).sum(0)


def image_metrics(perceptual: bool = True) -> ImageMetrics:
    """The image metrics that can be computed here, and why the others cannot. Learned ones share their features.

    Args:
        perceptual: whether LPIPS and the VGG cosine are wanted, which are slow.
    """
    found: dict[str, Lpips | VggCosine] = {}
    missing: dict[str, str] = {}
    for name, metric in (("lpips", Lpips), ("vgg_cosine", VggCosine)) if perceptual else ():
        try:
            found[name] = metric.load()
        except UserError as error:
            missing[name] = str(error)
    for learned in found.values():
        learned.features = next(iter(found.values())).features
    return ImageMetrics({**IMAGE_METRICS.found, **found}, missing)
