"""The camera trajectory of a clip: what camera files are written from and read into."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from video_ae.geometry.se3 import relative_to_first
from video_ae.types import Cameras, VideoClip


@dataclass(frozen=True)
class CameraTrajectory:
    """The cameras of a clip, as files store them: float64, the first frame's camera is the world.

    Args:
        cameras: one a frame, without batch axis.
        indices: each frame's number in its source.
        times: seconds from the source's start; NaN where it has none.
        confidence: 0 to 1.
        image_size: (width, height) of the source in pixels.
        readout: of a rolling shutter, as in `CameraEstimate`.
        start: the clock's time at the source's start in seconds, where that is known; else 0.
    """

    cameras: Cameras
    indices: Int[Tensor, "frame"]
    times: Float64[Tensor, "frame"]
    confidence: Float64[Tensor, "frame"]
    image_size: tuple[int, int]
    readout: float = 0.0
    start: float = 0.0


def trajectory_of(
    cameras: Cameras,
    clip: VideoClip,
    confidence: Float[Tensor, "frame"] | None = None,
    image_size: tuple[int, int] | None = None,
) -> CameraTrajectory:
    """The trajectory of the cameras that were found for a clip.

    Args:
        cameras: one a frame, without batch axis.
        clip: without batch axis; gives frame numbers and times.
        confidence: clamped to 0 .. 1; 1 for all frames by default.
        image_size: (width, height) of the source in pixels, where the clip was shrunk; the clip's own by default.
    """
    intrinsics = cameras.intrinsics.detach().cpu().double()
    certain = torch.ones(len(cameras)) if confidence is None else confidence
    return CameraTrajectory(
        cameras=Cameras(relative_to_first(cameras.world_from_camera.detach().cpu().double()), intrinsics),
        indices=clip.indices.cpu(),
        times=clip.times.cpu().double(),
        confidence=certain.detach().cpu().double().clamp(0, 1),
        image_size=image_size or clip.image_size,
    )
