"""The evaluations, as the commands call them: a data set and weights in, tables and a report out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import chain
from itertools import count as count_from
from pathlib import Path
from typing import Any, Literal

import torch

from video_ae.datasets.base import ClipSource
from video_ae.datasets.open import open_dataset
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.evaluation.methods import ModelMethods
from video_ae.evaluation.metrics.lpips import image_metrics
from video_ae.evaluation.output import finish, print_progress
from video_ae.evaluation.peers.installed import (
    HOW_TO_GET_THEM,
    PACKAGES,
    installed_colmap,
    installed_peers,
    missing_peers,
)
from video_ae.evaluation.protocols.base import FrameObserver, PoseEstimator, PoseObserver
from video_ae.evaluation.protocols.hard_protocol import run_hard_protocol
from video_ae.evaluation.protocols.held_out_protocol import MAIN, held_out_methods, run_held_out_protocol
from video_ae.evaluation.protocols.phone_protocol import closing_percent, run_phone_protocol
from video_ae.evaluation.protocols.pose_protocol import PosesSettings, run_pose_protocol
from video_ae.evaluation.protocols.published_protocol import FAULTS, FRAMES, VideoPredictor, run_published_protocol
from video_ae.evaluation.protocols.reconstruction_protocol import run_reconstruction_protocol
from video_ae.evaluation.protocols.transfer_protocol import run_transfer_protocol
from video_ae.evaluation.protocols.view_protocol import ViewsSettings, run_view_protocol
from video_ae.evaluation.protocols.with_truth import clips_with_truth
from video_ae.evaluation.report.records import FrameRecord, PoseRecord, ViewRecord
from video_ae.evaluation.results import EvaluationResult, frame_writer, pose_writer, prediction_writer
from video_ae.formats.atomic import claim_folder
from video_ae.models.base import DEFAULT_REFINE_STEPS, Options
from video_ae.models.open import load_model, load_video_model
from video_ae.models.video_autoencoder.model import PaperVideoAutoencoder, predict_video

Focal = Literal["found", "true"]
Kind = Literal["middle", "onward"]
Protocol = Literal["contexts", "held-out"]
_GAPS = {"middle": (2, 4, 8), "onward": (1, 3, 5, 10)}


@dataclass(frozen=True)
class ModelSettings:
    """What all evaluations of a model let a person choose.

    Args:
        weights: a RUN folder or file; None takes the package's own.
        refine: rounds of test-time refinement on each clip; 0 is feed-forward.
        beside: weights of further models for the same table.
        seed: of the random numbers of the model and the peers.
        device: "auto", "cpu", "cuda", ...
        overwrite: whether files in the folder of the results may be replaced.

    Raises:
        UserError: a number makes no sense.
    """

    weights: Path | None = None
    refine: int = DEFAULT_REFINE_STEPS
    beside: Sequence[Path] = ()
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.refine < 0:
            raise UserError(f"{self.refine} refinement steps are not possible: give 0 or more.", argument="refine")


def evaluate_poses(
    data: Path,
    out: Path,
    focal: Focal = "found",
    peers: bool = False,
    diagnose: bool = False,
    settings: ModelSettings = ModelSettings(),
) -> EvaluationResult:
    """Measures a model's camera poses on all clips of a data set.

    Writes results.json, results.md, report.html and poses/*.json.

    Args:
        data: folder of a data set with true cameras.
        out: folder of the results.
        focal: "true" gives every method the true intrinsics.
        peers: whether the installed peers (COLMAP, two-view odometry) get a column too.
        diagnose: whether the model is also run on the clips' beginnings played there and back, to see whether its poses
            encode only time.
        settings: see `ModelSettings`.

    Raises:
        UserError: the data have no true cameras, the weights cannot be used, or the folder cannot be written.
    """
    known = focal == "true"
    dataset, main, models, described = _prepare(data, out, settings, known)
    methods = {label: model.estimate_poses for label, model in models.items()}
    methods |= _announced_peers(settings.seed) if peers else {}
    record = PoseRecord(main, replace(models[main], refine=0).estimate_poses if diagnose else None)
    observers: list[PoseObserver] = [pose_writer(out, main), record]
    result = run_pose_protocol(dataset, methods, PosesSettings(known_focal=known), observers, print_progress)
    return finish(result, out, settings.seed, record, **described)


def evaluate_peers(
    data: Path, out: Path, focal: Focal = "found", seed: int = 0, overwrite: bool = False
) -> EvaluationResult:
    """Measures the installed peers (COLMAP, two-view odometry) as `evaluate_poses` measures models.

    A peer that is not installed is named and left out. Writes results.json, results.md, report.html and poses/*.json of
    the first peer.

    Args:
        data, out, focal: as in `evaluate_poses`.
        seed, overwrite: as in `ModelSettings`.

    Raises:
        UserError: no peer is installed, or as `evaluate_poses`.
    """
    dataset = _open_posed_clips(data)
    found = _announced_peers(seed)
    if not found:
        raise UserError(f"None of the peers ({', '.join(PACKAGES)}) is installed: {HOW_TO_GET_THEM}.")
    claim_folder(out, overwrite)
    record = PoseRecord(next(iter(found)))
    settings = PosesSettings(known_focal=focal == "true")
    result = run_pose_protocol(dataset, found, settings, [pose_writer(out, record.method), record], print_progress)
    return finish(result, out, seed, record, missing_peers=missing_peers())


def evaluate_hard(
    data: Path, out: Path, peers: bool = False, settings: ModelSettings = ModelSettings()
) -> EvaluationResult:
    """Measures the cameras that `reconstruct` finds in walks as a phone films them, one effect at a time.

    See `video_ae.evaluation.protocols.hard_protocol`. Writes results.json, results.md and poses/*.json.

    Args:
        data: folder of a data set with true cameras, whose names say what was done: `WALK`, `WALK+zoom`.
        out: folder of the results.
        peers: whether COLMAP gets columns too, with its camera models SIMPLE_RADIAL and OPENCV.
        settings: as in `evaluate_poses`.

    Raises:
        UserError: as `evaluate_poses`.
    """
    dataset, main, models, described = _prepare(data, out, settings)
    methods = {label: model.reconstruct_poses for label, model in models.items()}
    methods |= installed_colmap(settings.seed) if peers else {}
    result = run_hard_protocol(dataset, data, methods, PosesSettings(), [pose_writer(out, main)], print_progress)
    return finish(result, out, settings.seed, **described)


def evaluate_phone(
    data: Path, out: Path, peers: bool = False, settings: ModelSettings = ModelSettings()
) -> EvaluationResult:
    """Measures the cameras that `reconstruct` finds in videos as phones leave them, whose truth is known in part.

    See `video_ae.evaluation.protocols.phone_protocol`. Writes results.json, results.md and poses/*.json.

    Args:
        data: folder of the clips; walks that end where they began are measured where OpenCV is installed.
        out: folder of the results.
        peers: whether COLMAP gets columns too, with its camera models SIMPLE_RADIAL and OPENCV.
        settings: as in `evaluate_poses`.

    Raises:
        UserError: as `evaluate_poses`.
    """
    _, main, models, described = _prepare(data / "eval", out, settings)
    methods = {label: model.reconstruct_poses for label, model in models.items()}
    others = installed_colmap(settings.seed) if peers else {}
    closing = closing_percent if find_spec("cv2") else None
    observers = [pose_writer(out, main)]
    result = run_phone_protocol(data, methods, others, closing, PosesSettings(), observers, print_progress)
    return finish(result, out, settings.seed, **described)


def evaluate_views(
    data: Path,
    out: Path,
    gaps: list[int] | tuple[int, ...] | None = None,
    kind: Kind = "middle",
    focal: Focal = "found",
    hide_target: bool = False,
    save_frames: bool = False,
    perceptual: bool = True,
    protocol: Protocol = "contexts",
    every: int | None = None,
    settings: ModelSettings = ModelSettings(),
) -> EvaluationResult:
    """Measures a model's renderings of held-out frames on all clips of a data set, at the frames' own size.

    Writes results.json, results.md, report.html and, with `save_frames`,
    predictions/gap<g>/<clip>/<target timestamp>.png (predictions/<clip>/<frame>.png of the protocol "held-out").

    Args:
        data, out, focal, settings: as in `evaluate_poses`.
        gaps: frames between the target and each context; by default 2, 4, 8, or 1, 3, 5, 10 of the kind "onward".
        kind: "middle" has contexts i and i + 2g and the target i + g, "onward" the context i and the target i + g.
        hide_target: whether the target's camera is interpolated between the contexts' and the model never sees the
            target.
        save_frames: whether the predicted frames are written.
        perceptual: whether LPIPS and the VGG cosine are computed, which take longer than most methods.
        protocol: "contexts" renders each target from one or two frames, "held-out" every n-th frame of a clip from all
            others, cameras found from all (`protocols.held_out_protocol`); it needs no true cameras.
        every: of "held-out", n; by default 4.

    Raises:
        UserError: the gaps, the kind or `every` are impossible or of the other protocol, or as `evaluate_poses`.
    """
    if protocol == "held-out":
        if gaps or kind != "middle" or focal != "found" or hide_target or settings.beside:
            message = "The protocol 'held-out' has no gaps, kinds, hidden targets, true focal length or models beside"
            raise UserError(f"{message}: give `every` instead.", argument="protocol")
        return _evaluate_held_out(data, out, 4 if every is None else every, save_frames, perceptual, settings)
    if every is not None:
        raise UserError("Every n-th frame is held out by the protocol 'held-out' alone: ask for it.", argument="every")
    chosen = tuple(gaps or _GAPS[kind])
    if any(gap < 1 for gap in chosen):
        raise UserError(f"The gaps {list(chosen)} are not possible: give whole numbers of at least 1.", argument="gaps")
    if hide_target and kind != "middle":
        raise UserError(
            f"A hidden target needs a context on both sides, and the kind is {kind!r}: choose the kind 'middle'.",
            argument="kind",
        )
    known, suffix = focal == "true", ", target hidden" if hide_target else ""
    dataset, main, models, described = _prepare(data, out, settings, known, suffix)
    methods = {name: one.synthesize_hidden if hide_target else one.synthesize for name, one in models.items()}
    record, shown = ViewRecord(main), ViewsSettings(chosen, kind, known, not hide_target)
    writer = [prediction_writer(out, dataset, main)] if save_frames else []
    result = run_view_protocol(dataset, methods, shown, image_metrics(perceptual), [*writer, record], print_progress)
    return finish(result, out, settings.seed, record, **described)


def _evaluate_held_out(
    data: Path, out: Path, every: int, save_frames: bool, perceptual: bool, settings: ModelSettings
) -> EvaluationResult:
    """`evaluate_views` by the protocol "held-out"."""
    if every < 2:
        raise UserError(f"Of every {every} frames none is left: give 2 or more, such as 4.", argument="every")
    dataset, device = open_dataset(data), choose_device(settings.device)
    model = load_video_model(settings.weights, device)
    claim_folder(out, settings.overwrite)
    torch.manual_seed(settings.seed)
    record, methods = FrameRecord(MAIN), held_out_methods()
    observers: list[FrameObserver] = [frame_writer(out, MAIN), record] if save_frames else [record]
    options, metrics = Options(None, settings.refine), image_metrics(perceptual)
    result = run_held_out_protocol(dataset, model, methods, every, options, metrics, observers, print_progress)
    weights = str(settings.weights or "shipped")
    return finish(result, out, settings.seed, record, weights=weights, refine=settings.refine)


def evaluate_reconstruction(data: Path, out: Path, settings: ModelSettings = ModelSettings()) -> EvaluationResult:
    """Reconstructs every clip of a data set and compares its frames with their renderings; its depth too, where known.

    Writes results.json, results.md and report.html.

    Args:
        data, out, settings: as in `evaluate_poses`.

    Raises:
        UserError: as `evaluate_poses`.
    """
    dataset, main, models, described = _prepare(data, out, settings)
    methods = {label: model.build_scene for label, model in models.items()}
    record = FrameRecord(main)
    result = run_reconstruction_protocol(dataset, data, methods, image_metrics(), [record], print_progress)
    return finish(result, out, settings.seed, record, **described)


def evaluate_transfer(data: Path, out: Path, settings: ModelSettings = ModelSettings(refine=0)) -> EvaluationResult:
    """Renders each clip along the camera path found in another, and measures whether its image moves as it should.

    See `video_ae.evaluation.protocols.transfer_protocol`. Writes results.json and results.md.

    Args:
        data: folder of a data set with true cameras and true depth.
        out, settings: as in `evaluate_poses`; models beside are left out.

    Raises:
        UserError: the data have no true depth, or as `evaluate_poses`.
    """
    dataset, main, models, described = _prepare(data, out, replace(settings, beside=()))
    estimator, builder = models[main].estimate_poses, models[main].build_scene
    result = run_transfer_protocol(dataset, data, estimator, builder, main, print_progress)
    return finish(result, out, settings.seed, **described)


def evaluate_paper(
    data: Path,
    out: Path,
    weights: Path,
    frames: int = FRAMES,
    faults: Sequence[str] = tuple(FAULTS),
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """The 2021 paper's own protocol with a model of its kind: corrected, with each fault of the original, as published.

    See `video_ae.evaluation.protocols.published_protocol`. Trajectory errors need true cameras, image metrics need
    none. Writes results.json and results.md.

    Args:
        data: folder of videos, or of a data set with or without true cameras.
        weights: of a 2021 model.
        frames: of each video, the first so many.
        faults: of the original, each as a column; keys of `FAULTS`.
        out: folder of the results.
        device, overwrite: as in `ModelSettings`.

    Raises:
        UserError: the weights are those of another model, or a fault is unknown.
    """
    if frames < 2:
        raise UserError(f"{frames} frames are not enough to predict any: give at least 2.", argument="frames")
    dataset = open_dataset(data)
    chosen_device, model = choose_device(device), load_model(weights)
    if not isinstance(model, PaperVideoAutoencoder):
        raise UserError(f"The paper's protocol needs its own model, and {str(weights)!r} is a {type(model).__name__}.")
    model = model.to(chosen_device)
    claim_folder(out, overwrite)
    estimator = ModelMethods(model, chosen_device, 0).estimate_poses
    predictor = VideoPredictor(lambda frames: predict_video(model, frames.to(chosen_device)), estimator)
    result = run_published_protocol(
        dataset, predictor, "paper", model.image_size, frames, faults, image_metrics(), print_progress
    )
    return finish(result, out, 0, weights=str(weights))


def _prepare(
    data: Path, out: Path, settings: ModelSettings, known_focal: bool = False, suffix: str = ""
) -> tuple[ClipSource, str, dict[str, ModelMethods], dict[str, Any]]:
    """Opens the data, loads the models, claims the folder of the results and seeds the random numbers.

    The first model's label gets the suffix; models of one label are distinguished by the names of their runs.

    Returns:
        Clips with true cameras, the label of the model's column, it and those beside it by label, and what the results
        shall say about them.
    """
    dataset, device = _open_posed_clips(data), choose_device(settings.device)
    models: dict[str, ModelMethods] = {}
    for run in (settings.weights, *settings.beside):
        model = ModelMethods(load_video_model(run, device), device, settings.refine)
        label = model.label(known_focal) + ("" if models else suffix)
        models[_unused_label(label, run, models)] = model
    claim_folder(out, settings.overwrite)
    torch.manual_seed(settings.seed)
    described: dict[str, Any] = {"weights": str(settings.weights or "shipped")}
    described |= {"beside": [str(run) for run in settings.beside]} if settings.beside else {}
    return dataset, next(iter(models)), models, described | {"refine": settings.refine}


def _unused_label(label: str, run: Path | None, used: Collection[str]) -> str:
    """The label, with as much of the run's path as tells it from those that are used; runs are files, too."""
    parts = Path(run).parts if run else ()
    names = [label, *(f"{label} ({Path(*parts[-count:])})" for count in range(1, len(parts) + 1))]
    again = (f"{names[-1]}, {number}" for number in count_from(2))
    return next(name for name in chain(names, again) if name not in used)


def _open_posed_clips(data: Path) -> ClipSource:
    """The clips of a data set that have true cameras, of which there must be one."""
    dataset = clips_with_truth(open_dataset(data))
    if dataset.skipped:
        print_progress(f"{len(dataset)} clips are measured, {len(dataset.skipped)} are left out (results.md says why)")
    return dataset


def _announced_peers(seed: int) -> dict[str, PoseEstimator]:
    """The installed peers; prints a line for each one that is missing."""
    for sentence in missing_peers():
        print_progress(sentence)
    return installed_peers(seed)
