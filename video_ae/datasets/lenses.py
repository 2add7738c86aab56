"""How far a lens is from a pinhole, which is all that the package models."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError

LARGEST_SHIFT = 0.01  # of the picture's width: where a lens moves a corner further, it is no pinhole to evaluate with
Number = float | int  # beartype tells them apart
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lens:
    """A camera with OpenCV's distortion (https://docs.opencv.org/4.x/d9/d0c/group__calib3d.html; COLMAP's and
    nerfstudio's coefficients of the same names are the same).

    size: (width, height) of the pictures that the values are for. focal, centre: (x, y) in their pixels.
    radial: k1, k2, ... of r^2, r^4, ...; divisor: the same below the fraction (k4, k5, k6 of OpenCV's rational model).
    tangential: p1, p2. Raises UserError for a size or focal length that is no positive number.
    """

    size: tuple[int, int]
    focal: tuple[Number, Number]
    centre: tuple[Number, Number]
    radial: tuple[Number, ...] = ()
    divisor: tuple[Number, ...] = ()
    tangential: tuple[Number, Number] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not all(0 < value < math.inf for value in (*self.size, *self.focal)):
            raise UserError(f"The picture size {self.size} or the focal length {self.focal} is no positive number.")

    def corner_shift(self) -> float:
        """How far the lens moves the corner of the picture that it moves most, divided by the picture's width.

        >>> round(Lens((100, 80), (50, 50), (50, 40), radial=(-0.1,)).corner_shift(), 3)
        0.105
        """
        return max(self._shift(x, y) for x, y in product(*((0.0, float(side)) for side in self.size)))

    def _shift(self, pixel_x: float, pixel_y: float) -> float:
        x, y = (pixel_x - self.centre[0]) / self.focal[0], (pixel_y - self.centre[1]) / self.focal[1]
        square = x * x + y * y
        above, below = (1 + sum(k * square**n for n, k in enumerate(ks, 1)) for ks in (self.radial, self.divisor))
        factor = above / below - 1 if below else math.inf
        p1, p2 = self.tangential
        dx = x * factor + 2 * p1 * x * y + p2 * (square + 2 * x * x)
        dy = y * factor + p1 * (square + 2 * y * y) + 2 * p2 * x * y
        return math.hypot(self.focal[0] * dx, self.focal[1] * dy) / self.size[0]

    def intrinsics_at(self, picture: tuple[int, int]) -> list[float]:
        """(fx, fy, cx, cy) in pixels of pictures (width, height) that were scaled; UserError for another aspect."""
        (width, height), (x, y) = self.size, (picture[0] / self.size[0], picture[1] / self.size[1])
        if abs(picture[0] * height - picture[1] * width) > max(width, height):  # a pixel, for rounding
            raise UserError(
                f"Its pictures are {picture[0]}x{picture[1]}, and its cameras are for {width}x{height}: give "
                "pictures of that shape (their EXIF flag may have turned them)."
            )
        return [self.focal[0] * x, self.focal[1] * y, self.centre[0] * x, self.centre[1] * y]


def pinhole_intrinsics(
    name: str, lenses: Sequence[Lens | None], picture: tuple[int, int]
) -> Float64[Tensor, "frame 4"] | None:
    """(fx, fy, cx, cy) of each frame in pixels of its pictures (width, height); the small distortion that may be left
    is passed over. None, with a warning for the video `name`, where one lens is of another kind (None: a fisheye) or
    moves a corner by more than `LARGEST_SHIFT` of the width: evaluation against such a "pinhole" would call a right
    camera wrong, while training, which reads no cameras, has use for the frames.
    """
    shifts = [math.inf if lens is None else lens.corner_shift() for lens in set(lenses)]
    if not all(shift <= LARGEST_SHIFT for shift in shifts):  # so that a coefficient that is no number counts as well
        reason = "its lens is no pinhole"
        if math.isfinite(max(shifts)):
            reason = f"its lens moves a corner of the picture by {max(shifts):.1%} of the width"
        log.warning(
            "%s: %s, and cameras here are pinholes; its clips come without cameras, which training does not need. To "
            "evaluate with them, undistort: `colmap image_undistorter --image_path images --input_path sparse/0 "
            "--output_path NEW` (colmap/sparse/0 in a folder of `ns-process-data`), and give the folder NEW.",
            name, reason,
        )  # fmt: skip
        return None
    return torch.tensor([lens.intrinsics_at(picture) for lens in lenses if lens is not None], dtype=torch.float64)
