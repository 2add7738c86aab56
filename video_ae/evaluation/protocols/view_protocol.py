"""The view protocol: a method sees two frames and predicts the one in their middle, or one frame and a later one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

import torch

from video_ae.datasets.base import ClipSource
from video_ae.evaluation.baselines import VIEW_BASELINES, VIEW_BOUNDS
from video_ae.evaluation.metrics.images import IMAGE_METRICS, ImageMetrics
from video_ae.evaluation.protocols.base import Prediction, ViewObserver, ViewSynthesizer
from video_ae.evaluation.protocols.frozen_frames import find_frozen, views_of_clip
from video_ae.evaluation.protocols.running import Notify, Row, attempt, named_clips, without_truth
from video_ae.evaluation.protocols.with_truth import clips_with_truth
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


def _checked(found: Prediction | None, target: VideoClip) -> Prediction:
    """The prediction in [0, 1], grey where it is not finite or the method failed."""
    wanted = target.frames.shape[-3:]
    found = found or Prediction(torch.full(wanted, 0.5))
    image = found.image.detach().to("cpu", torch.float32)
    assert image.shape == wanted, f"a prediction has shape {tuple(image.shape)}, its target {tuple(wanted)}"
    return replace(found, image=image.nan_to_num(0.5, 0.5, 0.5).clamp(0, 1))


def _row(tries: list[Row], scores: list[dict[str, float]], metrics: ImageMetrics) -> Row:
    """The numbers of one method on one clip at one gap, from the failure and cost of each try."""
    failures = [{"failure": tried["failure"]} for tried in tries if "failure" in tried]
    row = metrics.means(scores) | {"views": len(scores)}
    row |= {"failed": len(failures)} | failures[0] if failures else {}
    row |= metrics.reasons(scores, "the clip is too short for this gap")
    return row | {"seconds": sum(tried["seconds"] for tried in tries)}


def run_view_protocol(
    dataset: ClipSource,
    methods: Mapping[str, ViewSynthesizer],
    settings: ViewsSettings = ViewsSettings(),
    metrics: ImageMetrics = IMAGE_METRICS,
    observers: Sequence[ViewObserver] = (),
    progress: Notify = None,
) -> EvaluationResult:
    """Runs methods, the baselines and the bounds on every view of a data set, at the frames' own size.

    Args:
        dataset: with true cameras.
        methods: by name; the first is the one that is evaluated.
        settings: which views are predicted.
        metrics: that are computed.
        observers: each is called for every method's prediction with the method's and the clip's name, the gap, the
            clip, the view and the prediction (`results.prediction_writer` writes files, `ViewRecord` keeps what a
            report needs).
        progress: called with a clip's name before it runs.

    Raises:
        UserError: the data set has no true cameras.
    """
    dataset = clips_with_truth(dataset)
    every = {**methods, **VIEW_BASELINES, **VIEW_BOUNDS}
    frozen, sources = find_frozen(dataset.names), set()
    rows: dict[str, dict[str, dict]] = {label: {} for label in every}
    for name, clip in named_clips(dataset, progress):
        for gap in settings.gaps:
            views, source = views_of_clip(name, len(clip), gap, frozen, settings.kind)
            sources.add(source)
            tries: dict[str, list[Row]] = {label: [] for label in every}
            scores: dict[str, list[dict[str, float]]] = {label: [] for label in every}
            for view, (label, run) in product(views, every.items()):
                full = clip.select(list(view.contexts)), clip.select([view.target])
                tried = attempt(run, *(full if label in VIEW_BOUNDS else _seen(*full, settings)))
                prediction = _checked(tried.answer, full[1])
                tries[label].append(tried.failure | tried.cost)
                scores[label].append(metrics.score(prediction.image, full[1].frames[0]))
                for observe in observers:
                    observe(label, name, gap, clip, view, prediction)
            for label in every:
                rows[label].setdefault(name, {})[str(gap)] = _row(tries[label], scores[label], metrics)
    described = asdict(settings) | {"indices": sorted(sources), "quarantined": dataset.skipped}
    return collect_result("views", described, rows, VIEW_BOUNDS, frozen)


def _seen(contexts: VideoClip, target: VideoClip, settings: ViewsSettings) -> tuple[VideoClip, VideoClip]:
    if not settings.show_target:
        target = replace(target, frames=torch.zeros_like(target.frames))
    return without_truth(contexts, settings.known_focal), without_truth(target, settings.known_focal)
