"""The steps that all evaluations share: opening data, loading models, collecting peers and metrics, writing results."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.markdown import Markdown

from video_ae.datasets.base import ClipSource
from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.evaluation.metrics.lpips import perceptual_metrics
from video_ae.evaluation.peers.installed import installed_peers, missing_peers
from video_ae.evaluation.protocols.base import ComparedMethod, PoseEstimator, true_cameras
from video_ae.evaluation.protocols.view_protocol import VIEW_METRICS, ImageMetric
from video_ae.evaluation.report.html_report import write_report
from video_ae.evaluation.report.records import Record
from video_ae.evaluation.results import EvaluationResult, write_results
from video_ae.models.base import VideoModel
from video_ae.models.open import load_model

Focal = Literal["found", "true"]


def open_posed_clips(data: Path) -> ClipSource:
    """The clips of a data set with true cameras.

    Args:
        data: its folder.

    Raises:
        UserError: it is no data set, or has no true cameras.
    """
    dataset = open_dataset(data)
    true_cameras(dataset.load(0, indices=[0]))
    return dataset


def load_video_model(weights: Path | None, device: torch.device) -> VideoModel:
    """A model that finds cameras and renders.

    Args:
        weights: a RUN folder or file; None takes the package's own.
        device: where it is moved.

    Raises:
        UserError: the weights cannot be read, or are those of a model without cameras.
    """
    model = load_model(weights).to(device)
    if not isinstance(model, VideoModel):
        raise UserError(f"The model {type(model).__name__} has no cameras, so this evaluation does not apply to it.")
    return model


def check_refine(refine: int) -> None:
    """Refuses a negative number of refinement rounds.

    Args:
        refine: rounds of test-time refinement.

    Raises:
        UserError: it is negative.
    """
    if refine < 0:
        raise UserError(f"{refine} refinement steps are not possible: give 0 or more.", argument="refine")


def load_models_beside(
    runs: Sequence[Path], device: torch.device, refine: int, known_focal: bool
) -> dict[str, VideoModel]:
    """Further models for the same table, by label; two of a kind are distinguished by their folders' names.

    Args:
        runs: RUN folders or files of weights.
        device: where they are moved.
        refine, known_focal: as in `label_of`.

    Raises:
        UserError: as in `load_video_model`.
    """
    models: dict[str, VideoModel] = {}
    for run in runs:
        model = load_video_model(run, device)
        label = label_of(model, refine, known_focal)
        models[f"{label} ({run.name})" if label in models else label] = model
    return models


def label_of(model: VideoModel, refine: int, known_focal: bool) -> str:
    """The heading of a model's column: `perspective, refined, true focal`.

    Args:
        model: its class gives the name.
        refine: rounds of test-time refinement; 0 is feed-forward.
        known_focal: whether it is given the true focal length.
    """
    name = type(model).__name__.removesuffix("Autoencoder").removesuffix("Video").lower()
    if not model.refines:
        return name
    return f"{name}, {'refined' if refine else 'feed-forward'}" + (", true focal" if known_focal else "")


def announce_peers(seed: int) -> dict[str, ComparedMethod[PoseEstimator]]:
    """The installed peers; prints a line for each one that is missing.

    Args:
        seed: of the peers' random numbers.
    """
    for sentence in missing_peers():
        print_progress(sentence)
    return installed_peers(seed)


def view_metrics(perceptual: bool = True) -> tuple[dict[str, ImageMetric], dict[str, str]]:
    """The image metrics that can be computed here, and why the others cannot.

    Args:
        perceptual: whether LPIPS and the VGG cosine are wanted, which are slow.
    """
    if not perceptual:
        return dict(VIEW_METRICS), {}
    found, missing = perceptual_metrics()
    return VIEW_METRICS | found, missing


def finish(
    result: EvaluationResult, out: Path, seed: int, record: Record | None = None, **settings: object
) -> EvaluationResult:
    """Writes results.json and results.md, report.html where a record was kept, and prints the tables.

    Args:
        result: of a protocol.
        out: folder of the files.
        seed: that was used.
        record: of the same run.
        **settings: what else the results shall say about the run.

    Returns:
        The result with these settings and the record's diagnostics.
    """
    result = result.with_settings(**settings)
    if record is not None:
        result = replace(result, diagnostics=record.diagnostics)
    content = write_results(result, out, seed=seed)
    if record is not None:
        write_report(content, out, record)
    Console().print(Markdown((out / "results.md").read_text(encoding="utf-8")))
    return result


def print_progress(text: str) -> None:
    """Prints a line of progress to standard error.

    Args:
        text: one line.
    """
    Console(stderr=True).print(f"  {text}", highlight=False)
