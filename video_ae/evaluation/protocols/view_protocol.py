"""The view protocol: a method sees two frames and predicts the one in their middle, or one frame and a later one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch

from video_ae.datasets.base import ClipSource
from video_ae.evaluation.baselines import VIEW_BASELINES
from video_ae.evaluation.metrics.images import IMAGE_METRICS, ImageMetrics
from video_ae.evaluation.protocols.base import ComparedMethod, Prediction, ViewObserver, ViewSynthesizer
from video_ae.evaluation.protocols.frozen_frames import View, find_frozen, views_of_clip
from video_ae.evaluation.protocols.running import Attempt, attempt, named_clips, true_cameras, without_truth
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.types import VideoClip


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


def _checked(found: Prediction | None, target: VideoClip) -> Prediction:
    """The prediction in [0, 1], grey where it is not finite or the method failed."""
    wanted = target.frames.shape[-3:]
    found = found or Prediction(torch.full(wanted, 0.5))
    image = found.image.detach().to("cpu", torch.float32)
    assert image.shape == wanted, f"a prediction has shape {tuple(image.shape)}, its target {tuple(wanted)}"
    return replace(found, image=image.nan_to_num(0.5, 0.5, 0.5).clamp(0, 1))


def _row(tries: list[Attempt[Prediction]], scores: list[dict[str, float]], metrics: ImageMetrics) -> dict[str, Any]:
    """The numbers of one method on one clip at one gap."""
    failures = [tried.failure for tried in tries if tried.failure]
    row = metrics.means(scores) | {"views": len(scores)}
    row |= {"failed": len(failures)} | failures[0] if failures else {}
    row |= metrics.reasons(scores, "the clip is too short for this gap")
    return row | {"seconds": sum(tried.cost["seconds"] for tried in tries)}


def _evaluate_clip(
    name: str,
    gap: int,
    clip: VideoClip,
    views: list[View],
    methods: Mapping[str, ComparedMethod[ViewSynthesizer]],
    settings: ViewsSettings,
    metrics: ImageMetrics,
    observers: Sequence[ViewObserver],
) -> dict[str, dict[str, Any]]:
    """The rows of all methods on one clip at one gap."""
    tries: dict[str, list[Attempt[Prediction]]] = {label: [] for label in methods}
    scores: dict[str, list[dict[str, float]]] = {label: [] for label in methods}
    for view in views:
        full = clip.select(list(view.contexts)), clip.select([view.target])
        seen = _seen(clip, view, settings)
        for label, method in methods.items():
            tried = attempt(partial(method.run, *(full if method.sees_truth else seen)))
            prediction = _checked(tried.answer, full[1])
            tries[label].append(replace(tried, answer=None))
            scores[label].append(metrics.score(prediction.image, full[1].frames[0]))
            for observe in observers:
                observe(label, name, gap, clip, view, prediction)
    return {label: _row(tries[label], scores[label], metrics) for label in methods}


def run_view_protocol(
    dataset: ClipSource,
    synthesizer: ViewSynthesizer,
    method: str = "perspective",
    settings: ViewsSettings = ViewsSettings(),
    others: Mapping[str, ComparedMethod[ViewSynthesizer]] = VIEW_BASELINES,
    metrics: ImageMetrics = IMAGE_METRICS,
    observers: Sequence[ViewObserver] = (),
    progress: Callable[[str], object] | None = None,
) -> EvaluationResult:
    """Runs a method and others beside it on every view of a data set, at the frames' own size.

    Args:
        dataset: with true cameras.
        synthesizer: the method.
        method: its name.
        settings: which views are predicted.
        others: the methods beside it, by name.
        metrics: that are computed.
        observers: each is called for every method's prediction with the method's and the clip's name, the gap, the
            clip, the view and the prediction (`results.prediction_writer` writes files, `ViewRecord` keeps what a
            report needs).
        progress: called with a clip's name before it runs.

    Raises:
        UserError: the data set has no true cameras.
    """
    methods = {method: ComparedMethod(synthesizer), **others}
    frozen, sources = find_frozen(dataset.names), set()
    rows: dict[str, dict[str, dict]] = {label: {} for label in methods}
    for name, clip in named_clips(dataset, progress):
        true_cameras(clip)
        for gap in settings.gaps:
            views, source = views_of_clip(name, len(clip), gap, frozen, settings.kind)
            sources.add(source)
            found = _evaluate_clip(name, gap, clip, views, methods, settings, metrics, observers)
            for label, row in found.items():
                rows[label].setdefault(name, {})[str(gap)] = row
    described = asdict(settings) | {"indices": sorted(sources), "quarantined": dataset.skipped}
    sees_truth = {label for label, other in others.items() if other.sees_truth}
    return collect_result("views", method, described, rows, sees_truth, frozen)
