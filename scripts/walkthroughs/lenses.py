"""Lenses that bend: the radial model of COLMAP and OpenCV, and their fisheye."""

from dataclasses import dataclass

import numpy as np

ROUNDS = 30  # of Newton's method
WIDEST = 10.0  # of the rays that are looked for: tangent, or radians


@dataclass(frozen=True)
class Distortion:
    """How far from the centre a lens shows a ray, in parts of the focal length.

    Args:
        radial: k1, k2, ... of r^2, r^4, ...; r is the tangent of a ray's angle to the axis, or the angle of a fisheye.
        fisheye: whether the angle itself is shown (OPENCV_FISHEYE), not its tangent (OPENCV, RADIAL).
    """

    radial: tuple[float, ...] = ()
    fisheye: bool = False

    def bend(self, tangent: np.ndarray) -> np.ndarray:
        """Distance from the centre at which the lens shows rays.

        Args:
            tangent: of their angles to the axis.

        >>> float(Distortion((-0.1,)).bend(np.array(0.5)))
        0.4875
        """
        return self._polynomial(np.arctan(tangent) if self.fisheye else tangent)[0]

    def straighten(self, radius: np.ndarray) -> np.ndarray | None:
        """Tangents of the rays shown at distances from the centre; None where the lens shows none.

        Args:
            radius: the distances, in parts of the focal length.

        >>> float(Distortion((-0.1,)).straighten(np.array(0.4875)).round(6))
        0.5
        """
        found = radius.astype(float)
        for _ in range(ROUNDS):
            value, slope = self._polynomial(found)
            found = np.clip(found - (value - radius) / np.maximum(slope, 0.05), 0, WIDEST)
        value, slope = self._polynomial(found)
        if np.abs(value - radius).max() > 1e-9 or slope.min() <= 0 or (self.fisheye and found.max() > 1.5):
            return None
        return np.tan(found) if self.fisheye else found

    def focal_over_width(self, field_of_view: float) -> float:
        """Focal length divided by the image's width.

        Args:
            field_of_view: horizontal, between the ends of the middle row, in degrees.

        >>> round(Distortion().focal_over_width(90.0), 6)
        0.5
        """
        return float(0.5 / self.bend(np.tan(np.radians(field_of_view / 2))))

    def _polynomial(self, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """r (1 + k1 r^2 + k2 r^4 + ...) and its derivative."""
        value, slope = np.array(radius, float), np.ones_like(radius, float)
        for n, k in enumerate(self.radial, 1):
            value = value + k * radius ** (2 * n + 1)
            slope = slope + k * (2 * n + 1) * radius ** (2 * n)
        return value, slope


NO_DISTORTION = Distortion()
