"""What the camera files of this folder are written from and read into."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from video_ae.geometry.se3 import relative_to_first
from video_ae.types import Cameras, VideoClip


@dataclass(frozen=True)
class CameraTrajectory:
    """The cameras of a clip, as files hold them: float64, the first frame's camera is the world.

    indices: each frame's number in its source.
    times: seconds; NaN where the source has none.
    confidence: 0 to 1.
    image_size: (width, height) of the source in pixels.
    """

    cameras: Cameras
    indices: Int[Tensor, "frame"]
    times: Float64[Tensor, "frame"]
    confidence: Float64[Tensor, "frame"]
    image_size: tuple[int, int]


def track_of(
    cameras: Cameras,
    clip: VideoClip,
    confidence: Float[Tensor, "frame"] | None = None,
    image_size: tuple[int, int] | None = None,
) -> CameraTrajectory:
    """The cameras found for a clip (neither has a batch axis). Without confidence, all frames get 1.

    `image_size` is the source's, where the clip was shrunk. The clip has one focal length: its first frame's.
    """
    intrinsics = cameras.intrinsics[:1].detach().cpu().double().expand(len(cameras), 4)
    certain = torch.ones(len(cameras)) if confidence is None else confidence
    return CameraTrajectory(
        cameras=Cameras(relative_to_first(cameras.world_from_camera.detach().cpu().double()), intrinsics),
        indices=clip.indices.cpu(),
        times=clip.times.cpu().double(),
        confidence=certain.detach().cpu().double().clamp(0, 1),
        image_size=image_size or clip.image_size,
    )
