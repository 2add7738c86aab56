"""Evaluations of whole scenes: reconstruction, pose transfer, and the 2021 paper's own protocol."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.datasets.open import open_dataset
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.evaluation.metrics.lpips import image_metrics
from video_ae.evaluation.protocols.published_protocol import FAULTS, FRAMES, VideoPredictor, run_published_protocol
from video_ae.evaluation.protocols.reconstruction_protocol import RECONSTRUCTION_BASELINES, run_reconstruction_protocol
from video_ae.evaluation.protocols.transfer_protocol import run_transfer_protocol
from video_ae.evaluation.report.records import FrameRecord
from video_ae.evaluation.results import EvaluationResult
from video_ae.evaluation.shared_steps import finish, prepare, print_progress
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
    """Reconstructs every clip of a data set and compares its frames with their renderings; its depth too, where known.

    Writes results.json, results.md and report.html.

    Args:
        data, out, weights, refine, beside, seed, device, overwrite: as in `evaluate_poses`.

    Raises:
        UserError: as `evaluate_poses`.
    """
    setup = prepare(data, out, weights, refine, seed, device, overwrite, beside)
    columns = {label: other.build_scene for label, other in setup.others.items()} | RECONSTRUCTION_BASELINES
    record = FrameRecord(setup.label)
    result = run_reconstruction_protocol(
        setup.dataset, data, setup.method.build_scene, setup.label, columns,
        metrics=image_metrics(), observers=[record], progress=print_progress,
    )  # fmt: skip
    return finish(result, out, seed, record, **setup.settings)


def evaluate_transfer(
    data: Path,
    out: Path,
    weights: Path | None = None,
    refine: int = 0,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """Renders each clip along the camera path found in another, and measures whether its image moves as it should.

    See `video_ae.evaluation.protocols.transfer_protocol`. Writes results.json and results.md.

    Args:
        data: folder of a data set with true cameras and true depth.
        out, weights, refine, seed, device, overwrite: as in `evaluate_poses`.

    Raises:
        UserError: the data have no true depth, or as `evaluate_poses`.
    """
    setup = prepare(data, out, weights, refine, seed, device, overwrite)
    result = run_transfer_protocol(
        setup.dataset, data, setup.method.estimate_poses, setup.method.build_scene, setup.label,
        progress=print_progress,
    )  # fmt: skip
    return finish(result, out, seed, **setup.settings)


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
        out, device, overwrite: as in `evaluate_poses`.

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
    result = run_published_protocol(
        dataset, _paper_predictor(model, chosen_device), "paper", model.image_size, frames, faults, image_metrics(),
        print_progress,
    )  # fmt: skip
    return finish(result, out, 0, weights=str(weights))


def _paper_predictor(model: PaperVideoAutoencoder, device: torch.device) -> VideoPredictor:
    def steps(frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "step 4 4"]:
        numbers = torch.arange(len(frames))
        found = model.find_cameras(VideoClip(frames, numbers, numbers.double()).to(device))
        poses = found.cameras.world_from_camera.double()
        return invert(poses[:-1]) @ poses[1:]

    return VideoPredictor(lambda frames: predict_video(model, frames.to(device)), steps)
