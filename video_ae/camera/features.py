"""What frames are aligned on: feature maps that do not change with brightness and contrast."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_LUMA = (0.299, 0.587, 0.114)


def blur(maps: Float[Tensor, "batch channel height width"], radius: int, times: int = 2) -> Tensor:
    """Repeated box filter of `2 radius + 1` pixels, borders replicated; two passes come close to a Gaussian."""
    size = 2 * radius + 1
    for _ in range(times):
        maps = F.avg_pool2d(F.pad(maps, (radius,) * 4, mode="replicate"), size, stride=1)
    return maps


class LocalContrast(nn.Module):
    """Grey value less its local mean, divided by its local spread: cancels exposure, vignetting and much of the light.

    radius: of the neighbourhood, in pixels.
    noise: spread (of grey values in [0, 1]) that counts as no texture; keeps plain walls quiet.
    """

    def __init__(self, radius: int = 4, noise: float = 0.02):
        super().__init__()
        self.radius = radius
        self.noise = noise

    def forward(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame channel height width"]:
        weights = torch.tensor(_LUMA, device=frames.device, dtype=frames.dtype).view(3, 1, 1)
        grey = (frames * weights).sum(1, keepdim=True)
        centred = grey - blur(grey, self.radius)
        return centred / (blur(centred.square(), self.radius) + self.noise**2).sqrt()


def feature_pyramid(
    features: nn.Module, frames: Float[Tensor, "frame 3 height width"], levels: int, smallest: int = 6
) -> list[Tensor]:
    """Feature maps of the frames at halving sizes, finest first; no level is smaller than `smallest` pixels."""
    maps = []
    for level in range(levels):
        if level > 0:
            height, width = frames.shape[-2] // 2, frames.shape[-1] // 2
            if min(height, width) < smallest:
                break
            frames = F.interpolate(frames, size=(height, width), mode="bilinear", antialias=True, align_corners=False)
        maps.append(features(frames))
    return maps
