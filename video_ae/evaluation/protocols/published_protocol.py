"""The protocol of the 2021 paper (Lai, Liu, Efros and Wang, "Video Autoencoder", section 4 and its code), and the same
with its faults put right: the first 30 frames of a video from its first one, which is encoded again from the method's
own prediction every twelve frames, while the camera encoder sees every target ("target-aware").
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.metrics.pose_errors import absolute_trajectory_error, pair_errors, pairs_apart
from video_ae.evaluation.protocols.frozen_frames import find_frozen
from video_ae.evaluation.protocols.view_protocol import VIEW_METRICS, PictureMetric, mean_scores
from video_ae.evaluation.results import EvaluationResult, collect
from video_ae.geometry.se3 import invert
from video_ae.models.video_autoencoder.model import REENCODE_EVERY, compose_motions
from video_ae.types import Cameras, VideoClip
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

FRAMES = 30
DROPPED_VIDEOS = 20

FAULTS = {
    "first frame counted": "frame 0, which is copied, stands in the means of the pictures' scores",
    "read back from H.264": "pictures are compared after they were written to a compressed video and read back",
    "poses inverted": "the true camera_from_world matrices are taken for world_from_camera",
    "composed from both sides": "rotations of a path are composed from the left, translations from the right",
    "first 20 videos dropped": "the first twenty videos are left out, by accident",
}
"""What was wrong with the published evaluation, by the name of its column. Besides: rotation was never scored, and what
was called LPIPS is the cosine distance of VGG features (here `vgg_cosine`)."""


@dataclass(frozen=True)
class VideoModel:
    """What the protocol asks of a method.

    predict: all frames of a video (no batch axis) from its first one; the first is copied. steps: the motion of each
    frame in the axes of the frame before it.
    """

    predict: Callable[[Float[Tensor, "frame 3 height width"]], Float[Tensor, "frame 3 height width"]]
    steps: Callable[[Float[Tensor, "frame 3 height width"]], Float[Tensor, "step 4 4"]]


def repeat_first(frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame 3 height width"]:
    """The first frame for ever."""
    return frames[:1].expand_as(frames)


def forward_steps(frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "step 4 4"]:
    """Constant speed along the camera's forward axis: the straight line."""
    steps = torch.eye(4).repeat(len(frames) - 1, 1, 1)
    steps[:, 2, 3] = 1
    return steps


COPYING = VideoModel(repeat_first, forward_steps)


def evaluate_published(
    dataset: ClipSource,
    model: VideoModel,
    method: str,
    size: tuple[int, int],
    frames: int = FRAMES,
    faults: Sequence[str] = tuple(FAULTS),
    metrics: Mapping[str, PictureMetric] = VIEW_METRICS,
    missing: Mapping[str, str] | None = None,
    progress: Callable[[str], object] | None = None,
) -> EvaluationResult:
    """Runs a method on the beginning of every clip, brought to `size` (width, height), and scores it without any
    fault, with each of `faults` alone, and with all of them; beside it the first frame, repeated on a straight line.

    The result's protocol is "published"; videos without true cameras have no trajectory errors. missing: metrics that
    cannot be computed here and why; their numbers are null. Raises UserError for an unknown fault.
    """
    variants = _variants(method, faults)
    copied = "first frame on a straight line"
    rows: dict[str, dict[str, dict[str, Any]]] = {label: {} for label in (*variants, copied)}
    few = len(dataset) <= DROPPED_VIDEOS
    for i, name in enumerate(dataset.names):
        if progress:
            progress(name)
        clip = dataset.load(i, indices=range(min(frames, dataset.frame_count(i))), size=size)
        ran = _run(model, clip)
        for label, chosen in variants.items():
            dropped = "first 20 videos dropped" in chosen and i < DROPPED_VIDEOS and not few
            rows[label][name] = _score(ran, clip, chosen, metrics, missing or {}) if not dropped else {"frames": 0}
        rows[copied][name] = _score(_run(COPYING, clip), clip, (), metrics, missing or {})
    settings: dict[str, Any] = {"frames": frames, "size": list(size), "reencode_every": REENCODE_EVERY}
    settings |= {"faults": {name: FAULTS[name] for name in faults}, "quarantined": dataset.skipped}
    settings |= {"note": f"with {len(dataset)} videos, none was dropped"} if few else {}
    return collect("published", method, settings, rows, frozen=find_frozen(dataset.names))


