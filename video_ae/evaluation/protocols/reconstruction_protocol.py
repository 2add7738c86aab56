"""The reconstruction protocol: a method encodes a whole clip and renders the clip's own frames from its code.

The method has seen these frames, so this says what its code keeps, not what it knows of new views. Where true depth
exists, the rendered depth is measured too.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.metrics.depth import depth_error
from video_ae.evaluation.protocols.base import Prediction, true_cameras, without_truth
from video_ae.evaluation.protocols.frozen_frames import EVERY, find_frozen
from video_ae.evaluation.protocols.view_protocol import VIEW_METRICS, ImageMetric, mean_scores
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


def _wall(clip: VideoClip, image: Float[Tensor, "3 height width"]) -> RenderableScene:
    """The same image from every camera, equally far in every pixel."""

    def render(cameras: Cameras) -> RenderedViews:
        rgb = image.expand(len(cameras), *image.shape)
        return RenderedViews(rgb, torch.ones_like(rgb[:, 0]), torch.ones_like(rgb[:, 0]))

    still = Cameras(torch.eye(4).repeat(len(clip), 1, 1), torch.full((len(clip), 4), 0.5))
    return RenderableScene(still, render)


RECONSTRUCTION_BASELINES: dict[str, SceneBuilder] = {
    "mean frame": lambda clip: _wall(clip, clip.frames.mean(0)),
    # Oddly numbered, so that it is never compared with itself (`EVERY` is even).
    "middle frame": lambda clip: _wall(clip, clip.frames[len(clip) // 2 | 1]),
}


def run_reconstruction_protocol(
    dataset: ClipSource,
    root: Path,
    builder: SceneBuilder,
    method: str = "perspective",
    others: Mapping[str, SceneBuilder] = RECONSTRUCTION_BASELINES,
    known_focal: bool = False,
    metrics: Mapping[str, ImageMetric] = VIEW_METRICS,
    missing: Mapping[str, str] | None = None,
    on_frame: Callable[[str, str, int, VideoClip, Prediction], object] | None = None,
    progress: Callable[[str], object] | None = None,
) -> EvaluationResult:
    """Reconstructs every clip and compares every fourth frame with its rendering from the camera that the method found.

    Args:
        dataset: with true cameras.
        root: its folder; true depth is read from the folder `depth` in it.
        builder: the method.
        method: its name.
        others: the methods beside it, by name.
        known_focal: whether the methods are given the true intrinsics.
        metrics: that are computed, by name.
        missing: metrics that cannot be computed here, and why; their numbers are null.
        on_frame: called with the method's and the clip's name, the frame's position, the clip and the rendering
            (`FrameRecord` keeps what a report needs).
        progress: called with a clip's name before it runs.

    Raises:
        UserError: the data set has no true cameras.
    """
    methods = {method: builder, **others}
    rows: dict[str, dict[str, dict]] = {label: {} for label in methods}
    steps: set[float] = set()
    for i, name in enumerate(dataset.names):
        if progress:
            progress(name)
        clip = dataset.load(i)
        true_cameras(clip)
        truth = load_true_depth(root, name)
        steps |= {truth.step} if truth else set()
        for label, build in methods.items():
            keep = partial(on_frame, label, name) if on_frame else None
            row = _row(build, clip, without_truth(clip, known_focal), truth, metrics, keep)
            rows[label][name] = row | dict.fromkeys(missing or {})
    settings: dict[str, Any] = {"every": EVERY, "known_focal": known_focal, "quarantined": dataset.skipped}
    settings |= {"missing": dict(missing)} if missing else {}
    settings |= {"step_of_the_true_depth": sorted(steps)} if steps else {}
    return collect_result("reconstruction", method, settings, rows, frozen=find_frozen(dataset.names))


def _row(
    build: SceneBuilder,
    clip: VideoClip,
    seen: VideoClip,
    truth: TrueDepth | None,
    metrics: Mapping[str, ImageMetric],
    keep: Callable[[int, VideoClip, Prediction], object] | None,
) -> dict[str, Any]:
    start, cpu = time.perf_counter(), time.process_time()
    chosen = list(range(0, len(clip), EVERY))
    row: dict[str, Any] = {"frames": len(chosen)}
    try:
        scene = build(seen)
        views = [scene.render(scene.cameras.select([frame])) for frame in chosen]
    except (UserError, torch.linalg.LinAlgError) as error:
        row["failure"] = str(error)
        grey = torch.full_like(clip.frames[:1], 0.5)
        views = [RenderedViews(grey, torch.zeros_like(grey[:, 0]), torch.zeros_like(grey[:, 0]))] * len(chosen)
    row |= {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    images = [view.rgb[0].cpu().nan_to_num(0.5).clamp(0, 1) for view in views]
    disparities = [view.disparity[0].cpu() for view in views]
    for frame, image, disparity in zip(chosen, images, disparities, strict=True):
        if keep is not None:
            keep(frame, clip, Prediction(image, disparity if disparity.any() else None))
    row |= mean_scores(list(zip(images, clip.frames[chosen], strict=True)), metrics)
    return row | _depth(views, chosen, truth)


def _depth(views: list[RenderedViews], frames: list[int], truth: TrueDepth | None) -> dict[str, Any]:
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
    known = [error for error in errors if error is not None]
    if not known:
        return {"depth_abs_rel": None, "depth_within_25_percent": None}
    return {
        "depth_abs_rel": statistics.fmean(error.absolute_relative for error in known),
        "depth_within_25_percent": statistics.fmean(error.within_25_percent for error in known),
    }
