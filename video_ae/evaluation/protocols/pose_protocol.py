"""The pose protocol: a method sees a whole clip and says where each frame's camera stood."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.baselines import POSE_BASELINES
from video_ae.evaluation.metrics import pose_errors as metric
from video_ae.evaluation.metrics.intrinsics import field_of_view_error, focal_ratio
from video_ae.evaluation.metrics.statistics import rank_correlation
from video_ae.evaluation.metrics.uncertainty import coverage_90
from video_ae.evaluation.protocols.base import (
    ComparedMethod,
    PoseEstimate,
    PoseEstimator,
    true_cameras,
    without_truth,
)
from video_ae.evaluation.protocols.frozen_frames import find_frozen
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.geometry.umeyama import align
from video_ae.types import Cameras, VideoClip

REASONS = {
    "no frame has a pose": ("focal_ratio", "field_of_view_error_deg"),
    "the true camera stands still": ("ate_rmse_over_extent",),
    "no such pair of frames, or none that truly moves": ("rotation_deg", "translation_direction_deg", "auc_30"),
}


@dataclass(frozen=True)
class PosesSettings:
    """What the pose protocol measures, and what the method is given.

    Args:
        gap: frames between the pairs of the main columns.
        gaps: frames between the pairs that are reported besides.
        thresholds: of RRA and RTA, in degrees.
        least_movement: pairs that truly move less than this share of the extent have no direction.
        known_focal: whether the method is given the true intrinsics.
        frames: only the first so many of each clip; None takes all.
        size: (width, height) of the frames handed to the method; None leaves them as they are.
    """

    gap: int = 5
    gaps: tuple[int, ...] = (1, 5, 10)
    thresholds: tuple[int, ...] = (5, 15, 30)
    least_movement: float = 0.02
    known_focal: bool = False
    frames: int | None = None
    size: tuple[int, int] | None = None


def fill_missing(estimate: PoseEstimate, clip: VideoClip) -> tuple[Cameras, Tensor]:
    """Cameras of every frame, and which frames have a finite pose of their own.

    A frame without one takes the nearest posed frame's camera (the earlier of two); with none posed, all stand still.

    Args:
        estimate: of the clip.
        clip: its length counts.
    """
    cameras, count = estimate.cameras.to(torch.float64), len(clip)
    assert len(cameras) == count, f"{len(cameras)} cameras were estimated for {count} frames"
    posed = cameras.world_from_camera.isfinite().all(-1).all(-1) & cameras.intrinsics.isfinite().all(-1)
    posed = posed if estimate.posed is None else posed & estimate.posed
    if not posed.any():
        poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
        return Cameras(poses, torch.full((count, 4), 0.5, dtype=torch.float64)), posed
    numbers = posed.nonzero()[:, 0]
    nearest = numbers[(torch.arange(count)[:, None] - numbers).abs().argmin(-1)]
    return cameras.select(nearest), posed


def score_poses(estimate: PoseEstimate, clip: VideoClip, settings: PosesSettings) -> dict[str, Any]:
    """One row of the table: every number, None with a reason where it is not defined.

    Args:
        estimate: of the clip.
        clip: with its true cameras.
        settings: what is measured.
    """
    cameras, posed = fill_missing(estimate, clip)
    truth = true_cameras(clip)
    found, true = cameras.world_from_camera, truth.world_from_camera
    row: dict[str, Any] = {"frames": len(clip), "posed": int(posed.sum())}
    row["posed_percent"] = 100 * row["posed"] / max(1, row["frames"])
    row["confidence"] = None if estimate.confidence is None else estimate.confidence.mean().item()
    row |= _trajectory(found, true, posed)
    row |= _pairs(found, true, settings)
    own = posed.any()
    row["focal_ratio"] = focal_ratio(cameras.intrinsics, truth.intrinsics) if own else None
    row["field_of_view_error_deg"] = field_of_view_error(cameras.intrinsics, truth.intrinsics) if own else None
    row["confidence_rank_correlation"] = _confidence(estimate, found, true)
    if estimate.covariance is not None:
        row["coverage_90_percent"] = coverage_90(found, true, estimate.covariance, posed)
        row["coverage_90_rotation_percent"] = coverage_90(found, true, estimate.covariance, posed, 3)
    reasons = {name: why for why, names in REASONS.items() for name in names if row.get(name) is None}
    return row | ({"reasons": reasons} if reasons else {})


def _trajectory(found: Tensor, true: Tensor, posed: Tensor) -> dict[str, Any]:
    error = metric.absolute_trajectory_error(found[:, :3, 3], true[:, :3, 3])
    only = metric.absolute_trajectory_error(found[posed, :3, 3], true[posed, :3, 3])
    step = metric.relative_pose_error(found, true)
    return {
        "ate_rmse_over_extent": error and error.rmse_over_extent,
        # Divided by the whole path's extent all the same, so that methods that pose different frames compare.
        "ate_rmse_over_extent_posed_only": only.rmse / error.extent if only and error and error.extent else None,
        "ate_rmse": error and error.rmse,
        "ate_mean": error and error.mean,
        "ate_max": error and error.maximum,
        "extent": error and error.extent,
        "rpe_translation_rmse": step and step.translation_rmse,
        "rpe_rotation_rmse_deg": step and step.rotation_rmse,
        "rotation_from_first_deg": metric.rotation_error_from_first(found, true),
        "rotation_from_first_deg_posed_only": metric.rotation_error_from_first(found[posed], true[posed]),
    }


def _pairs(found: Tensor, true: Tensor, settings: PosesSettings) -> dict[str, Any]:
    def errors(pairs: Tensor) -> metric.PairErrors:
        return metric.pair_errors(found, true, pairs, settings.least_movement)

    main = errors(metric.pairs_apart(len(true), settings.gap))
    row: dict[str, Any] = {"rotation_deg": main.mean_rotation, "translation_direction_deg": main.mean_direction}
    row["pairs"] = {}
    for gap in settings.gaps:
        apart = errors(metric.pairs_apart(len(true), gap))
        row["pairs"][str(gap)] = {
            "rotation_deg": apart.mean_rotation,
            "translation_direction_deg": apart.mean_direction,
        }
    every = errors(metric.all_pairs(len(true)))
    for threshold in settings.thresholds:
        row[f"rra_{threshold}"] = metric.accuracy_at(every.rotation, threshold)
        row[f"rta_{threshold}"] = metric.accuracy_at(every.direction[every.moves], threshold)
    return row | {"auc_30": metric.area_under_curve(every)}


def _confidence(estimate: PoseEstimate, found: Tensor, true: Tensor) -> float | None:
    """Whether confidence ranks the aligned centres' errors: Spearman, 1 is perfect, 0 says nothing."""
    if estimate.confidence is None or len(true) < 3:
        return None
    errors = (align(found[:, :3, 3], true[:, :3, 3]).apply(found[:, :3, 3]) - true[:, :3, 3]).norm(dim=-1)
    return rank_correlation(estimate.confidence.cpu(), -errors)


