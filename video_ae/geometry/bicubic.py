"""Sampling by cubic convolution (Keys 1981), which keeps more of an image's detail than bilinear sampling.

In tensor operations, and inside compiled loops.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from video_ae.compiled import inlined_kernel

SLOPE = -1.0  # of the kernel one pixel from its middle: -0.5 reproduces parabolas, -1 keeps edges crisper
_ONE, _SLOPE = np.float32(1), np.float32(SLOPE)
_TWO, _THREE = np.float32(SLOPE + 2), np.float32(SLOPE + 3)


def sample_bicubic(
    images: Float[Tensor, "batch channel height width"], coordinates: Float[Tensor, "batch rows columns 2"]
) -> Float[Tensor, "batch channel rows columns"]:
    """Values of images at image coordinates by cubic convolution; beyond the border it goes on.

    Args:
        images: values at pixel centres.
        coordinates: (u, v), in [0, 1] inside the image.

    >>> import torch
    >>> ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    >>> round(sample_bicubic(ramp, torch.tensor([[[[0.5, 0.5]]]])).item(), 6)
    3.5
    """
    height, width = images.shape[-2:]
    x = (coordinates[..., 0] * width - 0.5).clamp(0, width - 1)
    y = (coordinates[..., 1] * height - 0.5).clamp(0, height - 1)
    column, row = x.floor(), y.floor()
    across, down = _weights(x - column), _weights(y - row)
    flat, result = images.flatten(-2), images.new_zeros(*images.shape[:2], *x.shape[1:])
    for j, below in enumerate(down, -1):
        for i, beside in enumerate(across, -1):
            pixel = (row + j).clamp(0, height - 1) * width + (column + i).clamp(0, width - 1)
            index = pixel.long().flatten(1)[:, None].expand(-1, images.shape[1], -1)
            result += (below * beside)[:, None] * flat.gather(-1, index).view_as(result)
    return result


def _weights(t: Tensor) -> list[Tensor]:
    """Of the four pixels around a point that lies the part `t` from the second to the third."""
    u = 1 - t
    near = [1 - s * s * (SLOPE + 3 - (SLOPE + 2) * s) for s in (t, u)]
    return [SLOPE * t * u * u, *near, SLOPE * u * t * t]


@inlined_kernel
def cubic_weights(t: Any) -> tuple[Any, Any, Any, Any]:
    """Of the four pixels around a point.

    Args:
        t: float32, the part of the way from the second to the third at which it lies.
    """
    u = _ONE - t
    second, third = _ONE - t * t * (_THREE - _TWO * t), _ONE - u * u * (_THREE - _TWO * u)
    return _SLOPE * t * u * u, second, third, _SLOPE * u * t * t


@inlined_kernel
def bicubic_color(frame: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """RGB between the pixels of a frame, in the unit of its bytes.

    Args:
        frame: [height, width, 3] of bytes.
        x, y: float32, in pixels; 0 is the centre of the first one. Beyond the border they are moved onto it.
    """
    right, bottom = frame.shape[1] - 1, frame.shape[0] - 1
    x, y = min(max(x, np.float32(0)), np.float32(right)), min(max(y, np.float32(0)), np.float32(bottom))
    column, row = np.int32(x), np.int32(y)
    a, b, c, d = cubic_weights(x - np.float32(column))
    down = cubic_weights(y - np.float32(row))
    first, third = max(column - 1, 0), min(column + 1, right)
    fourth = min(column + 2, right)
    red = green = blue = np.float32(0)
    for j in range(4):
        line, weight = frame[min(max(row + j - 1, 0), bottom)], down[j]
        red += weight * (a * line[first, 0] + b * line[column, 0] + c * line[third, 0] + d * line[fourth, 0])
        green += weight * (a * line[first, 1] + b * line[column, 1] + c * line[third, 1] + d * line[fourth, 1])
        blue += weight * (a * line[first, 2] + b * line[column, 2] + c * line[third, 2] + d * line[fourth, 2])
    return red, green, blue
