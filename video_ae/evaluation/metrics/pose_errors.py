"""Errors of camera poses and intrinsics, and whether covariances describe them.

Poses are `world_from_camera`, OpenCV axes; angles are in degrees; all in float64. Two world frames and two scales are
compared: trajectory errors align them first and say how, pair errors need no alignment because they look at relative
poses only.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from video_ae.geometry.se3 import invert, relative_to_first, rotation_angle, se3_log
from video_ae.geometry.umeyama import Alignment, align

Poses = Float[Tensor, "frame 4 4"]
Centres = Float[Tensor, "frame 3"]
Pairs = Int[Tensor, "pair 2"]
CHANCE_DIRECTION = 90.0  # degrees: what a movement of no length scores, since it says nothing about its direction
CHI_SQUARED_90 = {3: 6.2514, 6: 10.6446}  # 90 % of a chi-squared variable with that many degrees of freedom lies below
_STILL = 1e-6  # of the largest coordinate: a trajectory that spreads less than this stands still (float32 input)


@dataclass(frozen=True)
class TrajectoryError:
    """Distances between aligned and true camera centres, in the truth's unit.

    Args:
        rmse, mean, maximum: over the frames.
        extent: RMS distance of the true centres from their mean.
    """

    rmse: float
    mean: float
    maximum: float
    extent: float

    @property
    def rmse_over_extent(self) -> float | None:
        """None where the true camera stands still. An estimate that stands still scores 1 (Sim(3))."""
        return self.rmse / self.extent if self.extent > 0 else None


@dataclass(frozen=True)
class PairErrors:
    """Errors of relative poses of pairs of frames, in degrees from 0 to 180.

    Args:
        rotation: angle between found and true relative rotation.
        direction: angle between found and true movement of the camera centre, in the first camera's axes.
        moves: pairs whose true movement is long enough to have a direction.
    """

    rotation: Float[Tensor, "pair"]
    direction: Float[Tensor, "pair"]
    moves: Bool[Tensor, "pair"]

    @property
    def mean_rotation(self) -> float | None:
        return self.rotation.mean().item() if len(self.rotation) else None

    @property
    def mean_direction(self) -> float | None:
        return self.direction[self.moves].mean().item() if self.moves.any() else None


@dataclass(frozen=True)
class RelativePoseError:
    """Errors of relative motions.

    Args:
        translation_rmse: in the truth's unit.
        rotation_rmse: in degrees.
    """

    translation_rmse: float
    rotation_rmse: float


def rms_extent(centres: Centres) -> float:
    """RMS distance of points from their mean; exactly 0 for a standing camera and for no point.

    Args:
        centres: the points.

    >>> rms_extent(torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    1.0
    """
    if len(centres) == 0:
        return 0.0
    centres = centres.double()
    extent = (centres - centres.mean(0)).square().sum(-1).mean().sqrt().item()
    return extent if extent > _STILL * centres.abs().max().item() else 0.0


def absolute_trajectory_error(
    estimated: Centres, true: Centres, alignment: Alignment = "sim3"
) -> TrajectoryError | None:
    """ATE of camera centres after alignment (Sturm et al. 2012, "A benchmark for the evaluation of RGB-D SLAM").

    None for no frame.

    Args:
        estimated, true: centres of the same frames.
        alignment: of the estimate with the truth.
    """
    if len(true) == 0:
        return None
    distance = (align(estimated, true, alignment).apply(estimated) - true.double()).norm(dim=-1)
    rmse = distance.square().mean().sqrt().item()
    return TrajectoryError(rmse, distance.mean().item(), distance.max().item(), rms_extent(true))


def pairs_apart(frames: int, gap: int) -> Pairs:
    """All pairs (i, i + gap) of a clip.

    Args:
        frames: of the clip.
        gap: frames between the two.
    """
    first = torch.arange(max(0, frames - gap))
    return torch.stack([first, first + gap], -1)


def all_pairs(frames: int) -> Pairs:
    """All pairs (i, j) of a clip with i < j.

    Args:
        frames: of the clip.
    """
    return torch.triu_indices(frames, frames, 1).T


def pair_errors(estimated: Poses, true: Poses, pairs: Pairs, least_movement: float = 0.02) -> PairErrors:
    """Rotation and translation-direction errors of pairs of frames; both are free of alignment and scale.

    Pairs whose true movement is shorter than `least_movement` times the true extent (`rms_extent`) have no direction.
    A found movement of no length is 90 degrees off by definition.

    Args:
        estimated, true: poses of the same frames.
        pairs: numbers of the two frames of each pair.
        least_movement: share of the true extent.
    """
    found, truth = _relative(estimated, pairs), _relative(true, pairs)
    rotation = rotation_angle(found[:, :3, :3].transpose(-1, -2) @ truth[:, :3, :3]).rad2deg()
    length = truth[:, :3, 3].norm(dim=-1)
    extent = rms_extent(true[:, :3, 3])
    moves = (length >= least_movement * extent) & (length > 0) & (extent > 0)
    return PairErrors(rotation, _angle_between(found[:, :3, 3], truth[:, :3, 3]), moves)


def _relative(world_from_camera: Tensor, pairs: Tensor) -> Tensor:
    """first_from_second of each pair, in float64."""
    pose = world_from_camera.double()
    return invert(pose[pairs[:, 0]]) @ pose[pairs[:, 1]]


def _angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Angles between vectors in degrees; exact near 0 and 180, and 90 where one has no length."""
    angle = torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(-1)).rad2deg()
    degenerate = (a.norm(dim=-1) == 0) | (b.norm(dim=-1) == 0)
    return torch.where(degenerate, torch.full_like(angle, CHANCE_DIRECTION), angle)


