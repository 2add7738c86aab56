"""The hard protocol: walks as a phone films them, one effect at a time, beside the same walks without it.

The names of the clips say what was done: `WALK`, `WALK+zoom`, `WALK+shake+readout`. A clip is compared with the same
method on the clip without its last effect. Where it is known what moves, the masks are compared too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from video_ae.datasets.base import ClipSource
from video_ae.evaluation.metrics.masks import mask_overlap
from video_ae.evaluation.protocols.base import PoseEstimate, PoseEstimator, PoseObserver
from video_ae.evaluation.protocols.frozen_frames import FrozenIndices
from video_ae.evaluation.protocols.pose_protocol import PosesSettings, score_methods
from video_ae.evaluation.protocols.running import Notify, Row
from video_ae.evaluation.protocols.with_truth import clips_with_truth
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.evaluation.true_masks import load_true_masks
from video_ae.types import Cameras, VideoClip

NO_EFFECT = "none"


def effect_of(clip: str) -> str:
    """What was done to a walk: `shake+readout` of `WALK+shake+readout`, `none` of `WALK`.

    Args:
        clip: its name.
    """
    return clip.partition("+")[2] or NO_EFFECT


def run_hard_protocol(
    dataset: ClipSource,
    root: Path,
    methods: Mapping[str, PoseEstimator],
    settings: PosesSettings,
    observers: Sequence[PoseObserver] = (),
    progress: Notify = None,
) -> EvaluationResult:
    """Runs methods on every clip of a data set; each effect is a group with means of its own.

    Args:
        dataset, methods, settings, observers, progress: as in `run_pose_protocol`.
        root: folder of the data set, where the true masks lie.

    Raises:
        UserError: the data set has no true cameras, or a file of its masks is of another kind.
    """
    dataset = clips_with_truth(dataset)
    main, overlaps = next(iter(methods)), dict[str, float | None]()

    def compare_masks(method: str, name: str, clip: VideoClip, cameras: Cameras, estimate: PoseEstimate) -> None:
        if method == main and (moving := load_true_masks(root, name)) is not None:  # others find cameras alone
            overlaps[name] = mask_overlap(estimate.static, moving)

    rows = score_methods(dataset, methods, settings, [*observers, compare_masks], progress)
    for name, row in rows[main].items():
        row["mask_iou"] = overlaps.get(name)
    for clips in rows.values():
        for clip, row in clips.items():
            row["error_ratio"] = _error_ratio(row, clips.get(clip.rpartition("+")[0]))
    effects = dict.fromkeys((NO_EFFECT, *map(effect_of, dataset.names)))
    groups = {effect: [clip for clip in dataset.names if effect_of(clip) == effect] for effect in effects}
    described = asdict(settings) | {"quarantined": dataset.skipped}
    return collect_result("hard", described, rows, frozen=FrozenIndices("", {}, groups=groups))


def _error_ratio(row: Row, without: Row | None) -> float | None:
    """Trajectory error over that without the last effect."""
    error, other = (one and one["ate_rmse_over_extent"] for one in (row, without))
    return error / other if error is not None and other else None
