"""The view protocol: a method sees two frames and predicts the one in their middle, or one frame and a later one."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.baselines import VIEW_BASELINES
from video_ae.evaluation.metrics.images import ms_ssim, psnr, ssim
from video_ae.evaluation.protocols.base import (
    ComparedMethod,
    Prediction,
    ViewSynthesizer,
    frame_stems,
    true_cameras,
    without_truth,
)
from video_ae.evaluation.protocols.frozen_frames import View, find_frozen, views_of_clip
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.types import VideoClip

ImageMetric = Callable[[Tensor, Tensor], Tensor]
VIEW_METRICS: dict[str, ImageMetric] = {"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}


def mean_scores(pairs: Sequence[tuple[Tensor, Tensor]], metrics: Mapping[str, ImageMetric]) -> dict[str, float]:
    """The mean of each metric over pairs of images; pair by pair, since metrics share features.

    Args:
        pairs: of a prediction and its truth, each [3, height, width], RGB in [0, 1].
        metrics: by name.
    """
    scores = [
        {name: metric(image[None], truth[None]).item() for name, metric in metrics.items()} for image, truth in pairs
    ]
    return {name: statistics.fmean(score[name] for score in scores) for name in metrics}


@dataclass(frozen=True)
class ViewsSettings:
    """Which views are predicted, and what the method is given.

    Args:
        gaps: frames between the target and each context.
        kind: "middle" (two contexts) or "onward" (one, the target `gap` frames later).
        known_focal: whether the method is given the true intrinsics.
        show_target: whether the method may look at the target to find its camera; otherwise it is handed a black frame
            and has to infer the camera.
    """

    gaps: tuple[int, ...] = (2, 4, 8)
    kind: str = "middle"
    known_focal: bool = False
    show_target: bool = True


def _seen(clip: VideoClip, view: View, settings: ViewsSettings) -> tuple[VideoClip, VideoClip]:
    contexts = without_truth(clip.select(list(view.contexts)), settings.known_focal)
    target = without_truth(clip.select([view.target]), settings.known_focal)
    if not settings.show_target:
        target = replace(target, frames=torch.zeros_like(target.frames))
    return contexts, target


def _predict(run: ViewSynthesizer, contexts: VideoClip, target: VideoClip) -> tuple[Prediction, str | None]:
    """The prediction in [0, 1], grey where it is not finite; and why the method failed, if it did."""
    wanted, failure = target.frames.shape[-3:], None
    try:
        prediction = run(contexts, target)
    except (UserError, torch.linalg.LinAlgError) as error:
        prediction, failure = Prediction(torch.full(wanted, 0.5)), str(error)
    image = prediction.image.detach().to("cpu", torch.float32)
    assert image.shape == wanted, f"a prediction has shape {tuple(image.shape)}, its target {tuple(wanted)}"
    return replace(prediction, image=image.nan_to_num(0.5, 0.5, 0.5).clamp(0, 1)), failure


class _GapScores:
    """The scores of one method on one clip at one gap."""

    def __init__(self) -> None:
        self.scores: dict[str, list[float]] = defaultdict(list)
        self.failures: list[str] = []
        self.seconds = 0.0

    def add(self, image: Tensor, truth: Tensor, metrics: Mapping[str, ImageMetric]) -> None:
        for name, metric in metrics.items():
            self.scores[name].append(metric(image[None], truth[None]).item())

    def row(self, metrics: Mapping[str, ImageMetric]) -> dict[str, Any]:
        views = len(next(iter(self.scores.values()), []))
        row: dict[str, Any] = {name: statistics.fmean(self.scores[name]) if views else None for name in metrics}
        row["views"] = views
        if self.failures:
            row |= {"failed": len(self.failures), "failure": self.failures[0]}
        return row if views else row | {"reasons": dict.fromkeys(metrics, "the clip is too short for this gap")}


def _evaluate_clip(
    clip: VideoClip,
    views: list[View],
    methods: Mapping[str, ComparedMethod[ViewSynthesizer]],
    settings: ViewsSettings,
    metrics: Mapping[str, ImageMetric],
    on_view: Callable[[str, View, Prediction], object],
) -> dict[str, dict[str, Any]]:
    """The rows of all methods on one clip at one gap."""
    gaps = {label: _GapScores() for label in methods}
    for view in views:
        full = clip.select(list(view.contexts)), clip.select([view.target])
        seen = _seen(clip, view, settings)
        for label, method in methods.items():
            start = time.perf_counter()
            prediction, failure = _predict(method.run, *(full if method.sees_truth else seen))
            gaps[label].seconds += time.perf_counter() - start
            gaps[label].failures += [failure] if failure else []
            gaps[label].add(prediction.image, full[1].frames[0], metrics)
            on_view(label, view, prediction)
    return {label: gap.row(metrics) | {"seconds": gap.seconds} for label, gap in gaps.items()}


def _with_missing(row: dict[str, Any], missing: Mapping[str, str]) -> dict[str, Any]:
    """The row with None for the metrics that cannot be computed here, and why."""
    if not missing:
        return row
    return row | dict.fromkeys(missing) | {"reasons": row.get("reasons", {}) | dict(missing)}


def run_view_protocol(
    dataset: ClipSource,
    synthesizer: ViewSynthesizer,
    method: str = "perspective",
    settings: ViewsSettings = ViewsSettings(),
    others: Mapping[str, ComparedMethod[ViewSynthesizer]] = VIEW_BASELINES,
    metrics: Mapping[str, ImageMetric] = VIEW_METRICS,
    missing: Mapping[str, str] | None = None,
    on_view: Callable[[str, int, str, Tensor], object] | None = None,
    on_method: Callable[[str, str, int, VideoClip, View, Prediction], object] | None = None,
    progress: Callable[[str], object] | None = None,
) -> EvaluationResult:
    """Runs a method and others beside it on every view of a data set, at the frames' own size.

    Args:
        dataset: with true cameras.
        synthesizer: the method.
        method: its name.
        settings: which views are predicted.
        others: the methods beside it, by name.
        metrics: that are computed, by name.
        missing: metrics that cannot be computed here, and why; their numbers are null.
        on_view: called with the clip's name, the gap, the target's file stem and the method's image
            (`results.prediction_writer` writes files).
        on_method: called for every method's prediction with the method's and the clip's name, the gap, the clip, the
            view and the prediction (`ViewRecord` keeps what a report needs).
        progress: called with a clip's name before it runs.

    Raises:
        UserError: the data set has no true cameras.
    """
    methods = {method: ComparedMethod(synthesizer), **others}
    frozen, sources = find_frozen(dataset.names), set()
    rows: dict[str, dict[str, dict]] = {label: {} for label in methods}
    for i, name in enumerate(dataset.names):
        if progress:
            progress(name)
        clip = dataset.load(i)
        true_cameras(clip)
        stems = frame_stems(dataset, i, clip)
        for gap in settings.gaps:
            views, source = views_of_clip(name, len(clip), gap, frozen, settings.kind)
            sources.add(source)

            def keep(label: str, view: View, found: Prediction, key: tuple[str, int] = (name, gap)) -> None:
                if on_view and label == method:
                    on_view(*key, stems[view.target], found.image)  # noqa: B023 - called within this pass of the loop
                if on_method:
                    on_method(label, *key, clip, view, found)  # noqa: B023

            for label, row in _evaluate_clip(clip, views, methods, settings, metrics, keep).items():
                rows[label].setdefault(name, {})[str(gap)] = _with_missing(row, missing or {})
    described = asdict(settings) | {"indices": sorted(sources), "quarantined": dataset.skipped}
    sees_truth = {label for label, other in others.items() if other.sees_truth}
    return collect_result("views", method, described, rows, sees_truth, frozen)
