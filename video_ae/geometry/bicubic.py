"""Sampling by cubic convolution (Keys 1981), which keeps more of an image's detail than bilinear sampling.

In tensor operations, and inside compiled loops.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.compiled import inlined_kernel

SLOPE = -1.0  # of the kernel one pixel from its middle: -0.5 reproduces parabolas, -1 keeps edges crisper
_ONE, _SLOPE = np.float32(1), np.float32(SLOPE)
_TWO, _THREE = np.float32(SLOPE + 2), np.float32(SLOPE + 3)
_BEFORE, _BELOW, _RIGHT = 1, 2, 4  # pixels beyond the border that are read; at the right two of them come along


def sample_bicubic(
    images: Float[Tensor, "batch channel height width"], coordinates: Float[Tensor, "batch rows columns 2"]
) -> Float[Tensor, "batch channel rows columns"]:
    """Values of images at image coordinates by cubic convolution; beyond the border it goes on.

    Args:
        images: values at pixel centres.
        coordinates: (u, v), in [0, 1] inside the image.

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


def with_border(frames: Sequence[UInt8[Tensor, "3 height width"]]) -> UInt8[Tensor, "frame height2 width2 3"]:
    """Frames whose border goes on for as far as cubic convolution reads, so that it need not ask where it is.

    Args:
        frames: of one size, RGB.
    """
    _, height, width = frames[0].shape
    result = torch.empty(len(frames), height + _BEFORE + _BELOW, width + _BEFORE + _RIGHT, 3, dtype=torch.uint8)
    for padded, frame in zip(result[:, _BEFORE:-_BELOW], frames, strict=True):
        padded[:, _BEFORE:-_RIGHT] = frame.permute(1, 2, 0)
        padded[:, :_BEFORE], padded[:, -_RIGHT:] = padded[:, _BEFORE, None], padded[:, -_RIGHT - 1, None]
    result[:, :_BEFORE], result[:, -_BELOW:] = result[:, _BEFORE, None], result[:, -_BELOW - 1, None]
    return result


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
def bicubic_color(frames: Any, n: Any, size: tuple[int, int], x: Any, y: Any, columns: Any) -> tuple[Any, Any, Any]:
    """RGB between the pixels of a frame, in the unit of its bytes.

    Args:
        frames: [frame, value] of bytes, each frame as `with_border` makes it, flattened.
        n: which frame.
        size: (width, height) without the border, in pixels.
        x, y: float32, in pixels; 0 is the centre of the first one. Beyond the border they are moved onto it.
        columns: [16] of float32, scratch: what four rows make of four neighbours (and of a third more, since a
            processor works on sixteen values at once). A compiler that does not know its length does so; loops of
            a known length it unrolls.
    """
    x = min(max(x, np.float32(0)), np.float32(size[0] - 1))
    y = min(max(y, np.float32(0)), np.float32(size[1] - 1))
    column, row = np.int32(x), np.int32(y)
    a, b, c, d = cubic_weights(x - np.float32(column))
    e, f, g, h = cubic_weights(y - np.float32(row))
    stride = size[0] + _BEFORE + _RIGHT
    # Unsigned, so that it is not asked of each value whether it is counted from the end.
    first, down = np.uintp(3 * (row * stride + column)), np.uintp(3 * stride)
    second, third, fourth = first + down, first + down + down, first + down + down + down
    for k in range(np.uintp(len(columns))):
        upper = e * np.float32(frames[n, first + k]) + f * np.float32(frames[n, second + k])
        columns[k] = upper + g * np.float32(frames[n, third + k]) + h * np.float32(frames[n, fourth + k])
    red = a * columns[0] + b * columns[3] + c * columns[6] + d * columns[9]
    green = a * columns[1] + b * columns[4] + c * columns[7] + d * columns[10]
    return red, green, a * columns[2] + b * columns[5] + c * columns[8] + d * columns[11]
