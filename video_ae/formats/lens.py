"""A lens with OpenCV's distortion: what the camera models of COLMAP and nerfstudio have in common."""

import math
from dataclasses import dataclass
from itertools import product

from video_ae.errors import UserError

Number = float | int  # which beartype distinguishes


@dataclass(frozen=True)
class Lens:
    """A camera with OpenCV's distortion: https://docs.opencv.org/4.x/d9/d0c/group__calib3d.html

    COLMAP's and nerfstudio's coefficients of the same names are the same.

    Args:
        size: (width, height) in pixels of the images that the values are for.
        focal: focal lengths (x, y) in pixels.
        centre: principal point (x, y) in pixels; the centre of the top-left pixel is (0.5, 0.5).
        radial: k1, k2, ... of r^2, r^4, ...
        divisor: the same below the fraction (k4, k5, k6 of OpenCV's rational model).
        tangential: p1, p2.

    Raises:
        UserError: when the size or a focal length is no positive number.
    """

    size: tuple[int, int]
    focal: tuple[Number, Number]
    centre: tuple[Number, Number]
    radial: tuple[Number, ...] = ()
    divisor: tuple[Number, ...] = ()
    tangential: tuple[Number, Number] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not all(0 < value < math.inf for value in (*self.size, *self.focal)):
            raise UserError(f"The image size {self.size} or the focal length {self.focal} is no positive number.")

    def corner_shift(self) -> float:
        """How far the lens moves the corner of the image that it moves most, divided by the image's width.

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

    def intrinsics_at(self, image_size: tuple[int, int]) -> list[float]:
        """(fx, fy, cx, cy) in pixels of images that were scaled.

        Args:
            image_size: their (width, height).

        Raises:
            UserError: when their aspect ratio differs from the lens's.
        """
        (width, height), (x, y) = self.size, (image_size[0] / self.size[0], image_size[1] / self.size[1])
        if abs(image_size[0] * height - image_size[1] * width) > max(width, height):  # a pixel, for rounding
            raise UserError(
                f"Its images are {image_size[0]}x{image_size[1]}, and its cameras are for {width}x{height}: give "
                "images of that shape (their EXIF flag may have turned them)."
            )
        return [self.focal[0] * x, self.focal[1] * y, self.centre[0] * x, self.centre[1] * y]
