"""The commands `video-ae evaluate poses`, `peers` and `views`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch

from video_ae.datasets.base import ClipSource
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.evaluation import options as commands
from video_ae.evaluation.baselines import POSE_BASELINES, VIEW_BASELINES
from video_ae.evaluation.methods import pose_estimator, unseen_view_synthesizer, view_synthesizer
from video_ae.evaluation.options import Focal
from video_ae.evaluation.peers.installed import HOW_TO_GET_THEM, PACKAGES, missing_peers
from video_ae.evaluation.protocols.base import Baseline, PoseEstimator
from video_ae.evaluation.protocols.pose_protocol import PosesSettings
from video_ae.evaluation.protocols.pose_protocol import evaluate_poses as run_poses
from video_ae.evaluation.protocols.view_protocol import ViewsSettings
from video_ae.evaluation.protocols.view_protocol import evaluate_views as run_views
from video_ae.evaluation.report.summaries import PoseRecord, ViewRecord
from video_ae.evaluation.results import EvaluationResult, pose_writer, prediction_writer
from video_ae.formats.atomic import claim_folder
from video_ae.formats.cameras_json import write_cameras_json
from video_ae.formats.trajectory import trajectory_of
from video_ae.models.base import DEFAULT_REFINE_STEPS

Kind = Literal["middle", "onward"]
_GAPS = {"middle": (2, 4, 8), "onward": (1, 3, 5, 10)}


def evaluate_poses(
    data: Path,
    out: Path,
    weights: Path | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    focal: Focal = "found",
    peers: bool = False,
    beside: Sequence[Path] = (),
    diagnose: bool = False,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """Measures camera poses on all clips of `data` and writes results.json, results.md, report.html, poses/*.json.

    weights: a RUN folder or file; None: the package's own. refine: steps of refinement on each clip; 0: feed-forward.
    focal: "true" gives every method the true intrinsics. peers: whether the installed peers stand in the table too.
    beside: weights of further models for the same table.
    diagnose: also run the model on the clips' beginnings played there and back, to see whether poses encode only time.
    seed: of whatever is drawn at random, in the model and in the peers.
    Raises UserError for data without true cameras, unusable weights and folders that cannot be written.
    """
    commands.check_refine(refine)
    dataset, place, known = commands.open_clips(data), choose_device(device), focal == "true"
    model = commands.load_able(weights, place, "find_cameras")
    others = commands.load_beside(beside, place, "find_cameras", refine, known)
    claim_folder(out, overwrite)
    torch.manual_seed(seed)
    rows = {label: Baseline(pose_estimator(other, place, refine)) for label, other in others.items()}
    rows |= (commands.peers(seed) if peers else {}) | POSE_BASELINES
    record = PoseRecord(commands.label_of(model, refine, known), pose_estimator(model, place, 0) if diagnose else None)
    result = _measure_poses(dataset, out, pose_estimator(model, place, refine), record, focal, rows)
    return commands.finish(result, out, seed, record, **_told(weights, beside), refine=refine)


def evaluate_peers(
    data: Path, out: Path, focal: Focal = "found", seed: int = 0, overwrite: bool = False
) -> EvaluationResult:
    """The installed peers (COLMAP, two-view odometry) on the frames and with the code of `evaluate_poses`.

    A peer that is not installed is named and left out; raises UserError if none is, and as `evaluate_poses` does.
    """
    dataset = commands.open_clips(data)
    found = commands.peers(seed)
    if not found:
        raise UserError(f"None of the peers ({', '.join(PACKAGES)}) is installed: {HOW_TO_GET_THEM}.")
    claim_folder(out, overwrite)
    first, *rest = found
    others = {name: found[name] for name in rest} | POSE_BASELINES
    record = PoseRecord(first)
    result = _measure_poses(dataset, out, found[first].run, record, focal, others)
    return commands.finish(result, out, seed, record, missing_peers=missing_peers())


def evaluate_views(
    data: Path,
    out: Path,
    weights: Path | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    gaps: list[int] | tuple[int, ...] | None = None,
    kind: Kind = "middle",
    focal: Focal = "found",
    beside: Sequence[Path] = (),
    hide_target: bool = False,
    save_frames: bool = False,
    perceptual: bool = True,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """Measures held-out frames on all clips of `data`, at the frames' own size.

    kind: "middle" has contexts i and i + 2g and the target i + g, "onward" the context i and the target i + g.
    hide_target: the target's camera is interpolated between the contexts' and the model never sees the target.
    perceptual: whether LPIPS and the VGG cosine are computed, which take longer than most methods.
    Writes results.json, results.md, report.html and, with `save_frames`,
    predictions/gap<g>/<clip>/<target timestamp>.png. The other arguments and errors are those of `evaluate_poses`.
    """
    chosen = tuple(gaps or _GAPS[kind])
    if any(gap < 1 for gap in chosen):
        raise UserError(f"The gaps {list(chosen)} are not possible: give whole numbers of at least 1.")
    if hide_target and kind != "middle":
        raise UserError(f"A hidden target needs a context on both sides, and the kind is {kind!r}: give --kind middle.")
    commands.check_refine(refine)
    dataset, place, known = commands.open_clips(data), choose_device(device), focal == "true"
    ability = "render" if hide_target else "synthesize"
    model = commands.load_able(weights, place, ability)
    others = commands.load_beside(beside, place, ability, refine, known)
    claim_folder(out, overwrite)
    torch.manual_seed(seed)
    build = unseen_view_synthesizer if hide_target else view_synthesizer
    rows = {label: Baseline(build(other, place, refine)) for label, other in others.items()}
    metrics, missing = commands.view_metrics(perceptual)
    record = ViewRecord(commands.label_of(model, refine, known) + (", target hidden" if hide_target else ""))
    result = run_views(
        dataset, build(model, place, refine), record.method, ViewsSettings(chosen, kind, known, not hide_target),
        rows | VIEW_BASELINES, metrics, missing, prediction_writer(out) if save_frames else None, record, commands.say,
    )  # fmt: skip
    return commands.finish(result, out, seed, record, **_told(weights, beside), refine=refine)


def _measure_poses(
    dataset: ClipSource,
    out: Path,
    run: PoseEstimator,
    record: PoseRecord,
    focal: Focal,
    others: Mapping[str, Baseline[PoseEstimator]],
) -> EvaluationResult:
    return run_poses(
        dataset, run, record.method, PosesSettings(known_focal=focal == "true"), others,
        on_estimate=pose_writer(out, lambda path, *found: write_cameras_json(path, trajectory_of(*found))),
        on_method=record, progress=commands.say,
    )  # fmt: skip


def _told(weights: Path | None, beside: Sequence[Path]) -> dict[str, object]:
    """What the settings say about weights."""
    return {"weights": str(weights or "shipped")} | ({"beside": [str(run) for run in beside]} if beside else {})
