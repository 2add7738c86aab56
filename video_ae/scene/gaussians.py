"""3D Gaussians of a scene, from its multiplane volumes.

Along each ray of a keyframe the code is a distribution of where the ray ends. Each of its peaks becomes one Gaussian:
the mass of the peak gives the opacity, its mean the position, its spread the thickness along the ray; across the ray it
is as wide as a pixel and lies in the surface that neighbouring rays span. What an earlier keyframe shows is left out.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.formats.ply import GaussianCloud
from video_ae.geometry.frustum import MARGIN
from video_ae.geometry.pinhole import camera_rays, project, sample, transform
from video_ae.geometry.se3 import invert
from video_ae.renderers.compositing import absorption_weights
from video_ae.scene.points import draw
from video_ae.steps import kept
from video_ae.types import Cameras, MultiplaneVolume, Scene

MOST_GAUSSIANS = 200_000  # 13.6 MB; long videos get more:
MOST_PER_FRAME = 8_000
LEAST_MASS = 0.08  # of a ray that ends at a peak: weaker peaks are haze
_PEAKS = 6  # at most, along a ray
_WIDTH = 0.52  # standard deviation across the ray, in pixels: neighbours leave no gaps
_THICKNESS = 0.3  # of a peak's spread: the voxels between two planes spread wider than the surface that they stand for
_STEEPEST = 3.0  # pixels of depth per pixel across: beyond it two neighbours lie on two surfaces
_TOLERANCE = 0.06  # of the disparity, between keyframes that see the same point
_OPAQUE = 0.99  # a logit needs less than 1


@dataclass(frozen=True)
class _Peaks:
    """Peaks of each ray, nearest first: mass (0 where there is none), mean and spread of 1 / z, colour."""

    mass: Float[Tensor, "peak rows columns"]
    mean: Float[Tensor, "peak rows columns"]
    spread: Float[Tensor, "peak rows columns"]
    color: Float[Tensor, "peak 3 rows columns"]
    expected: Float[Tensor, "rows columns"]


def scene_gaussians(scene: Scene) -> GaussianCloud:
    """Gaussians of all keyframes' codes in the world of the scene's cameras, at most 200 000 (or 8 000 a frame).

    Where there would be more, as many are drawn at random with a fixed seed and widened to close the gaps.

    Args:
        scene: whose codes are multiplane volumes.
    """
    peaks = [_peaks_on_disk(volume) for volume in scene.volumes]
    references = [volume.reference.to("cpu") for volume in scene.volumes]
    middle = (len(peaks) - 1) / 2
    order = sorted(range(len(peaks)), key=lambda number: abs(number - middle))
    clouds = []
    for rank, own in enumerate(order):
        cloud, central = _gaussians(references[own], peaks[own])
        kept = torch.ones(len(cloud), dtype=torch.bool)
        for other in order[:rank] + order[rank + 1 :]:
            # Beyond its own frame a code knows less than the keyframe that looks there, be it earlier or later.
            shown = _shown_by(cloud.centres, references[other], peaks[other].expected)
            kept &= ~(shown & ~central) if other in order[rank + 1 :] else ~shown
        clouds.append(cloud.select(kept))
    joined = GaussianCloud.cat(clouds)
    drawn = draw(joined, max(MOST_GAUSSIANS, MOST_PER_FRAME * len(scene.clip)))
    return replace(drawn, scale=drawn.scale * (len(joined) / max(len(drawn), 1)) ** 0.5)


def _peaks_on_disk(volume: MultiplaneVolume) -> _Peaks:
    """Those of all keyframes of a long video do not fit into memory."""
    return kept("peaks", lambda: _peaks(volume.to("cpu", torch.float32)))


def _peaks(volume: MultiplaneVolume) -> _Peaks:
    """Splits every ray's distribution at its valleys and sums up each part."""
    density, planes = volume.density, volume.inverse_depth
    ending = absorption_weights((1 - torch.exp(-density)).movedim(0, -1)).movedim(-1, 0)  # [plane, row, column]
    valley = torch.zeros_like(ending, dtype=torch.bool)
    valley[1:-1] = (ending[1:-1] < ending[:-2]) & (ending[1:-1] <= ending[2:])
    label = valley.cumsum(0).clamp_max(_PEAKS - 1)

    def sums(values: Tensor) -> Tensor:
        return torch.zeros(_PEAKS, *values.shape[1:]).scatter_add_(0, label, values)

    mass = sums(ending)
    share = mass.clamp_min(1e-6)
    q = planes[:, None, None]
    mean = sums(ending * q) / share
    spread = (sums(ending * q.square()) / share - mean.square()).clamp_min(0).sqrt()
    step = (planes[0] - planes[-1]) / max(len(planes) - 1, 1)
    color = torch.stack([sums(ending * channel) / share for channel in volume.features[:3]], 1)
    expected = (ending * q).sum(0) / ending.sum(0).clamp_min(1e-6)
    return _Peaks(mass, mean, spread.clamp_min(0.29 * step), color.clamp(0, 1), expected)  # 0.29: a uniform interval


