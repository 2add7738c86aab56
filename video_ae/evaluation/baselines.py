"""Methods that learn nothing and stand in every table."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.evaluation.metrics.images import psnr
from video_ae.evaluation.protocols.base import Baseline, PoseEstimate, PoseEstimator, Prediction, ViewSynthesizer
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.se3 import invert, rigid, so3_exp, so3_log
from video_ae.types import Cameras, VideoClip

FOCAL_GUESS = 1.2  # focal length over the longer side that COLMAP starts from


def focal_guess(clip: VideoClip) -> Float[Tensor, "frame 4"]:
    """The clip's intrinsics where it has any, else a focal length of `FOCAL_GUESS` longer sides."""
    if clip.cameras is not None:
        return clip.cameras.intrinsics
    width, height = clip.image_size
    guess = torch.tensor(FOCAL_GUESS * max(width, height) / width, dtype=torch.float64)
    return pinhole_intrinsics(guess, width, height).repeat(len(clip), 1)


def straight_line(clip: VideoClip) -> PoseEstimate:
    """Constant speed along the camera's forward axis, no turning."""
    poses = torch.eye(4, dtype=torch.float64).repeat(len(clip), 1, 1)
    poses[:, 2, 3] = torch.arange(len(clip))
    return PoseEstimate(Cameras(poses, focal_guess(clip).double()))


def standing_still(clip: VideoClip) -> PoseEstimate:
    """All cameras equal."""
    return PoseEstimate(Cameras(torch.eye(4, dtype=torch.float64).repeat(len(clip), 1, 1), focal_guess(clip).double()))


def index_regression(clip: VideoClip) -> PoseEstimate:
    """The true centres and the true axis-angles relative to the first frame, regressed linearly on the frame index.

    Reads the truth: it bounds what poses can reach that encode nothing but time.
    """
    assert clip.cameras is not None, "index_regression needs the true cameras"
    poses = clip.cameras.world_from_camera.double()
    index = torch.arange(len(poses), dtype=torch.float64)
    relative = invert(poses[:1]) @ poses
    turns = so3_log(relative[:, :3, :3])
    velocity = (index[:, None] * turns).sum(0) / index.square().sum().clamp_min(1)
    centred = index - index.mean()
    step = (centred[:, None] * relative[:, :3, 3]).sum(0) / centred.square().sum().clamp_min(1)
    centres = relative[:, :3, 3].mean(0) + centred[:, None] * step
    return PoseEstimate(Cameras(rigid(so3_exp(index[:, None] * velocity), centres), clip.cameras.intrinsics.double()))


def nearest_context(contexts: VideoClip, target: VideoClip) -> Prediction:
    """Copies the context nearest in frame number; the first of two equally near."""
    return Prediction(contexts.frames[(contexts.indices - target.indices).abs().argmin()])


def nearer_by_true_centre(contexts: VideoClip, target: VideoClip) -> Prediction:
    """Copies the context whose true camera centre is nearer to the target's. Reads the truth."""
    assert contexts.cameras is not None, "nearer_by_true_centre needs the true cameras"
    assert target.cameras is not None, "nearer_by_true_centre needs the true cameras"
    centres = contexts.cameras.world_from_camera[:, :3, 3]
    away = (centres - target.cameras.world_from_camera[:, :3, 3]).norm(dim=-1)
    return Prediction(contexts.frames[away.argmin()])


def best_context(contexts: VideoClip, target: VideoClip) -> Prediction:
    """Copies the context with the higher PSNR. Reads the target's pixels."""
    return Prediction(contexts.frames[psnr(contexts.frames, target.frames.expand_as(contexts.frames)).argmax()])


def blend(contexts: VideoClip, target: VideoClip) -> Prediction:
    """The pixel average of the contexts."""
    return Prediction(contexts.frames.mean(0))


POSE_BASELINES: dict[str, Baseline[PoseEstimator]] = {
    "straight line": Baseline(straight_line),
    "standing still": Baseline(standing_still),
    "index regression": Baseline(index_regression, sees_truth=True),
}
VIEW_BASELINES: dict[str, Baseline[ViewSynthesizer]] = {
    "nearest context": Baseline(nearest_context),
    "blend of contexts": Baseline(blend),
    "nearer by true centre": Baseline(nearer_by_true_centre, sees_truth=True),
    "better context": Baseline(best_context, sees_truth=True),
}
