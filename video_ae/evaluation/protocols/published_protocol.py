"""The protocol of the 2021 paper, as published and with its faults corrected.

Lai, Liu, Efros and Wang 2021, "Video Autoencoder", section 4 and its code: the first 30 frames of a video are predicted
from the first one, which is encoded again from the method's own prediction every twelve frames, while the camera
encoder sees every target ("target-aware").
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.baselines import straight_line
from video_ae.evaluation.metrics.images import IMAGE_METRICS, ImageMetrics
from video_ae.evaluation.metrics.pose_errors import absolute_trajectory_error, pair_errors, pairs_apart
from video_ae.evaluation.protocols.base import PoseEstimator
from video_ae.evaluation.protocols.frozen_frames import find_frozen
from video_ae.evaluation.protocols.running import Attempt, Notify, Row, attempt, named_clips, without_truth
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.geometry.se3 import invert
from video_ae.models.video_autoencoder.model import REENCODE_EVERY, compose_motions
from video_ae.types import Cameras, VideoClip
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

FRAMES = 30
DROPPED_VIDEOS = 20

FAULTS = {
    "first frame counted": "frame 0, which is copied, counts in the means of the images' scores",
    "read back from H.264": "images are compared after they were written to a compressed video and read back",
    "poses inverted": "the true camera_from_world matrices are taken for world_from_camera",
    "composed from both sides": "rotations of a path are composed from the left, translations from the right",
    "first 20 videos dropped": "the first twenty videos are left out, by accident",
}
"""What was wrong with the published evaluation, by the name of its column. Besides: rotation was never scored, and what
was called LPIPS is the cosine distance of VGG features (here `vgg_cosine`)."""


@dataclass(frozen=True)
class VideoPredictor:
    """What the protocol asks of a method.

    Args:
        predict: all frames of a video from its first one; the first is copied.
        estimate_poses: finds the cameras of all frames.
    """

    predict: Callable[[Float[Tensor, "frame 3 height width"]], Float[Tensor, "frame 3 height width"]]
    estimate_poses: PoseEstimator


COPYING = VideoPredictor(lambda frames: frames[:1].expand_as(frames), straight_line)


def run_published_protocol(
    dataset: ClipSource,
    model: VideoPredictor,
    method: str,
    size: tuple[int, int],
    frames: int = FRAMES,
    faults: Sequence[str] = tuple(FAULTS),
    metrics: ImageMetrics = IMAGE_METRICS,
    progress: Notify = None,
) -> EvaluationResult:
    """Runs a method on the beginning of every clip and scores it corrected and with the faults of the original.

    The columns are the method without any fault, with each fault alone, with all of them, and a baseline: the first
    frame, repeated on a straight line. The result's protocol is "published". Videos without true cameras have no
    trajectory errors.

    Args:
        dataset: with or without true cameras.
        model: the method.
        method: its name.
        size: (width, height) to which the frames are resized.
        frames: of each clip, the first so many.
        faults: keys of `FAULTS`.
        metrics: that are computed.
        progress: called with a clip's name before it runs.

    Raises:
        UserError: a fault is unknown.
    """
    variants = _variants(method, faults)
    copied = "first frame on a straight line"
    rows: dict[str, dict[str, Row]] = {label: {} for label in (*variants, copied)}
    few = len(dataset) <= DROPPED_VIDEOS
    for i, (name, clip) in enumerate(named_clips(dataset, progress, frames, size)):
        run = attempt(_predicted, model, clip)
        for label, chosen in variants.items():
            dropped = "first 20 videos dropped" in chosen and i < DROPPED_VIDEOS and not few
            rows[label][name] = {"frames": 0} if dropped else _score(run, clip, chosen, metrics)
        rows[copied][name] = _score(attempt(_predicted, COPYING, clip), clip, (), metrics)
    settings: dict[str, Any] = {"frames": frames, "size": list(size), "reencode_every": REENCODE_EVERY}
    settings |= {"faults": {name: FAULTS[name] for name in faults}, "quarantined": dataset.skipped}
    settings |= {"note": f"with {len(dataset)} videos, none was dropped"} if few else {}
    return collect_result("published", settings, rows, frozen=find_frozen(dataset.names))


def _variants(method: str, faults: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if unknown := set(faults) - set(FAULTS):
        raise UserError(
            f"The 2021 protocol has no fault {sorted(unknown)[0]!r}: choose among {', '.join(FAULTS)}.",
            argument="faults",
        )
    single = {f"{method}, {name}": (name,) for name in faults}
    return {method: ()} | (single | {f"{method}, as published": tuple(faults)} if faults else {})


def _predicted(model: VideoPredictor, clip: VideoClip) -> tuple[Tensor, Tensor]:
    """A method's frames in [0, 1] and the motion of each one in the axes of the frame before it."""
    predicted = model.predict(clip.frames).detach().to("cpu", torch.float32)
    cameras = model.estimate_poses(without_truth(clip, False)).cameras
    poses = cameras.world_from_camera.detach().to("cpu", torch.float64)
    return predicted.nan_to_num(0.5, 0.5, 0.5).clamp(0, 1), invert(poses[:-1]) @ poses[1:]


def _score(run: Attempt[tuple[Tensor, Tensor]], clip: VideoClip, faults: tuple[str, ...], metrics: ImageMetrics) -> Row:
    first = 0 if "first frame counted" in faults else 1
    predicted, steps = run.answer or (torch.full_like(clip.frames, 0.5), None)
    true = clip.frames
    if "read back from H.264" in faults:
        predicted, true = _through_a_file(predicted), _through_a_file(true)
    scores = [metrics.score(*pair) for pair in zip(predicted[first:], true[first:], strict=True)]
    row = {"frames": len(scores), "seconds": run.cost["seconds"]} | run.failure | metrics.means(scores)
    return row | _trajectory(steps, clip.cameras, faults) | metrics.reasons(scores, "the clip has one frame")


def _trajectory(steps: Tensor | None, cameras: Cameras | None, faults: tuple[str, ...]) -> Row:
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
    pairs = pair_errors(found, true, pairs_apart(len(true), min(5, len(true) - 1)))
    return {
        "ate_mean": error.mean,
        "ate_rmse": error.rmse,
        "ate_max": error.maximum,
        "ate_rmse_over_extent": error.rmse_over_extent,
        "rotation_deg": pairs.mean_rotation,
    }


def _through_a_file(frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame 3 height width"]:
    """The frames after H.264, in which odd sides are even."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.mp4"
        write_video(path, frames)
        read = open_video(path, "pyav").read(range(len(frames)))
    return read[..., : frames.shape[-2], : frames.shape[-1]].float() / 255
