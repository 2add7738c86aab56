"""What an evaluation asks of a method: small protocols that any model can meet."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.datasets.realestate10k_clips import RealEstate10K
from video_ae.errors import UserError
from video_ae.types import Cameras, VideoClip

Method = TypeVar("Method", bound=Callable)


@dataclass(frozen=True)
class PoseEstimate:
    """Cameras that a method found for every frame of a clip, in a world and scale of its own.

    Args:
        cameras: of all frames.
        confidence: 0 to 1 per frame, if the method gives one.
        posed: which frames got a pose at all; None means all. The cameras of the others are ignored.
        covariance, inverse_depth: as in `CameraEstimate`, if the method gives them.
    """

    cameras: Cameras
    confidence: Float[Tensor, "frame"] | None = None
    posed: Bool[Tensor, "frame"] | None = None
    covariance: Float[Tensor, "frame 6 6"] | None = None
    inverse_depth: Float[Tensor, "frame rows columns"] | None = None


@runtime_checkable
class PoseEstimator(Protocol):
    """Finds a clip's cameras.

    The clip carries no true cameras, unless the evaluation gives the focal length away: then `clip.cameras` has the
    true intrinsics and identity poses. A `UserError` counts as a clip without a pose.
    """

    def __call__(self, clip: VideoClip) -> PoseEstimate: ...


@dataclass(frozen=True)
class Prediction:
    """A method's image of a target frame.

    Args:
        image: RGB in [0, 1].
        disparity: inverse depth in the method's scale, if it has any.
    """

    image: Float[Tensor, "3 height width"]
    disparity: Float[Tensor, "height width"] | None = None


@runtime_checkable
class ViewSynthesizer(Protocol):
    """Predicts the target frame from its contexts.

    The target is passed only so that its camera can be found; its pixels must not reach the image. A `UserError` counts
    as a grey image.
    """

    def __call__(self, contexts: VideoClip, target: VideoClip) -> Prediction: ...


@dataclass(frozen=True)
class ComparedMethod(Generic[Method]):
    """A method that has a column in the table.

    Args:
        run: the method.
        sees_truth: whether it reads the true cameras or the target. Then it is no real method but a bound, and tables
            mark it.
    """

    run: Method
    sees_truth: bool = False


def without_truth(clip: VideoClip, known_focal: bool) -> VideoClip:
    """The clip as a method may see it: without cameras, or with the true intrinsics and identity poses.

    Args:
        clip: with its true cameras, if it has any.
        known_focal: whether the true intrinsics are given away.
    """
    if clip.cameras is None or not known_focal:
        return replace(clip, cameras=None)
    intrinsics = clip.cameras.intrinsics
    poses = torch.eye(4, dtype=intrinsics.dtype).repeat(len(clip), 1, 1)
    return replace(clip, cameras=Cameras(poses, intrinsics))


def true_cameras(clip: VideoClip) -> Cameras:
    """The clip's true cameras, in float64.

    Args:
        clip: of a data set with cameras.

    Raises:
        UserError: its data set has none.
    """
    if clip.cameras is None:
        raise UserError(
            f"clip {clip.name!r} has no true cameras to compare with: give a data set with cameras, for example "
            "RealEstate10K's layout: cameras/<clip>.txt beside the frames (docs/data.md has them all)."
        )
    return clip.cameras.to(torch.float64)


def frame_stems(source: ClipSource, number: int, clip: VideoClip) -> list[str]:
    """The file names of a whole clip's frames: their timestamps if the source has any, else their indices.

    Args:
        source: where the clip comes from.
        number: of the clip in the source.
        clip: all its frames.
    """
    if isinstance(source, RealEstate10K):
        return source.timestamps(number)
    return [str(index) for index in clip.indices.tolist()]
