"""Methods that learn nothing and have a column in every table."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.evaluation.metrics.images import psnr
from video_ae.evaluation.protocols.base import PoseEstimate, PoseEstimator, Prediction, ViewSynthesizer
from video_ae.evaluation.protocols.running import true_cameras
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.se3 import relative_to_first, rigid, so3_exp, so3_log
from video_ae.types import Cameras, VideoClip

FOCAL_GUESS = 1.2  # focal length over the longer side that COLMAP starts from


def focal_guess(clip: VideoClip) -> Float[Tensor, "frame 4"]:
    """The clip's intrinsics where it has any, else a focal length of `FOCAL_GUESS` longer sides.

    Args:
        clip: as a protocol hands it to a method.
    """
    if clip.cameras is not None:
        return clip.cameras.intrinsics
    width, height = clip.image_size
    guess = torch.tensor(FOCAL_GUESS * max(width, height) / width, dtype=torch.float64)
    return pinhole_intrinsics(guess, width, height).repeat(len(clip), 1)


def straight_line(clip: VideoClip) -> PoseEstimate:
    """Constant speed along the camera's forward axis, no rotation.

    Args:
        clip: its length and intrinsics count.
    """
    cameras = standing_still(clip).cameras
    cameras.world_from_camera[:, 2, 3] = torch.arange(len(clip))
    return PoseEstimate(cameras)


def standing_still(clip: VideoClip) -> PoseEstimate:
    """All cameras equal.

    Args:
        clip: its length and intrinsics count.
    """
    return PoseEstimate(Cameras(torch.eye(4, dtype=torch.float64).repeat(len(clip), 1, 1), focal_guess(clip).double()))


def index_regression(clip: VideoClip) -> PoseEstimate:
    """The true centres and the true axis-angles relative to the first frame, regressed linearly on the frame index.

    Reads the truth: it bounds what poses can reach that encode nothing but time.

    Args:
        clip: with its true cameras.
    """
    true = true_cameras(clip)
    relative = relative_to_first(true.world_from_camera)
    index = torch.arange(len(relative), dtype=torch.float64)
    rotations = so3_log(relative[:, :3, :3])
    velocity = (index[:, None] * rotations).sum(0) / index.square().sum().clamp_min(1)
    centred = index - index.mean()
    step = (centred[:, None] * relative[:, :3, 3]).sum(0) / centred.square().sum().clamp_min(1)
    centres = relative[:, :3, 3].mean(0) + centred[:, None] * step
    return PoseEstimate(Cameras(rigid(so3_exp(index[:, None] * velocity), centres), true.intrinsics))


def nearest_context(contexts: VideoClip, target: VideoClip) -> Prediction:
    """Copies the context nearest in frame number; the first of two equally near.

    Args:
        contexts: given frames.
        target: one frame; its number counts.
    """
    return Prediction(contexts.frames[(contexts.indices - target.indices).abs().argmin()])


def nearer_by_true_centre(contexts: VideoClip, target: VideoClip) -> Prediction:
    """Copies the context whose true camera centre is nearest to the target's. Reads the truth.

    Args:
        contexts: given frames with their true cameras.
        target: one frame with its true camera.
    """
    distance = (true_cameras(contexts).centers - true_cameras(target).centers).norm(dim=-1)
    return Prediction(contexts.frames[distance.argmin()])


def best_context(contexts: VideoClip, target: VideoClip) -> Prediction:
    """Copies the context with the highest PSNR. Reads the target's pixels.

    Args:
        contexts: given frames.
        target: one frame.
    """
    return Prediction(contexts.frames[psnr(contexts.frames, target.frames.expand_as(contexts.frames)).argmax()])


def blend(contexts: VideoClip, target: VideoClip) -> Prediction:
    """The pixel average of the contexts.

    Args:
        contexts: given frames.
        target: is not looked at.
    """
    return Prediction(contexts.frames.mean(0))


POSE_BASELINES: dict[str, PoseEstimator] = {"straight line": straight_line, "standing still": standing_still}
POSE_BOUNDS: dict[str, PoseEstimator] = {"index regression": index_regression}
"""They read the true cameras, so they are no methods but bounds, and tables mark them."""

VIEW_BASELINES: dict[str, ViewSynthesizer] = {"nearest context": nearest_context, "blend of contexts": blend}
VIEW_BOUNDS: dict[str, ViewSynthesizer] = {
    "nearer by true centre": nearer_by_true_centre,
    "better context": best_context,
}
"""They read the true cameras or the target."""
