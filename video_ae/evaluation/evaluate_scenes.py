"""The commands `video-ae evaluate reconstruction`, `transfer` and `paper`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from video_ae.datasets.open import open_dataset
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.evaluation import options as commands
from video_ae.evaluation.methods import pose_estimator, scene_builder
from video_ae.evaluation.protocols.published_protocol import FAULTS, FRAMES, VideoModel, evaluate_published
from video_ae.evaluation.protocols.reconstruction_protocol import RECONSTRUCTION_BASELINES
from video_ae.evaluation.protocols.reconstruction_protocol import evaluate_reconstruction as run_reconstruction
from video_ae.evaluation.protocols.transfer_protocol import evaluate_transfer as run_transfer
from video_ae.evaluation.report.summaries import FrameRecord
from video_ae.evaluation.results import EvaluationResult
from video_ae.formats.atomic import claim_folder
from video_ae.geometry.se3 import invert
from video_ae.models.base import DEFAULT_REFINE_STEPS
from video_ae.models.open import load_model
from video_ae.models.video_autoencoder.model import PaperVideoAutoencoder, predict_video
from video_ae.types import VideoClip


def evaluate_reconstruction(
    data: Path,
    out: Path,
    weights: Path | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    beside: Sequence[Path] = (),
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """Takes every clip of `data` apart and puts its frames together again; measures depth too where `data` has any.

    Writes results.json, results.md and report.html. Arguments and errors are those of `evaluate_poses`.
    """
    commands.check_refine(refine)
    dataset, place = commands.open_clips(data), choose_device(device)
    model = commands.load_able(weights, place, "reconstruct")
    others = commands.load_beside(beside, place, "reconstruct", refine, False)
    claim_folder(out, overwrite)
    torch.manual_seed(seed)
    metrics, missing = commands.view_metrics()
    record = FrameRecord(commands.label_of(model, refine, False))
    result = run_reconstruction(
        dataset, data, scene_builder(model, place, refine), record.method,
        {label: scene_builder(other, place, refine) for label, other in others.items()} | RECONSTRUCTION_BASELINES,
        metrics=metrics, missing=missing, on_frame=record, progress=commands.say,
    )  # fmt: skip
    return commands.finish(result, out, seed, record, weights=str(weights or "shipped"), refine=refine)


def evaluate_transfer(
    data: Path,
    out: Path,
    weights: Path | None = None,
    refine: int = 0,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """Drives each clip of `data` along the camera path found in another, and measures whether its picture moves as it
    should (see `protocols.transfer`); needs true depth. Arguments and errors are those of `evaluate_poses`.
    """
    commands.check_refine(refine)
    dataset, place = commands.open_clips(data), choose_device(device)
    model = commands.load_able(weights, place, "reconstruct")
    claim_folder(out, overwrite)
    torch.manual_seed(seed)
    result = run_transfer(
        dataset, data, pose_estimator(model, place, refine), scene_builder(model, place, refine),
        commands.label_of(model, refine, False), progress=commands.say,
    )  # fmt: skip
    return commands.finish(result, out, seed, weights=str(weights or "shipped"), refine=refine)


def evaluate_paper(
    data: Path,
    out: Path,
    weights: Path,
    frames: int = FRAMES,
    faults: Sequence[str] = tuple(FAULTS),
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """The 2021 paper's own protocol (see `protocols.published`) with a model of its kind: put right, with each of the
    original's `faults`, and as published. Trajectory errors need true cameras, pictures need none.

    Writes results.json and results.md. Raises UserError for the weights of another model and for an unknown fault.
    """
    if frames < 2:
        raise UserError(f"{frames} frames are not enough to predict any: give at least 2.")
    dataset = open_dataset(data)
    place, model = choose_device(device), load_model(weights)
    if not isinstance(model, PaperVideoAutoencoder):
        raise UserError(f"The paper's protocol needs its own model, and {str(weights)!r} holds {type(model).__name__}.")
    model = model.to(place)
    claim_folder(out, overwrite)
    metrics, missing = commands.view_metrics()
    result = evaluate_published(
        dataset, _as_published(model, place), "paper", model.image_size, frames, faults, metrics, missing, commands.say
    )
    return commands.finish(result, out, 0, weights=str(weights))


def _as_published(model: PaperVideoAutoencoder, place: torch.device) -> VideoModel:
    def steps(frames: Tensor) -> Tensor:
        numbers = torch.arange(len(frames))
        found = model.find_cameras(VideoClip(frames, numbers, numbers.double()).to(place))
        poses = found.cameras.world_from_camera[0].double()
        return invert(poses[:-1]) @ poses[1:]

    return VideoModel(lambda frames: predict_video(model, frames.to(place)), steps)
