"""The steps that all evaluations share: opening data, loading models, collecting peers and metrics, writing results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.markdown import Markdown

from video_ae.datasets.base import ClipSource
from video_ae.datasets.open import open_dataset
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.evaluation.methods import ModelMethods
from video_ae.evaluation.protocols.running import true_cameras
from video_ae.evaluation.report.html_report import write_report
from video_ae.evaluation.report.records import Record
from video_ae.evaluation.results import EvaluationResult, write_results
from video_ae.formats.atomic import claim_folder
from video_ae.models.open import load_video_model

Focal = Literal["found", "true"]


@dataclass(frozen=True)
class Setup:
    """What an evaluation of a model starts from.

    Args:
        dataset: its clips have true cameras.
        method: the model.
        label: heading of the model's column.
        others: further models for the same table, by label.
        settings: what the results shall say about the models.
    """

    dataset: ClipSource
    method: ModelMethods
    label: str
    others: dict[str, ModelMethods]
    settings: Mapping[str, Any]


def prepare(
    data: Path,
    out: Path,
    weights: Path | None,
    refine: int,
    seed: int,
    device: str,
    overwrite: bool,
    beside: Sequence[Path] = (),
    known_focal: bool = False,
) -> Setup:
    """Opens the data, loads the models, claims the folder of the results and seeds the random numbers.

    Args:
        data, out, weights, refine, seed, device, overwrite: as in `evaluate_poses`.
        beside: weights of further models; two of a kind are distinguished by their folders' names.
        known_focal: whether the models are given the true focal length.

    Raises:
        UserError: as in `evaluate_poses`.
    """
    if refine < 0:
        raise UserError(f"{refine} refinement steps are not possible: give 0 or more.", argument="refine")
    dataset, chosen = open_posed_clips(data), choose_device(device)
    method = ModelMethods(load_video_model(weights, chosen), chosen, refine)
    others: dict[str, ModelMethods] = {}
    for run in beside:
        other = replace(method, model=load_video_model(run, chosen))
        label = other.label(known_focal)
        others[f"{label} ({run.name})" if label in others else label] = other
    claim_folder(out, overwrite)
    torch.manual_seed(seed)
    settings: dict[str, Any] = {"weights": str(weights or "shipped")}
    settings |= {"beside": [str(run) for run in beside]} if beside else {}
    return Setup(dataset, method, method.label(known_focal), others, settings | {"refine": refine})


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
    diagnostics = record.diagnostics if record else {}
    result = replace(result, settings=result.settings | settings, diagnostics=diagnostics)
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
