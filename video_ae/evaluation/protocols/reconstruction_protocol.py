"""The reconstruction protocol: a method takes a whole clip apart and puts its own frames together again.

These frames were seen by the method, so this says what its code keeps, not what it knows of new views. Where true depth
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
from video_ae.evaluation.protocols.view_protocol import VIEW_METRICS, PictureMetric, mean_scores
from video_ae.evaluation.results import EvaluationResult, collect
from video_ae.evaluation.true_depth import TrueDepth, load_true_depth
from video_ae.types import Cameras, RenderedViews, VideoClip


@dataclass(frozen=True)
class RebuiltScene:
    """What a method made of a clip: the camera of every frame, in a world and scale of its own, and how the place looks
    from cameras of that world (no batch axis; the result has a batch of one, at the frames' own size)."""

    cameras: Cameras
    render: Callable[[Cameras], RenderedViews]


_SEEN = 0.6  # opacity of a ray below which nobody has seen what is there: no depth, which counts as an error of 1
SceneBuilder = Callable[[VideoClip], RebuiltScene]


def _wall(clip: VideoClip, picture: Float[Tensor, "3 height width"]) -> RebuiltScene:
    """The same picture from everywhere, equally far in every pixel."""

    def render(cameras: Cameras) -> RenderedViews:
        frames = picture.expand(1, len(cameras), *picture.shape)
        return RenderedViews(frames, torch.ones_like(frames[:, :, 0]), torch.ones_like(frames[:, :, 0]))

    still = Cameras(torch.eye(4).repeat(len(clip), 1, 1), torch.full((len(clip), 4), 0.5))
    return RebuiltScene(still, render)


RECONSTRUCTION_BASELINES: dict[str, SceneBuilder] = {
    "mean frame": lambda clip: _wall(clip, clip.frames.mean(0)),
    # Oddly numbered, so that it is never compared with itself (`EVERY` is even).
    "middle frame": lambda clip: _wall(clip, clip.frames[len(clip) // 2 | 1]),
}


def evaluate_reconstruction(
    dataset: ClipSource,
    root: Path,
    builder: SceneBuilder,
    method: str = "perspective",
    others: Mapping[str, SceneBuilder] = RECONSTRUCTION_BASELINES,
    known_focal: bool = False,
    metrics: Mapping[str, PictureMetric] = VIEW_METRICS,
    missing: Mapping[str, str] | None = None,
    on_frame: Callable[[str, str, int, VideoClip, Prediction], object] | None = None,
    progress: Callable[[str], object] | None = None,
) -> EvaluationResult:
    """Rebuilds every clip and compares every fourth frame, seen from where the method says that it was taken.

    root: where the data set lies; true depth is read from its folder `depth`. on_frame: called with the method's and
    the clip's name, the frame's position, the clip and what was rendered. missing: as in `evaluate_views`.
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
    return collect("reconstruction", method, settings, rows, frozen=find_frozen(dataset.names))


def _row(
    build: SceneBuilder,
    clip: VideoClip,
    seen: VideoClip,
    truth: TrueDepth | None,
    metrics: Mapping[str, PictureMetric],
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
        grey = torch.full_like(clip.frames[:1], 0.5)[None]
        views = [RenderedViews(grey, torch.zeros_like(grey[:, :, 0]), torch.zeros_like(grey[:, :, 0]))] * len(chosen)
    row |= {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    pictures = [view.frames[0, 0].cpu().nan_to_num(0.5).clamp(0, 1) for view in views]
    disparities = [view.disparity[0, 0].cpu() for view in views]
    for frame, picture, disparity in zip(chosen, pictures, disparities, strict=True):
        if keep is not None:
            keep(frame, clip, Prediction(picture, disparity if disparity.any() else None))
    row |= mean_scores(list(zip(pictures, clip.frames[chosen], strict=True)), metrics)
    return row | _depth(views, chosen, truth)


def _depth(views: list[RenderedViews], frames: list[int], truth: TrueDepth | None) -> dict[str, Any]:
    """Mean over the frames of their depth errors, each after a median scaling of its own."""
    if truth is None:
        return {}
    errors = []
    for view, frame in zip(views, frames, strict=True):
        true = truth.depth[frame]
        maps = torch.stack([view.disparity[0, 0], view.opacity[0, 0]]).cpu()
        disparity, opacity = interpolate(rearrange(maps, "map h w -> 1 map h w"), true.shape, mode="area")[0]
        depth = torch.where(opacity > _SEEN, opacity / disparity.clamp_min(1e-6), torch.nan)
        errors.append(depth_error(depth, true))
    known = [error for error in errors if error is not None]
    if not known:
        return {"depth_abs_rel": None, "depth_within_25_percent": None}
    return {
        "depth_abs_rel": statistics.fmean(error.absolute_relative for error in known),
        "depth_within_25_percent": statistics.fmean(error.within_25_percent for error in known),
    }
