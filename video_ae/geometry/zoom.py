"""Images shown larger or smaller around their centres, as by cameras of another focal length."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.geometry.pinhole import pixel_centres, sample

_BORDER = 0.02  # of a side, that resizing mixes with what lies beyond


def magnified(
    images: Float[Tensor, "frame channel height width"] | UInt8[Tensor, "frame channel height width"],
    factor: Float[Tensor, "frame"],
) -> Float[Tensor, "frame channel height width"] | UInt8[Tensor, "frame channel height width"]:
    """Images of the same size that show everything so many times as large; what nothing is known of repeats the border.

    Args:
        images: values, or bytes.
        factor: new focal length over the old one, of each image.
    """
    height, width = images.shape[-2:]
    result = torch.empty_like(images)
    for one, image, times in zip(result, images, factor.tolist(), strict=True):
        found = sample(image[None].float(), _coordinates(width, height, times, images.device), "border")[0]
        one.copy_(found if images.is_floating_point() else found.round())
    return result


def shown_part(factor: Float[Tensor, "frame"], size: tuple[int, int]) -> Float[Tensor, "frame height width"]:
    """1 where `magnified` images show what the image had, 0 beyond its border.

    Args:
        factor: as there.
        size: (width, height).
    """
    off = [(_coordinates(*size, times, factor.device)[0] - 0.5).abs().amax(-1) for times in factor.tolist()]
    return (torch.stack(off) < 0.5 - _BORDER).float()


def _coordinates(width: int, height: int, factor: float, device: torch.device) -> Float[Tensor, "1 height width 2"]:
    """Where an image is looked up, as (u, v) in [0, 1]."""
    return ((pixel_centres(height, width, device) - 0.5) / factor + 0.5)[None]