def _run(run: PoseEstimator, clip: VideoClip) -> tuple[PoseEstimate, dict[str, Any]]:
    """The estimate with the seconds it took, or a clip without a pose and why."""
    start, cpu = time.perf_counter(), time.process_time()
    failure: dict[str, Any] = {}
    try:
        estimate = run(clip)
        estimate = replace(estimate, cameras=estimate.cameras.to("cpu"))
    except (UserError, torch.linalg.LinAlgError) as error:
        failure = {"failure": str(error)}
        nothing = Cameras(torch.full((len(clip), 4, 4), torch.nan), torch.full((len(clip), 4), torch.nan))
        estimate = PoseEstimate(nothing)
    return estimate, {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu} | failure


def run_pose_protocol(
    dataset: ClipSource,
    estimator: PoseEstimator,
    method: str = "perspective",
    settings: PosesSettings = PosesSettings(),
    others: Mapping[str, ComparedMethod[PoseEstimator]] = POSE_BASELINES,
    on_estimate: Callable[[str, VideoClip, Cameras, PoseEstimate], object] | None = None,
    on_method: Callable[[str, str, VideoClip, Cameras, PoseEstimate], object] | None = None,
    progress: Callable[[str], object] | None = None,
) -> EvaluationResult:
    """Runs a method and others beside it on every clip of a data set.

    Args:
        dataset: with true cameras.
        estimator: the method.
        method: its name.
        settings: what is measured.
        others: the methods beside it, by name.
        on_estimate: called after each clip with its name, the clip as the method saw it, its cameras with gaps filled,
            and the estimate (`results.pose_writer` writes files).
        on_method: called for every method and clip with the method's and the clip's name, the clip with its true
            cameras, the method's cameras with gaps filled, and its estimate (`PoseRecord` keeps what a report needs).
        progress: called with each clip's name before it runs.

    Raises:
        UserError: the data set has no true cameras.
    """
    rows: dict[str, dict[str, dict]] = {name: {} for name in (method, *others)}
    for i, name in enumerate(dataset.names):
        if progress:
            progress(name)
        chosen = None if settings.frames is None else range(min(settings.frames, dataset.frame_count(i)))
        clip = dataset.load(i, indices=chosen, size=settings.size)
        true_cameras(clip)  # a source without them is refused before any work
        seen = without_truth(clip, settings.known_focal)
        for label, candidate in {method: ComparedMethod(estimator), **others}.items():
            estimate, cost = _run(candidate.run, clip if candidate.sees_truth else seen)
            rows[label][name] = score_poses(estimate, clip, settings) | cost
            cameras, posed = fill_missing(estimate, clip)
            estimate = replace(estimate, posed=posed)
            if on_estimate and label == method:
                on_estimate(name, seen, cameras, estimate)
            if on_method:
                on_method(label, name, clip, cameras, estimate)
    described = asdict(settings) | {"quarantined": dataset.skipped}
    sees_truth = {name for name, other in others.items() if other.sees_truth}
    return collect_result("poses", method, described, rows, sees_truth, find_frozen(dataset.names))
