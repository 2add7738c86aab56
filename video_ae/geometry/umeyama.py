"""Least-squares alignment of one set of points with another: Sim(3), SE(3), or scale alone.

Defined for every input, degenerate ones too, because all occur in evaluation: a straight path (the roll about it is
undetermined: the smallest rotation is taken), a static camera (scale 1, no rotation), two frames, one point, no point.
Rows that are not finite are ignored.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.se3 import rigid, so3_exp

Alignment = Literal["sim3", "se3", "scale", "none"]

_RANK_TOLERANCE = 1e-9  # of the largest singular value: below it a direction of the covariance counts as absent
_SPREAD_TOLERANCE = 1e-12  # of the largest coordinate: points nearer together than this count as one


@dataclass(frozen=True)
class Similarity:
    """target = scale * rotation @ source + translation, in float64.

    Args:
        scale: factor, applied first.
        rotation: rotation matrix.
        translation: in the target's unit.
    """

    scale: Float[Tensor, ""]
    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, "3"]

    def apply(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3"]:
        """Points of the source in the target's coordinates (float64).

        Args:
            points: in the source's coordinates.
        """
        return self.scale * points.double() @ self.rotation.T + self.translation

    def apply_to_poses(self, world_from_camera: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
        """Camera poses of the source in the target's coordinates (float64); they stay rigid, only centres are scaled.

        Args:
            world_from_camera: poses in the source's world.
        """
        pose = world_from_camera.double()
        return rigid(self.rotation @ pose[..., :3, :3], self.apply(pose[..., :3, 3]))


def align(
    source: Float[Tensor, "points 3"], target: Float[Tensor, "points 3"], alignment: Alignment = "sim3"
) -> Similarity:
    """The transform that maps the source's points to the target's with the least sum of squared distances.

    Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns", eqs. 34-43.
    Points that all coincide keep scale 1.

    Args:
        source: points to be moved.
        target: their counterparts, row by row.
        alignment: "sim3" finds scale, rotation and translation, "se3" the latter two, "scale" the scale about the
            origin alone (never negative); "none" is the identity.

    Raises:
        ValueError: the alignment is unknown.

    >>> source = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    >>> found = align(source, torch.tensor([[5.0, 0.0, 0.0], [5.0, 3.0, 0.0], [5.0, 6.0, 0.0]]))
    >>> round(found.scale.item(), 6), found.apply(source)[2].round(decimals=6).tolist()
    (3.0, [5.0, 6.0, 0.0])
    """
    if alignment not in get_args(Alignment):
        raise ValueError(f"alignment {alignment!r} is unknown: choose one of {', '.join(get_args(Alignment))}")
    source, target = source.detach().double(), target.detach().double()
    finite = source.isfinite().all(-1) & target.isfinite().all(-1)
    source, target = source[finite], target[finite]
    identity, nowhere, one = torch.eye(3).double(), torch.zeros(3).double(), torch.ones(()).double()
    if alignment == "none" or len(source) == 0:
        return Similarity(one, identity, nowhere)
    if alignment == "scale":
        return Similarity(_scale_about_origin(source, target), identity, nowhere)
    source_mean, target_mean = source.mean(0), target.mean(0)
    centred, spread = source - source_mean, (source - source_mean).square().sum(-1).mean()
    covariance = (target - target_mean).T @ centred / len(source)
    rotation, correlation = _rotation(covariance)
    moves = spread > (_SPREAD_TOLERANCE * source.abs().max()).square()
    scale = correlation / spread if alignment == "sim3" and moves else one
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def _scale_about_origin(source: Tensor, target: Tensor) -> Tensor:
    power = source.square().sum()
    return ((source * target).sum() / power).clamp_min(0) if power > 0 else torch.ones_like(power)


def _rotation(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The best proper rotation for a covariance (target x source), and the sum of its signed singular values."""
    u, singular, vh = torch.linalg.svd(covariance)
    if singular[1] <= _RANK_TOLERANCE * singular[0]:
        smallest = _rotation_between(vh[0], u[:, 0]) if singular[0] > 0 else torch.eye(3).double()
        return smallest, singular[0]
    signs = torch.ones(3).double()
    signs[2] = torch.linalg.det(u @ vh).sign()
    return u @ signs.diag() @ vh, (singular * signs).sum()


def _rotation_between(source: Tensor, target: Tensor) -> Tensor:
    """The smallest rotation that maps one unit vector to another."""
    axis = torch.linalg.cross(source, target)
    sine, cosine = axis.norm(), source @ target
    if sine < _RANK_TOLERANCE:  # parallel or opposite: any perpendicular axis will do
        across = torch.eye(3).double()[source.abs().argmin()]
        axis = torch.linalg.cross(source, across)
    return so3_exp(axis / axis.norm() * torch.atan2(sine, cosine))
