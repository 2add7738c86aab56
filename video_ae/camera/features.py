"""What frames are aligned on: feature maps that do not change with brightness and contrast."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

AT_ONCE = 256  # frames; bounds the memory of what is computed on the way
_LUMA = (0.299, 0.587, 0.114)


def blur(maps: Float[Tensor, "batch channel height width"], radius: int, times: int = 2) -> Tensor:
    """Repeated box filter of `2 radius + 1` pixels, borders replicated; two passes come close to a Gaussian.

    Done by two small matrix products, which are several times faster than pooling on a CPU.

    Args:
        maps: any number of channels.
        radius: of the box, in pixels.
        times: passes.
    """
    rows, columns = (_box_matrix(size, radius, times, maps.dtype, maps.device) for size in maps.shape[-2:])
    return rows @ (maps @ columns.T)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _box_matrix(size: int, radius: int, times: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The filter along one axis: [size, size], each row sums to 1."""
    centres, window = torch.arange(size)[:, None], torch.arange(-radius, radius + 1)
    index = (centres + window).clamp(0, size - 1)
    weight = torch.full(index.shape, 1 / (2 * radius + 1), dtype=torch.float64)
    box = torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, index, weight)
    return torch.matrix_power(box, times).to(device, dtype)


class LocalContrast(nn.Module):
    """Grey value less its local mean, divided by its local spread: cancels exposure, vignetting and much of the light.

    Args:
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
    """Feature maps of the frames at halving sizes, finest first.

    Args:
        features: module from frames to feature maps.
        frames: at the finest size.
        levels: at most so many.
        smallest: no level is smaller than so many pixels.
    """
    maps = []
    for level in range(levels):
        if level > 0:
            height, width = frames.shape[-2] // 2, frames.shape[-1] // 2
            if min(height, width) < smallest:
                break
            frames = F.interpolate(frames, size=(height, width), mode="bilinear", antialias=True, align_corners=False)
        maps.append(torch.cat([features(part) for part in frames.split(AT_ONCE)]))
    return maps
