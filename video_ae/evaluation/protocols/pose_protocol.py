"""The pose protocol: a method sees a whole clip and says where each frame's camera stood."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.evaluation.baselines import POSE_BASELINES, POSE_BOUNDS, standing_still
from video_ae.evaluation.metrics import pose_errors as metric
from video_ae.evaluation.metrics.statistics import rank_correlation
from video_ae.evaluation.protocols.base import PoseEstimate, PoseEstimator, PoseObserver
from video_ae.evaluation.protocols.frozen_frames import find_frozen
from video_ae.evaluation.protocols.running import Notify, Row, attempt, named_clips, true_cameras, without_truth
from video_ae.evaluation.protocols.with_truth import clips_with_truth
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.geometry.umeyama import align
from video_ae.types import Cameras, VideoClip

REASONS = {
    "no frame has a pose": ("focal_ratio", "focal_error_percent", "field_of_view_error_deg"),
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


def score_poses(estimate: PoseEstimate, clip: VideoClip, settings: PosesSettings) -> Row:
    """One row of the table: every number, None with a reason where it is not defined.

    Args:
        estimate: of the clip.
        clip: with its true cameras.
        settings: what is measured.
    """
    cameras, posed = fill_missing(estimate, clip)
    truth = true_cameras(clip)
    found, true = cameras.world_from_camera, truth.world_from_camera
    row: Row = {"frames": len(clip), "posed": int(posed.sum())}
    row["posed_percent"] = 100 * row["posed"] / max(1, row["frames"])
    row["confidence"] = None if estimate.confidence is None else estimate.confidence.mean().item()
    row |= _trajectory(found, true, posed)
    row |= _pairs(found, true, settings)
    own = posed.any()
    row["focal_ratio"] = metric.focal_ratio(cameras.intrinsics, truth.intrinsics) if own else None
    error = metric.focal_error(cameras.intrinsics, truth.intrinsics) if own else None
    row["focal_error_percent"] = None if error is None else 100 * error
    row["field_of_view_error_deg"] = metric.field_of_view_error(cameras.intrinsics, truth.intrinsics) if own else None
    row["confidence_rank_correlation"] = _confidence(estimate, found, true)
    if estimate.covariance is not None:
        row["coverage_90_percent"] = metric.coverage_90(found, true, estimate.covariance, posed)
        row["coverage_90_rotation_percent"] = metric.coverage_90(found, true, estimate.covariance, posed, 3)
    reasons = {name: why for why, names in REASONS.items() for name in names if row.get(name) is None}
    return row | ({"reasons": reasons} if reasons else {})


def _trajectory(found: Tensor, true: Tensor, posed: Tensor) -> Row:
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


def _pairs(found: Tensor, true: Tensor, settings: PosesSettings) -> Row:
    def errors(pairs: Tensor) -> metric.PairErrors:
        return metric.pair_errors(found, true, pairs, settings.least_movement)

    def means(gap: int) -> Row:
        apart = errors(metric.pairs_apart(len(true), gap))
        return {"rotation_deg": apart.mean_rotation, "translation_direction_deg": apart.mean_direction}

    row = means(settings.gap) | {"pairs": {str(gap): means(gap) for gap in settings.gaps}}
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


def run_pose_protocol(
    dataset: ClipSource,
    methods: Mapping[str, PoseEstimator],
    settings: PosesSettings = PosesSettings(),
    observers: Sequence[PoseObserver] = (),
    progress: Notify = None,
) -> EvaluationResult:
    """Runs methods, the baselines and the bounds on every clip of a data set.

    Args:
        dataset: with true cameras.
        methods: by name; the first is the one that is evaluated.
        settings: what is measured.
        observers: each is called for every method and clip with the method's and the clip's name, the clip with its
            true cameras, the method's cameras with gaps filled, and its estimate (`results.pose_writer` writes files,
            `PoseRecord` keeps what a report needs).
        progress: called with each clip's name before it runs.

    Raises:
        UserError: the data set has no true cameras.
    """
    dataset = clips_with_truth(dataset)
    every = {**methods, **POSE_BASELINES, **POSE_BOUNDS}
    rows = score_methods(dataset, every, settings, observers, progress)
    described = asdict(settings) | {"quarantined": dataset.skipped}
    return collect_result("poses", described, rows, POSE_BOUNDS, find_frozen(dataset.names))


def score_methods(
    dataset: ClipSource,
    methods: Mapping[str, PoseEstimator],
    settings: PosesSettings,
    observers: Sequence[PoseObserver] = (),
    progress: Notify = None,
) -> dict[str, dict[str, Row]]:
    """The rows of the table: method -> clip -> its numbers. Bounds (`POSE_BOUNDS`) get the truth.

    Args:
        dataset, settings, observers, progress: as in `run_pose_protocol`.
        methods: all of them, by name.

    Raises:
        UserError: the data set has no true cameras.
    """
    rows: dict[str, dict[str, Row]] = {label: {} for label in methods}
    for name, clip in named_clips(dataset, progress, settings.frames, settings.size):
        seen = without_truth(clip, settings.known_focal)
        for label, run in methods.items():
            tried = attempt(run, clip if label in POSE_BOUNDS else seen)
            estimate = tried.answer or replace(standing_still(seen), posed=torch.zeros(len(clip), dtype=torch.bool))
            estimate = replace(estimate, cameras=estimate.cameras.to("cpu"))
            rows[label][name] = score_poses(estimate, clip, settings) | tried.cost | tried.failure
            cameras, posed = fill_missing(estimate, clip)
            for observe in observers:
                observe(label, name, clip, cameras, replace(estimate, posed=posed))
    return rows
