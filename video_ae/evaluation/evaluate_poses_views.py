"""Evaluations of camera poses and of held-out views: a data set and weights in, tables and a report out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from video_ae.errors import UserError
from video_ae.evaluation.baselines import POSE_BASELINES, VIEW_BASELINES
from video_ae.evaluation.metrics.lpips import image_metrics
from video_ae.evaluation.peers.installed import HOW_TO_GET_THEM, PACKAGES, installed_peers, missing_peers
from video_ae.evaluation.protocols.base import ComparedMethod, PoseEstimator
from video_ae.evaluation.protocols.pose_protocol import PosesSettings, run_pose_protocol
from video_ae.evaluation.protocols.view_protocol import ViewsSettings, run_view_protocol
from video_ae.evaluation.report.records import PoseRecord, ViewRecord
from video_ae.evaluation.results import EvaluationResult, pose_writer, prediction_writer
from video_ae.evaluation.shared_steps import Focal, finish, open_posed_clips, prepare, print_progress
from video_ae.formats.atomic import claim_folder
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
    """Measures a model's camera poses on all clips of a data set.

    Writes results.json, results.md, report.html and poses/*.json.

    Args:
        data: folder of a data set with true cameras.
        out: folder of the results.
        weights: a RUN folder or file; None takes the package's own.
        refine: rounds of test-time refinement on each clip; 0 is feed-forward.
        focal: "true" gives every method the true intrinsics.
        peers: whether the installed peers (COLMAP, two-view odometry) get a column too.
        beside: weights of further models for the same table.
        diagnose: whether the model is also run on the clips' beginnings played there and back, to see whether its poses
            encode only time.
        seed: of the random numbers of the model and the peers.
        device: "auto", "cpu", "cuda", ...
        overwrite: whether files in the folder may be replaced.

    Raises:
        UserError: the data have no true cameras, the weights cannot be used, or the folder cannot be written.
    """
    known = focal == "true"
    setup = prepare(data, out, weights, refine, seed, device, overwrite, beside, known)
    columns = {label: ComparedMethod[PoseEstimator](other.estimate_poses) for label, other in setup.others.items()}
    columns |= (_announced_peers(seed) if peers else {}) | POSE_BASELINES
    record = PoseRecord(setup.label, replace(setup.method, refine=0).estimate_poses if diagnose else None)
    result = run_pose_protocol(
        setup.dataset, setup.method.estimate_poses, setup.label, PosesSettings(known_focal=known), columns,
        [pose_writer(out, setup.label), record], print_progress,
    )  # fmt: skip
    return finish(result, out, seed, record, **setup.settings)


def evaluate_peers(
    data: Path, out: Path, focal: Focal = "found", seed: int = 0, overwrite: bool = False
) -> EvaluationResult:
    """Measures the installed peers (COLMAP, two-view odometry) as `evaluate_poses` measures models.

    A peer that is not installed is named and left out. Writes results.json, results.md, report.html and poses/*.json of
    the first peer.

    Args:
        data, out, focal, seed, overwrite: as in `evaluate_poses`.

    Raises:
        UserError: no peer is installed, or as `evaluate_poses`.
    """
    dataset = open_posed_clips(data)
    found = _announced_peers(seed)
    if not found:
        raise UserError(f"None of the peers ({', '.join(PACKAGES)}) is installed: {HOW_TO_GET_THEM}.")
    claim_folder(out, overwrite)
    first, *rest = found
    others = {name: found[name] for name in rest} | POSE_BASELINES
    record = PoseRecord(first)
    result = run_pose_protocol(
        dataset, found[first].run, first, PosesSettings(known_focal=focal == "true"), others,
        [pose_writer(out, first), record], print_progress,
    )  # fmt: skip
    return finish(result, out, seed, record, missing_peers=missing_peers())


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
    """Measures a model's renderings of held-out frames on all clips of a data set, at the frames' own size.

    Writes results.json, results.md, report.html and, with `save_frames`,
    predictions/gap<g>/<clip>/<target timestamp>.png.

    Args:
        data, out, weights, refine, focal, beside, seed, device, overwrite: as in `evaluate_poses`.
        gaps: frames between the target and each context; by default 2, 4, 8, or 1, 3, 5, 10 of the kind "onward".
        kind: "middle" has contexts i and i + 2g and the target i + g, "onward" the context i and the target i + g.
        hide_target: whether the target's camera is interpolated between the contexts' and the model never sees the
            target.
        save_frames: whether the predicted frames are written.
        perceptual: whether LPIPS and the VGG cosine are computed, which take longer than most methods.

    Raises:
        UserError: the gaps or the kind are impossible, or as `evaluate_poses`.
    """
    chosen = tuple(gaps or _GAPS[kind])
    if any(gap < 1 for gap in chosen):
        raise UserError(f"The gaps {list(chosen)} are not possible: give whole numbers of at least 1.", argument="gaps")
    if hide_target and kind != "middle":
        raise UserError(
            f"A hidden target needs a context on both sides, and the kind is {kind!r}: choose the kind 'middle'.",
            argument="kind",
        )
    known = focal == "true"
    setup = prepare(data, out, weights, refine, seed, device, overwrite, beside, known)
    columns = {label: ComparedMethod(other.synthesizer(hide_target)) for label, other in setup.others.items()}
    record = ViewRecord(setup.label + (", target hidden" if hide_target else ""))
    writer = [prediction_writer(out, setup.dataset, record.method)] if save_frames else []
    result = run_view_protocol(
        setup.dataset, setup.method.synthesizer(hide_target), record.method,
        ViewsSettings(chosen, kind, known, not hide_target), columns | VIEW_BASELINES, image_metrics(perceptual),
        [*writer, record], print_progress,
    )  # fmt: skip
    return finish(result, out, seed, record, **setup.settings)


def _announced_peers(seed: int) -> dict[str, ComparedMethod[PoseEstimator]]:
    """The installed peers; prints a line for each one that is missing."""
    for sentence in missing_peers():
        print_progress(sentence)
    return installed_peers(seed)
