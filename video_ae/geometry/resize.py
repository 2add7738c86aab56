"""Resizing of images and maps, and what it does to the intrinsics. Sizes are (width, height) in pixels."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from video_ae.errors import UserError

Fit = Literal["stretch", "crop"]
_FRAMES_AT_ONCE = 16


def resize_images(
    images: Shaped[Tensor, "*batch channel height width"], size: tuple[int, int]
) -> Shaped[Tensor, "*batch channel height2 width2"]:
    """Images scaled bilinearly with antialiasing; the input itself where it has this size.

    Bytes stay bytes, which is several times faster than going through floats and costs at most one step of 1/255. CUDA
    has no such kernel, so there they go through floats and are rounded.

    Args:
        images: floats, or bytes in 0 .. 255.
        size: (width, height).
    """
    if images.dtype == torch.uint8 and images.device.type != "cpu":
        return _interpolated(images.float(), size, antialias=True).round().clamp(0, 255).to(torch.uint8)
    return _interpolated(images, size, antialias=True)


def as_floats(images: Shaped[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Images in [0, 1]; floats are left as they are.

    Args:
        images: floats, or bytes in 0 .. 255.
    """
    return images.float() / 255 if images.dtype == torch.uint8 else images


def resize_to_floats(
    frames: Shaped[Tensor, "frame channel height width"], size: tuple[int, int]
) -> Float[Tensor, "frame channel height2 width2"]:
    """Frames in [0, 1], scaled as by `resize_images`; of bytes only a few at a time are floats of their own size.

    Args:
        frames: floats, or bytes in 0 .. 255.
        size: (width, height).
    """
    if frames.dtype != torch.uint8:
        return resize_images(frames.float(), size)
    resized = torch.empty(*frames.shape[:2], size[1], size[0], device=frames.device)
    for part, filled in zip(frames.split(_FRAMES_AT_ONCE), resized.split(_FRAMES_AT_ONCE), strict=True):
        filled.copy_(resize_images(as_floats(part), size))
    return resized


def resize_maps(
    maps: Float[Tensor, "*batch channel height width"], size: tuple[int, int]
) -> Float[Tensor, "*batch channel height2 width2"]:
    """Maps (inverse depth, weights) interpolated bilinearly without antialiasing; the input itself if it has this size.

    Args:
        maps: values at pixel centres.
        size: (width, height).
    """
    return _interpolated(maps, size, antialias=False)


def _interpolated(images: Tensor, size: tuple[int, int], antialias: bool) -> Tensor:
    width, height = size
    if images.shape[-2:] == (height, width):
        return images
    flat = images.reshape(-1, *images.shape[-3:])
    scaled = interpolate(flat, (height, width), mode="bilinear", align_corners=False, antialias=antialias)
    return scaled.view(*images.shape[:-2], height, width) if images.ndim != 4 else scaled


def short_side_size(
    size: tuple[int, int], shorter_side: int, multiple: int = 1, smallest: int | None = None, enlarge: bool = False
) -> tuple[int, int]:
    """The size at which the shorter side has `shorter_side` pixels and the aspect is kept.

    Args:
        size: (width, height) of the source.
        shorter_side: pixels wanted.
        multiple: both sides are rounded to a multiple of this.
        smallest: no side gets less than this; by default `multiple`.
        enlarge: whether smaller sources are enlarged; they keep their size otherwise.

    >>> short_side_size((640, 361), 180), short_side_size((640, 361), 1080)
    ((319, 180), (640, 361))
    """
    factor = shorter_side / min(size)
    if not enlarge:
        factor = min(1.0, factor)
    least = multiple if smallest is None else smallest
    width, height = (max(least, multiple * round(side * factor / multiple)) for side in size)
    return width, height


def even_size(size: tuple[int, int], shorter_side: int | None = None) -> tuple[int, int]:
    """The size with even sides, as video codecs want them, and the shorter one reduced to `shorter_side`.

    Args:
        size: (width, height) of the source.
        shorter_side: pixels wanted; smaller sources are not enlarged. None keeps the size.

    >>> even_size((640, 361), 180)
    (320, 180)
    """
    return short_side_size(size, min(size) if shorter_side is None else shorter_side, multiple=2)


@dataclass(frozen=True)
class Resizing:
    """Scaling of an image, followed by a cut.

    Args:
        scaled: (width, height) to which the whole image is scaled.
        corner: (x, y) of the top-left corner of what is cut out, in pixels of the scaled image.
        size: (width, height) of what is cut out.
    """

    scaled: tuple[int, int]
    corner: tuple[int, int]
    size: tuple[int, int]

    def frames(self, frames: UInt8[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame 3 height2 width2"]:
        """Resized frames in [0, 1].

        Args:
            frames: RGB in 0 .. 255.
        """
        return self.bytes(frames).to(torch.float32) / 255

    def bytes(self, frames: UInt8[Tensor, "frame 3 height width"]) -> UInt8[Tensor, "frame 3 height2 width2"]:
        """Resized frames, left as bytes.

        Args:
            frames: RGB in 0 .. 255.
        """
        (x, y), (width, height) = self.corner, self.size
        return resize_images(frames, self.scaled)[..., y : y + height, x : x + width]

    def intrinsics(self, intrinsics: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 4"]:
        """Intrinsics of the resized image. Scaling leaves them as they are, since they are normalised; a cut does not.

        Args:
            intrinsics: (fx, fy, cx, cy) of the source, divided by its width (fx, cx) and height (fy, cy).
        """
        scaled = intrinsics.new_tensor([*self.scaled, *self.scaled])
        corner = intrinsics.new_tensor([0, 0, *self.corner])
        return (intrinsics * scaled - corner) / intrinsics.new_tensor([*self.size, *self.size])


def plan_resizing(source: tuple[int, int], size: int | tuple[int, int] | None, fit: Fit = "stretch") -> Resizing:
    """How images of one size become images of another.

    Args:
        source: (width, height) of the source.
        size: None (as they are), the length of the shorter side, or (width, height).
        fit: with (width, height), "stretch" keeps the whole image and changes its aspect; "crop" keeps the aspect: the
            image is scaled until it covers the size, and its centre is cut out.

    Raises:
        UserError: for a size below 1.

    >>> plan_resizing((640, 480), 96).size
    (128, 96)
    >>> plan_resizing((640, 480), (96, 96), "crop")
    Resizing(scaled=(128, 96), corner=(16, 0), size=(96, 96))
    """
    if size is None:
        return Resizing(source, (0, 0), source)
    if min([size] if isinstance(size, int) else size) < 1:
        raise UserError(f"The image size {size} is too small: give at least one pixel.")
    if isinstance(size, int):
        width, height = (max(1, round(side * size / min(source))) for side in source)
        return Resizing((width, height), (0, 0), (width, height))
    if fit == "stretch":
        return Resizing(size, (0, 0), size)
    factor = max(size[0] / source[0], size[1] / source[1])
    scaled = max(size[0], round(source[0] * factor)), max(size[1], round(source[1] * factor))
    return Resizing(scaled, ((scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2), size)