def rotation_error_from_first(estimated: Poses, true: Poses) -> float | None:
    """Mean angle between found and true rotation relative to the first frame, which is left out; degrees.

    None for fewer than two frames.

    Args:
        estimated, true: poses of the same frames.
    """
    with_first = all_pairs(len(true))[: max(0, len(true) - 1)]
    return pair_errors(estimated, true, with_first).mean_rotation


def relative_pose_error(
    estimated: Poses, true: Poses, gap: int = 1, alignment: Alignment = "sim3"
) -> RelativePoseError | None:
    """RPE of pairs `gap` apart after aligning the whole trajectory (Sturm et al. 2012; as `evo_rpe --align`).

    None where the clip has no such pair.

    Args:
        estimated, true: poses of the same frames.
        gap: frames between the two of a pair.
        alignment: of the estimate with the truth.
    """
    pairs = pairs_apart(len(true), gap)
    if len(pairs) == 0:
        return None
    aligned = align(estimated[:, :3, 3], true[:, :3, 3], alignment).apply_to_poses(estimated)
    error = invert(_relative(true, pairs)) @ _relative(aligned, pairs)
    angle = rotation_angle(error[:, :3, :3]).rad2deg()
    translation = error[:, :3, 3].norm(dim=-1)
    return RelativePoseError(translation.square().mean().sqrt().item(), angle.square().mean().sqrt().item())


def accuracy_at(errors: Float[Tensor, "pair"], threshold: int | float) -> float | None:
    """Share of errors below a threshold: RRA@t of rotations, RTA@t of directions (Wang et al. 2023, "PoseDiffusion").

    None for no pair. Directions keep their sign here: backwards is 180 degrees off, not 0.

    Args:
        errors: in degrees.
        threshold: in degrees.
    """
    return (errors < threshold).double().mean().item() if len(errors) else None


def area_under_curve(errors: PairErrors, highest: int = 30) -> float | None:
    """AUC@highest (Wang et al. 2025, "VGGT"); None for no pair.

    The mean over thresholds of 1, 2, ... `highest` degrees of the share of pairs whose larger error, of rotation and
    direction, lies below it. Pairs that do not truly move count with their rotation alone.

    Args:
        errors: of the pairs.
        highest: threshold in degrees.
    """
    if len(errors.rotation) == 0:
        return None
    larger = torch.where(errors.moves, torch.maximum(errors.rotation, errors.direction), errors.rotation)
    shares = [accuracy_at(larger, threshold) or 0.0 for threshold in range(1, highest + 1)]
    return math.fsum(shares) / highest


def focal_ratio(estimated: Float[Tensor, "frame 4"], true: Float[Tensor, "frame 4"]) -> float | None:
    """Found over true focal length along x, both as means over the clip; 1 is right, 2 is twice too long.

    None where either is not a positive number, or the clip has no frame.

    Args:
        estimated, true: as in `Cameras`.
    """
    found, truth = estimated[:, 0].double().mean().item(), true[:, 0].double().mean().item()
    if not (math.isfinite(found) and math.isfinite(truth) and found > 0 and truth > 0):
        return None
    return found / truth


def focal_error(estimated: Float[Tensor, "frame 4"], true: Float[Tensor, "frame 4"]) -> float | None:
    """Largest error of any frame's focal length along x, as a part of the true one; None as in `focal_ratio`.

    Args:
        estimated, true: as in `Cameras`.
    """
    if focal_ratio(estimated, true) is None:
        return None
    return (estimated[:, 0].double() / true[:, 0].double() - 1).abs().max().item()


def field_of_view_error(estimated: Float[Tensor, "frame 4"], true: Float[Tensor, "frame 4"]) -> float | None:
    """Absolute error of the horizontal field of view 2 atan(1 / (2 fx)), in degrees; None as in `focal_ratio`.

    Args:
        estimated, true: as in `Cameras`.
    """
    ratio = focal_ratio(estimated, true)
    if ratio is None:
        return None
    truth = true[:, 0].double().mean().item()
    return math.degrees(2 * abs(math.atan(0.5 / (truth * ratio)) - math.atan(0.5 / truth)))


def normalised_errors(
    found: Poses, true: Poses, covariance: Float[Tensor, "frame 6 6"], dimensions: int = 6
) -> Float[Tensor, "later"]:
    """Squared Mahalanobis lengths of the poses' errors, relative to the first frame; that frame is left out.

    The truth is brought to the scale of the found path by least squares. Singular covariances count by their
    pseudo-inverse.

    Args:
        found, true: `world_from_camera` of the same frames.
        covariance: of the left twist of `camera_from_world` (rotation in radians, then translation in the found scale).
        dimensions: 6 for the whole twist, 3 for its rotation.
    """
    found, true = relative_to_first(found.double()), relative_to_first(true.double())
    true = align(true[:, :3, 3], found[:, :3, 3], "scale").apply_to_poses(true)
    twist = se3_log(invert(true) @ found)[1:, :dimensions]
    precision = torch.linalg.pinv(covariance[1:, :dimensions, :dimensions].double(), hermitian=True)
    return torch.einsum("fi,fij,fj->f", twist, precision, twist)


def coverage_90(
    found: Poses, true: Poses, covariance: Float[Tensor, "frame 6 6"], posed: Bool[Tensor, "frame"], dimensions: int = 6
) -> float | None:
    """Percent of the posed frames whose true pose lies within the 90 % region around the found one.

    90 is right, less is overconfident. None where no frame after the first has a pose.

    Args:
        found, true, covariance, dimensions: as in `normalised_errors`.
        posed: which frames count.
    """
    inside = normalised_errors(found, true, covariance, dimensions)[posed[1:]] <= CHI_SQUARED_90[dimensions]
    return 100 * inside.double().mean().item() if len(inside) else None
