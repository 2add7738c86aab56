"""The reconstruction protocol: a method encodes a whole clip and renders the clip's own frames from its code.

The method has seen these frames, so this says what its code keeps, not what it knows of new views. Where true depth
exists, the rendered depth is measured too.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from video_ae.datasets.base import ClipSource
from video_ae.evaluation.metrics.depth import depth_error
from video_ae.evaluation.metrics.images import IMAGE_METRICS, ImageMetrics
from video_ae.evaluation.protocols.base import FrameObserver, prediction_of
from video_ae.evaluation.protocols.frozen_frames import EVERY, find_frozen
from video_ae.evaluation.protocols.running import Notify, Row, attempt, named_clips, without_truth
from video_ae.evaluation.protocols.with_truth import clips_with_truth
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.evaluation.true_depth import TrueDepth, load_true_depth
from video_ae.types import Cameras, RenderedViews, VideoClip


@dataclass(frozen=True)
class RenderableScene:
    """A method's reconstruction of a clip.

    Args:
        cameras: of every frame, in a world and scale of the method's own.
        render: views from cameras of that world, at the size of the clip's frames.
    """

    cameras: Cameras
    render: Callable[[Cameras], RenderedViews]


SceneBuilder = Callable[[VideoClip], RenderableScene]


def _flat(rgb: Float[Tensor, "view 3 height width"], value: float) -> RenderedViews:
    """Views whose disparity and opacity are the same in every pixel."""
    values = torch.full_like(rgb[:, 0], value)
    return RenderedViews(rgb, values, values)


def _wall(clip: VideoClip, image: Float[Tensor, "3 height width"]) -> RenderableScene:
    """The same image from every camera, equally far in every pixel."""
    still = Cameras(torch.eye(4).repeat(len(clip), 1, 1), torch.full((len(clip), 4), 0.5))
    return RenderableScene(still, lambda cameras: _flat(image.expand(len(cameras), *image.shape), 1.0))


RECONSTRUCTION_BASELINES: dict[str, SceneBuilder] = {
    "mean frame": lambda clip: _wall(clip, clip.frames.mean(0)),
    # Oddly numbered, so that it is never compared with itself (`EVERY` is even).
    "middle frame": lambda clip: _wall(clip, clip.frames[len(clip) // 2 | 1]),
}


def run_reconstruction_protocol(
    dataset: ClipSource,
    root: Path,
    methods: Mapping[str, SceneBuilder],
    metrics: ImageMetrics = IMAGE_METRICS,
    observers: Sequence[FrameObserver] = (),
    progress: Notify = None,
) -> EvaluationResult:
    """Reconstructs every clip and compares every fourth frame with its rendering from the camera that the method found.

    Args:
        dataset: with true cameras.
        root: its folder; true depth is read from the folder `depth` in it.
        methods: by name; the first is the one that is evaluated. The baselines come besides.
        metrics: that are computed.
        observers: each is called with the method's and the clip's name, the frame's position, the clip and the
            rendering (`FrameRecord` keeps what a report needs).
        progress: called with a clip's name before it runs.

    Raises:
        UserError: the data set has no true cameras.
    """
    dataset = clips_with_truth(dataset)
    every = {**methods, **RECONSTRUCTION_BASELINES}
    rows: dict[str, dict[str, Row]] = {label: {} for label in every}
    steps: set[float] = set()
    for name, clip in named_clips(dataset, progress):
        truth = load_true_depth(root, name)
        steps |= {truth.step} if truth else set()
        chosen = list(range(0, len(clip), EVERY))
        for label, build in every.items():
            tried = attempt(_render, build, without_truth(clip, False), chosen)
            views = tried.answer or [_flat(torch.full_like(clip.frames[:1], 0.5), 0.0)] * len(chosen)
            found = [prediction_of(view.to("cpu")) for view in views]
            scores = [metrics.score(one.image, clip.frames[frame]) for one, frame in zip(found, chosen, strict=True)]
            row = {"frames": len(chosen)} | tried.failure | tried.cost | metrics.means(scores)
            rows[label][name] = row | _depth(views, chosen, truth)
            for frame, one in zip(chosen, found, strict=True):
                for observe in observers:
                    observe(label, name, frame, clip, one)
    settings: dict[str, Any] = {"every": EVERY, "known_focal": False, "quarantined": dataset.skipped}
    settings |= {"missing": dict(metrics.missing)} if metrics.missing else {}
    settings |= {"step_of_the_true_depth": sorted(steps)} if steps else {}
    return collect_result("reconstruction", settings, rows, frozen=find_frozen(dataset.names))


def _render(build: SceneBuilder, clip: VideoClip, frames: list[int]) -> list[RenderedViews]:
    scene = build(clip)
    return [scene.render(scene.cameras.select([frame])) for frame in frames]


def _depth(views: list[RenderedViews], frames: list[int], truth: TrueDepth | None) -> Row:
    """Mean over the frames of their depth errors, each after a median scaling of its own.

    A ray that met too little has no depth, which counts as an error of 1.
    """
    if truth is None:
        return {}
    errors = []
    for view, frame in zip(views, frames, strict=True):
        true = truth.depth[frame]
        maps = torch.stack([view.disparity[0], view.opacity[0]]).cpu()
        disparity, opacity = interpolate(rearrange(maps, "map h w -> 1 map h w"), true.shape, mode="area")[0]
        depth = torch.where(opacity > RenderedViews.LEAST_OPACITY, opacity / disparity.clamp_min(1e-6), torch.nan)
        errors.append(depth_error(depth, true))
    known = [(error.absolute_relative, error.within_25_percent) for error in errors if error is not None]
    means = map(statistics.fmean, zip(*known, strict=True)) if known else (None, None)
    return dict(zip(("depth_abs_rel", "depth_within_25_percent"), means, strict=True))