def _variants(method: str, faults: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if unknown := set(faults) - set(FAULTS):
        raise UserError(f"The 2021 protocol has no fault {sorted(unknown)[0]!r}: choose among {', '.join(FAULTS)}.")
    single = {f"{method}, {name}": (name,) for name in faults}
    return {method: ()} | (single | {f"{method}, as published": tuple(faults)} if faults else {})


@dataclass(frozen=True)
class _Ran:
    """predicted: in [0, 1], before any file. steps: None where the method failed, and `failure` says why."""

    predicted: Tensor
    steps: Tensor | None
    seconds: float
    failure: str | None = None


def _run(model: VideoModel, clip: VideoClip) -> _Ran:
    start = time.perf_counter()
    try:
        predicted = model.predict(clip.frames).detach().to("cpu", torch.float32)
        steps = model.steps(clip.frames).detach().to("cpu", torch.float64)
    except UserError as error:
        return _Ran(torch.full_like(clip.frames, 0.5), None, time.perf_counter() - start, str(error))
    return _Ran(predicted.nan_to_num(0.5, 0.5, 0.5).clamp(0, 1), steps, time.perf_counter() - start)


def _score(
    ran: _Ran,
    clip: VideoClip,
    faults: tuple[str, ...],
    metrics: Mapping[str, PictureMetric],
    missing: Mapping[str, str],
) -> dict[str, Any]:
    first = 0 if "first frame counted" in faults else 1
    predicted, true = ran.predicted, clip.frames
    if "read back from H.264" in faults:
        predicted, true = _through_a_file(predicted), _through_a_file(true)
    pairs = list(zip(predicted[first:], true[first:], strict=True))
    row: dict[str, Any] = {"frames": len(pairs), "seconds": ran.seconds}
    row |= {"failure": ran.failure} if ran.failure else {}
    reasons = dict(missing)
    if pairs:
        row |= mean_scores(pairs, metrics)
    else:
        row |= dict.fromkeys(metrics)
        reasons |= dict.fromkeys(metrics, "the clip has one frame")
    row |= dict.fromkeys(missing) | _trajectory(ran.steps, clip.cameras, faults)
    return row | ({"reasons": reasons} if reasons else {})


def _trajectory(steps: Tensor | None, cameras: Cameras | None, faults: tuple[str, ...]) -> dict[str, Any]:
    """ATE after Sim(3) in the truth's unit, as published, and over the extent; rotation of pairs five frames apart."""
    if cameras is None or len(cameras) < 2:
        return {}
    true = cameras.world_from_camera.double()
    if "poses inverted" in faults:
        true = invert(true)
    found = torch.eye(4, dtype=torch.float64).repeat(len(true), 1, 1)
    if steps is not None:
        found = compose_motions(steps, "composed from both sides" in faults)
    error = absolute_trajectory_error(found[:, :3, 3], true[:, :3, 3])
    assert error is not None, "a path of two frames has an error"
    turned = pair_errors(found, true, pairs_apart(len(true), min(5, len(true) - 1)))
    return {
        "ate_mean": error.mean,
        "ate_rmse": error.rmse,
        "ate_max": error.maximum,
        "ate_rmse_over_extent": error.rmse_over_extent,
        "rotation_deg": turned.mean_rotation,
    }


def _through_a_file(frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame 3 height width"]:
    """The frames after H.264, in which odd sides are even."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.mp4"
        write_video(path, frames)
        read = open_video(path, "pyav").read(range(len(frames)))
    return read[..., : frames.shape[-2], : frames.shape[-1]].float() / 255
