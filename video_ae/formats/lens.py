"""A lens with OpenCV's distortion: what the camera models of COLMAP and nerfstudio have in common."""

import math
from dataclasses import dataclass, replace
from itertools import product

import torch
from jaxtyping import Float64
from torch import Tensor

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
        for name in ("focal", "centre", "radial", "divisor", "tangential"):  # numbers of numpy are none for JSON
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        if not all(0 < value < math.inf for value in (*self.size, *self.focal)):
            raise UserError(f"The image size {self.size} or the focal length {self.focal} is no positive number.")

    @property
    def centre_offset(self) -> tuple[float, float]:
        """How far the principal point lies from the middle of the image, as parts of its width and height."""
        return self.centre[0] / self.size[0] - 0.5, self.centre[1] / self.size[1] - 0.5

    def corner_shift(self) -> float:
        """How far the lens moves the corner of the image that it moves most, divided by the image's width.

        >>> round(Lens((100, 80), (50, 50), (50, 40), radial=(-0.1,)).corner_shift(), 3)
        0.105
        """
        corners = torch.tensor(list(product(*((0.0, float(side)) for side in self.size))), dtype=torch.float64)
        shift = self.project(self.rays_without_distortion(corners)) - corners
        return shift.norm(dim=-1).nan_to_num(math.inf).max().item() / self.size[0]

    def rays_without_distortion(self, pixels: Float64[Tensor, "*points 2"]) -> Float64[Tensor, "*points 2"]:
        """Viewing rays of pixels, as if the lens were a pinhole: x and y at z = 1.

        Args:
            pixels: of an image of the lens's size.
        """
        return (pixels - torch.tensor(self.centre, dtype=torch.float64)) / torch.tensor(self.focal, dtype=torch.float64)

    def project(self, rays: Float64[Tensor, "*points 2"]) -> Float64[Tensor, "*points 2"]:
        """Where the lens shows viewing rays, in pixels.

        Args:
            rays: x and y at z = 1.

        >>> Lens((100, 80), (50, 50), (50, 40), radial=(-0.1,)).project(torch.tensor([[1.0, 0.0]]).double()).tolist()
        [[95.0, 40.0]]
        """
        x, y = rays.unbind(-1)
        square, (p1, p2) = x * x + y * y, self.tangential
        above, below = (1 + sum(k * square**n for n, k in enumerate(ks, 1)) for ks in (self.radial, self.divisor))
        dx = x * above / below + 2 * p1 * x * y + p2 * (square + 2 * x * x)
        dy = y * above / below + p1 * (square + 2 * y * y) + 2 * p2 * x * y
        bent = torch.stack([dx, dy], -1)
        return bent * torch.tensor(self.focal, dtype=bent.dtype) + torch.tensor(self.centre, dtype=bent.dtype)

    def at_size(self, image_size: tuple[int, int]) -> "Lens":
        """The same lens for images that were scaled.

        Args:
            image_size: their (width, height).

        Raises:
            UserError: when their aspect ratio differs from the lens's.
        """
        fx, fy, cx, cy = self.intrinsics_at(image_size)
        return replace(self, size=image_size, focal=(fx, fy), centre=(cx, cy))

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
                "images of that shape (an EXIF flag may turn them in one program and not in another)."
            )
        return [self.focal[0] * x, self.focal[1] * y, self.centre[0] * x, self.centre[1] * y]
