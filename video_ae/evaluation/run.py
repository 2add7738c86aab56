"""The commands `video-ae evaluate poses`, `views`, `peers` and `paper`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.markdown import Markdown

from video_ae.checkpoints import load_model
from video_ae.datasets.base import ClipSource
from video_ae.datasets.open import open_dataset
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.evaluation.baselines import POSE_BASELINES
from video_ae.evaluation.methods import pose_estimator, unseen_view_synthesizer, view_synthesizer
from video_ae.evaluation.metrics.lpips import perceptual_metrics
from video_ae.evaluation.peers.installed import HOW_TO_GET_THEM, PACKAGES, installed_peers, missing_peers
from video_ae.evaluation.protocols.base import Baseline, PoseEstimator, true_cameras
from video_ae.evaluation.protocols.onward_video import FRAMES, REENCODE_EVERY, evaluate_videos
from video_ae.evaluation.protocols.poses import PosesSettings
from video_ae.evaluation.protocols.poses import evaluate_poses as run_poses
from video_ae.evaluation.protocols.views import VIEW_METRICS, PictureMetric, ViewsSettings
from video_ae.evaluation.protocols.views import evaluate_views as run_views
from video_ae.evaluation.report.page import write_report
from video_ae.evaluation.report.records import PoseRecord, ViewRecord
from video_ae.evaluation.results import EvaluationResult, pose_writer, prediction_writer, write_results
from video_ae.export.cameras_json import write_cameras_json
from video_ae.files import claim_folder
from video_ae.models.base import DEFAULT_REFINE_STEPS, Autoencoder
from video_ae.models.paper import PaperVideoAutoencoder, predict_video

Focal = Literal["found", "true"]
Kind = Literal["middle", "onward"]
_GAPS = {"middle": (2, 4, 8), "onward": (1, 3, 5, 10)}


def evaluate_poses(
    data: Path,
    out: Path,
    weights: Path | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    focal: Focal = "found",
    peers: bool = False,
    diagnose: bool = False,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """Measures camera poses on all clips of `data` and writes results.json, results.md, report.html, poses/*.json.

    weights: a RUN folder or file; None: the package's own. refine: steps of refinement on each clip; 0: feed-forward.
    focal: "true" gives every method the true intrinsics. peers: whether the installed peers stand in the table too.
    diagnose: also run the model on the clips' beginnings played there and back, to see whether poses encode only time.
    seed: of whatever is drawn at random, in the model and in the peers.
    Raises UserError for data without true cameras, unusable weights and folders that cannot be written.
    """
    dataset = _open(data)
    model = _load(weights, refine, device, "find_cameras")
    claim_folder(out, overwrite)
    torch.manual_seed(seed)
    others = POSE_BASELINES | (_peers(seed) if peers else {})
    method = _label(model, refine, focal == "true")
    place = choose_device(device)
    record = PoseRecord(method, pose_estimator(model, place, 0) if diagnose else None)
    result = _measure_poses(dataset, out, pose_estimator(model, place, refine), record, focal, others)
    return _finish(result, out, seed, record, weights=str(weights or "shipped"), refine=refine)


def evaluate_peers(
    data: Path, out: Path, focal: Focal = "found", seed: int = 0, overwrite: bool = False
) -> EvaluationResult:
    """The installed peers (COLMAP, two-view odometry) on the frames and with the code of `evaluate_poses`.

    A peer that is not installed is named and left out; raises UserError if none is, and as `evaluate_poses` does.
    """
    dataset = _open(data)
    found = _peers(seed)
    if not found:
        raise UserError(f"None of the peers ({', '.join(PACKAGES)}) is installed: {HOW_TO_GET_THEM}.")
    claim_folder(out, overwrite)
    first, *rest = found
    others = {name: found[name] for name in rest} | POSE_BASELINES
    record = PoseRecord(first)
    result = _measure_poses(dataset, out, found[first].run, record, focal, others)
    return _finish(result, out, seed, record, missing_peers=missing_peers())


def evaluate_views(
    data: Path,
    out: Path,
    weights: Path | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    gaps: list[int] | tuple[int, ...] | None = None,
    kind: Kind = "middle",
    focal: Focal = "found",
    hide_target: bool = False,
    save_frames: bool = False,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """Measures held-out frames on all clips of `data`, at the frames' own size.

    kind: "middle" has contexts i and i + 2g and the target i + g, "onward" the context i and the target i + g.
    hide_target: the target's camera is interpolated between the contexts' and the model never sees the target.
    Writes results.json, results.md, report.html and, with `save_frames`,
    predictions/gap<g>/<clip>/<target timestamp>.png. The other arguments and errors are those of `evaluate_poses`.
    """
    chosen = tuple(gaps or _GAPS[kind])
    if any(gap < 1 for gap in chosen):
        raise UserError(f"The gaps {list(chosen)} are not possible: give whole numbers of at least 1.")
    if hide_target and kind != "middle":
        raise UserError(f"A hidden target needs a context on both sides, and the kind is {kind!r}: give --kind middle.")
    dataset = _open(data)
    model = _load(weights, refine, device, "render" if hide_target else "synthesize")
    claim_folder(out, overwrite)
    torch.manual_seed(seed)
    build = unseen_view_synthesizer if hide_target else view_synthesizer
    metrics, missing = _view_metrics()
    record = ViewRecord(_label(model, refine, focal == "true") + (", target hidden" if hide_target else ""))
    result = run_views(
        dataset, build(model, choose_device(device), refine), record.method,
        ViewsSettings(chosen, kind, focal == "true", not hide_target), metrics=metrics, missing=missing,
        on_view=prediction_writer(out) if save_frames else None, on_method=record, progress=_say,
    )  # fmt: skip
    return _finish(result, out, seed, record, weights=str(weights or "shipped"), refine=refine)


def evaluate_paper(
    data: Path,
    out: Path,
    weights: Path,
    frames: int = FRAMES,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """The 2021 paper's own protocol (see `protocols.onward_video`) with a model of its kind; needs no true cameras.

    Writes results.json and results.md. Raises UserError for the weights of another model.
    """
    if frames < 2:
        raise UserError(f"{frames} frames are not enough to predict any: give at least 2.")
    dataset = open_dataset(data)
    place, model = choose_device(device), load_model(weights)
    if not isinstance(model, PaperVideoAutoencoder):
        raise UserError(f"The paper's protocol needs its own model, and {str(weights)!r} holds {type(model).__name__}.")
    model = model.to(place)
    claim_folder(out, overwrite)
    metrics, missing = _view_metrics()
    result = evaluate_videos(
        dataset, lambda clip: predict_video(model, clip.to(place), REENCODE_EVERY), "paper", model.image_size, frames,
        metrics, missing, _say,
    )  # fmt: skip
    write_results(result.with_settings(weights=str(weights)), out)
    Console().print(Markdown((out / "results.md").read_text(encoding="utf-8")))
    return result


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
        on_estimate=pose_writer(out, write_cameras_json), on_method=record, progress=_say,
    )  # fmt: skip


def _open(data: Path) -> ClipSource:
    dataset = open_dataset(data)
    true_cameras(dataset.load(0, indices=[0]))
    return dataset


def _load(weights: Path | None, refine: int, device: str, ability: str) -> Autoencoder:
    if refine < 0:
        raise UserError(f"{refine} refinement steps are not possible: give 0 or more.")
    model = load_model(weights).to(choose_device(device))
    if not hasattr(model, ability):
        raise UserError(f"The model {type(model).__name__} has no cameras, so this evaluation does not apply to it.")
    return model


def _peers(seed: int) -> dict[str, Baseline[PoseEstimator]]:
    for sentence in missing_peers():
        _say(sentence)
    return installed_peers(seed)


def _view_metrics() -> tuple[dict[str, PictureMetric], dict[str, str]]:
    """The metrics that can be computed here, and why the others cannot."""
    found, missing = perceptual_metrics()
    return VIEW_METRICS | found, missing


def _label(model: Autoencoder, refine: int, known_focal: bool) -> str:
    name = type(model).__name__.removesuffix("Autoencoder").lower()
    return f"{name}, {'refined' if refine else 'feed-forward'}" + (", true focal" if known_focal else "")


def _finish(
    result: EvaluationResult, out: Path, seed: int, record: PoseRecord | ViewRecord, **settings: object
) -> EvaluationResult:
    result = replace(result.with_settings(**settings), diagnostics=record.diagnostics)
    write_report(write_results(result, out, seed=seed), out, record)
    Console().print(Markdown((out / "results.md").read_text(encoding="utf-8")))
    return result


def _say(text: str) -> None:
    Console(stderr=True).print(f"  {text}", highlight=False)
