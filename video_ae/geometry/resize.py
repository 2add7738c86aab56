"""Frames at another size, and what that does to the intrinsics."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.errors import UserError

Fit = Literal["stretch", "crop"]


@dataclass(frozen=True)
class Resizing:
    """Scale the picture to `scaled`, then cut out `size` with its top-left corner at `corner`; all (x, y) in pixels."""

    scaled: tuple[int, int]
    corner: tuple[int, int]
    size: tuple[int, int]

    def frames(self, frames: UInt8[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame 3 height2 width2"]:
        """RGB in [0, 1], scaled bilinearly with antialiasing."""
        return self.bytes(frames).to(torch.float32) / 255

    def bytes(self, frames: UInt8[Tensor, "frame 3 height width"]) -> UInt8[Tensor, "frame 3 height2 width2"]:
        """The same, left as bytes.

        Scales the bytes themselves, which is several times faster than going through floats and costs at most one
        step of 1/255. CUDA has no such kernel, so there it goes through floats.
        """
        if self.scaled != (frames.shape[-1], frames.shape[-2]):
            scaled = torch.nn.functional.interpolate(
                frames if frames.device.type == "cpu" else frames.float(),
                size=self.scaled[::-1], mode="bilinear", antialias=True, align_corners=False,
            )  # fmt: skip
            frames = scaled if scaled.dtype == torch.uint8 else scaled.round().clamp(0, 255).to(torch.uint8)
        (x, y), (width, height) = self.corner, self.size
        return frames[..., y : y + height, x : x + width]

    def intrinsics(self, intrinsics: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 4"]:
        """Normalised (fx, fy, cx, cy) of the resized picture. Stretching leaves them as they are; cropping does not."""
        scaled = torch.tensor([*self.scaled, *self.scaled], dtype=intrinsics.dtype)
        corner = torch.tensor([0, 0, *self.corner], dtype=intrinsics.dtype)
        return (intrinsics * scaled - corner) / torch.tensor([*self.size, *self.size], dtype=intrinsics.dtype)


def plan_resizing(source: tuple[int, int], size: int | tuple[int, int] | None, fit: Fit = "stretch") -> Resizing:
    """How pictures of `source` (width, height) become `size`: None (as they are), the shorter side, or (width, height).

    With (width, height), `stretch` keeps the whole picture and changes its aspect; `crop` keeps the aspect: the picture
    is scaled until it covers the size, and its centre is cut out. Raises UserError for a size below 1.

    >>> plan_resizing((640, 480), 96).size
    (128, 96)
    >>> plan_resizing((640, 480), (96, 96), "crop")
    Resizing(scaled=(128, 96), corner=(16, 0), size=(96, 96))
    """
    if size is None:
        return Resizing(source, (0, 0), source)
    if min([size] if isinstance(size, int) else size) < 1:
        raise UserError(f"The picture size {size} is not possible: give at least one pixel.")
    if isinstance(size, int):
        width, height = (max(1, round(side * size / min(source))) for side in source)
        return Resizing((width, height), (0, 0), (width, height))
    if fit == "stretch":
        return Resizing(size, (0, 0), size)
    factor = max(size[0] / source[0], size[1] / source[1])
    scaled = max(size[0], round(source[0] * factor)), max(size[1], round(source[1] * factor))
    return Resizing(scaled, ((scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2), size)
