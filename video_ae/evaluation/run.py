"""The commands `video-ae evaluate poses` and `video-ae evaluate views`."""

from pathlib import Path

import torch
from rich.console import Console
from rich.markdown import Markdown

from video_ae.checkpoints import load_model
from video_ae.datasets.open import open_dataset
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.evaluation.protocols.base import PoseEstimate, true_cameras
from video_ae.evaluation.protocols.poses import evaluate_poses as run_poses
from video_ae.evaluation.protocols.views import ViewsSettings
from video_ae.evaluation.protocols.views import evaluate_views as run_views
from video_ae.evaluation.results import EvaluationResult, pose_writer, prediction_writer, write_results
from video_ae.export.cameras_json import write_cameras_json
from video_ae.files import claim_folder
from video_ae.models.base import DEFAULT_REFINE_STEPS, Autoencoder
from video_ae.types import Cameras, VideoClip


def evaluate_poses(
    data: Path,
    out: Path,
    weights: Path | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """Measures camera poses on all clips of `data` and writes results.json, results.md and poses/<clip>.json.

    weights: a RUN folder or file; None: the package's own. refine: steps of refinement on each clip; 0: feed-forward.
    Raises UserError for data without true cameras, unusable weights and folders that cannot be written.
    """
    model, dataset = _prepare(data, out, weights, refine, device, overwrite, "find_cameras")

    def estimate(clip: VideoClip) -> PoseEstimate:
        found = model.find_cameras(clip.to(choose_device(device)), refine_steps=refine)
        cameras = Cameras(found.cameras.world_from_camera[0], found.cameras.intrinsics[0])
        return PoseEstimate(cameras, found.confidence[0])

    result = run_poses(
        dataset, estimate, _label(model, refine), on_estimate=pose_writer(out, write_cameras_json), progress=_say
    )
    return _finish(result, out, weights, refine)


def evaluate_views(
    data: Path,
    out: Path,
    weights: Path | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    gaps: list[int] | tuple[int, ...] = (2, 4),
    save_frames: bool = False,
    device: str = "auto",
    overwrite: bool = False,
) -> EvaluationResult:
    """Measures held-out frames (contexts i and i + 2g, target i + g) on all clips of `data`, at the frames' own size.

    Writes results.json, results.md and, with `save_frames`, predictions/gap<g>/<clip>/<target timestamp>.png. The
    other arguments and errors are those of `evaluate_poses`.
    """
    if any(gap < 1 for gap in gaps):
        raise UserError(f"The gaps {list(gaps)} are not possible: give whole numbers of at least 1.")
    model, dataset = _prepare(data, out, weights, refine, device, overwrite, "synthesize")
    place = choose_device(device)

    def synthesize(contexts: VideoClip, target: VideoClip) -> torch.Tensor:
        return model.synthesize(contexts.to(place), target.to(place), refine_steps=refine)

    result = run_views(
        dataset, synthesize, _label(model, refine), ViewsSettings(tuple(gaps)),
        on_view=prediction_writer(out) if save_frames else None, progress=_say,
    )  # fmt: skip
    return _finish(result, out, weights, refine)


def _prepare(data: Path, out: Path, weights: Path | None, refine: int, device: str, overwrite: bool, ability: str):
    if refine < 0:
        raise UserError(f"{refine} refinement steps are not possible: give 0 or more.")
    dataset = open_dataset(data)
    model = load_model(weights).to(choose_device(device))
    if not hasattr(model, ability):
        raise UserError(f"The model {type(model).__name__} has no cameras, so this evaluation does not apply to it.")
    true_cameras(dataset.load(0, indices=[0]))
    claim_folder(out, overwrite)
    return model, dataset


def _label(model: Autoencoder, refine: int) -> str:
    name = type(model).__name__.removesuffix("Autoencoder").lower()
    return f"{name}, {'refined' if refine else 'feed-forward'}"


def _finish(result: EvaluationResult, out: Path, weights: Path | None, refine: int) -> EvaluationResult:
    result = result.with_settings(weights=str(weights or "shipped"), refine=refine)
    write_results(result, out)
    Console().print(Markdown((out / "results.md").read_text(encoding="utf-8")))
    return result


def _say(name: str) -> None:
    Console(stderr=True).print(f"  {name}", highlight=False)
