"""What the commands `video-ae evaluate ...` share: opening data, loading models, peers, and writing what was found."""

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
from video_ae.evaluation.protocols.base import Baseline, PoseEstimator, true_cameras
from video_ae.evaluation.protocols.view_protocol import VIEW_METRICS, PictureMetric
from video_ae.evaluation.report.html import write_report
from video_ae.evaluation.report.summaries import Record
from video_ae.evaluation.results import EvaluationResult, write_results
from video_ae.models.base import Autoencoder
from video_ae.models.open import load_model

Focal = Literal["found", "true"]


def open_clips(data: Path) -> ClipSource:
    """The clips of a folder; raises UserError where they have no true cameras."""
    dataset = open_dataset(data)
    true_cameras(dataset.load(0, indices=[0]))
    return dataset


def load_able(weights: Path | None, device: torch.device, ability: str) -> Autoencoder:
    """A model that can do what an evaluation asks for (the name of one of its methods), else a UserError."""
    model = load_model(weights).to(device)
    if not hasattr(model, ability):
        raise UserError(f"The model {type(model).__name__} has no cameras, so this evaluation does not apply to it.")
    return model


def check_refine(refine: int) -> None:
    """Raises UserError for a negative number of steps."""
    if refine < 0:
        raise UserError(f"{refine} refinement steps are not possible: give 0 or more.")


def load_beside(
    runs: Sequence[Path], device: torch.device, ability: str, refine: int, known_focal: bool
) -> dict[str, Autoencoder]:
    """The models that stand in the same table, by label; two of a kind are told apart by their folders."""
    models: dict[str, Autoencoder] = {}
    for run in runs:
        model = load_able(run, device, ability)
        label = label_of(model, refine, known_focal)
        models[f"{label} ({run.name})" if label in models else label] = model
    return models


def label_of(model: Autoencoder, refine: int, known_focal: bool) -> str:
    """What a model and its column are called: `perspective, refined, true focal`."""
    name = type(model).__name__.removesuffix("Autoencoder").removesuffix("Video").lower()
    if not model.refines:
        return name
    return f"{name}, {'refined' if refine else 'feed-forward'}" + (", true focal" if known_focal else "")


def peers(seed: int) -> dict[str, Baseline[PoseEstimator]]:
    """The installed peers; says which are missing."""
    for sentence in missing_peers():
        say(sentence)
    return installed_peers(seed)


def view_metrics(perceptual: bool = True) -> tuple[dict[str, PictureMetric], dict[str, str]]:
    """The metrics that can be computed here, and why the others cannot; without `perceptual` only the quick ones."""
    if not perceptual:
        return dict(VIEW_METRICS), {}
    found, missing = perceptual_metrics()
    return VIEW_METRICS | found, missing


def finish(
    result: EvaluationResult, out: Path, seed: int, record: Record | None = None, **settings: object
) -> EvaluationResult:
    """Writes results.json and results.md, report.html where a record was kept, and prints the tables."""
    result = result.with_settings(**settings)
    if record is not None:
        result = replace(result, diagnostics=record.diagnostics)
    content = write_results(result, out, seed=seed)
    if record is not None:
        write_report(content, out, record)
    Console().print(Markdown((out / "results.md").read_text(encoding="utf-8")))
    return result


def say(text: str) -> None:
    """A line of progress."""
    Console(stderr=True).print(f"  {text}", highlight=False)