def _gaussians(reference: Cameras, peaks: _Peaks) -> tuple[GaussianCloud, Bool[Tensor, "gaussian"]]:
    """One Gaussian a peak, and whether it lies within the keyframe's own frame (its code reaches further)."""
    rows, columns = peaks.expected.shape
    rays = camera_rays(reference.intrinsics[0], rows, columns)
    before = peaks.mass.cumsum(0) - peaks.mass
    opacity = (peaks.mass / (1 - before).clamp_min(1e-4)).clamp(max=_OPAQUE)
    peak, row, column = torch.nonzero((peaks.mass > LEAST_MASS) & (peaks.mean > 0), as_tuple=True)
    at = peak, row, column
    ray, q = rays[row, column], peaks.mean[at]
    depth = 1 / q
    focal = reference.intrinsics[0, :2]
    across = torch.diag_embed(torch.stack([1 / (focal[0] * columns), 1 / (focal[1] * rows)]))
    slopes = _slopes(peaks.expected)[:, row, column]
    variance = (_THICKNESS * peaks.spread[at] * depth.square()).square()
    covariance = variance[:, None, None] * ray[:, :, None] * ray[:, None]
    for axis in range(2):
        steepest = _STEEPEST * across[axis, axis] * q
        slope = torch.maximum(torch.minimum(slopes[axis], steepest), -steepest)
        tangent = -ray * (slope * depth.square())[:, None]
        tangent[:, :2] += depth[:, None] * across[axis]
        covariance = covariance + _WIDTH**2 * tangent[:, :, None] * tangent[:, None]
    pose = reference.world_from_camera[0]
    values, axes = torch.linalg.eigh(pose[:3, :3] @ covariance @ pose[:3, :3].mT)
    axes = axes * torch.linalg.det(axes).sign()[:, None, None]  # a rotation, not a reflection
    scale = values.clamp_min(1e-14).sqrt().clamp_min(1e-3 * depth[:, None] * across.max())
    centres, colors = transform(pose, ray * depth[:, None]), peaks.color[peak, :, row, column]
    cloud = GaussianCloud(centres, colors, opacity[at], scale, axes)
    uv = torch.stack([(column + 0.5) / columns, (row + 0.5) / rows], -1)
    return cloud, _is_central(uv)


def _is_central(uv: Float[Tensor, "*points 2"]) -> Bool[Tensor, "*points"]:
    """Whether image coordinates of a widened camera lie within the keyframe's own frame."""
    edge = MARGIN / (1 + 2 * MARGIN)
    return ((uv > edge) & (uv < 1 - edge)).all(-1)


def _slopes(inverse_depth: Float[Tensor, "rows columns"]) -> Float[Tensor, "2 rows columns"]:
    """Change of 1 / z per pixel along x and y: the smaller of the steps to both sides, 0 where they disagree."""
    slopes = []
    for axis in (1, 0):
        step = inverse_depth.diff(dim=axis)
        zero = torch.zeros_like(inverse_depth.narrow(axis, 0, 1))
        before, after = torch.cat([zero, step], axis), torch.cat([step, zero], axis)
        smaller = torch.where(before.abs() < after.abs(), before, after)
        slopes.append(torch.where(before * after > 0, smaller, torch.zeros_like(smaller)))
    return torch.stack(slopes)


def _shown_by(
    points: Float[Tensor, "point 3"], reference: Cameras, expected: Float[Tensor, "rows columns"]
) -> Bool[Tensor, "point"]:
    """Whether a keyframe's own frame sees through or at each point: it shows the surface there itself."""
    local = transform(invert(reference.world_from_camera[0]), points)
    uv = project(local, reference.intrinsics[0].expand(len(points), 4))
    there = sample(expected[None, None], uv[None, None], "border")[0, 0, 0]
    return _is_central(uv) & (local[:, 2] > 0) & (there * local[:, 2] < 1 + _TOLERANCE)
