"""What an evaluation asks of a method: functions that any model can offer."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.evaluation.protocols.frozen_frames import View
from video_ae.types import Cameras, RenderedViews, VideoClip


@dataclass(frozen=True)
class PoseEstimate:
    """Cameras that a method found for every frame of a clip, in a world and scale of its own.

    Args:
        cameras: of all frames.
        confidence: 0 to 1 per frame, if the method gives one.
        posed: which frames got a pose at all; None means all. The cameras of the others are ignored.
        covariance, inverse_depth, static: as in `CameraEstimate`, if the method gives them.
    """

    cameras: Cameras
    confidence: Float[Tensor, "frame"] | None = None
    posed: Bool[Tensor, "frame"] | None = None
    covariance: Float[Tensor, "frame 6 6"] | None = None
    inverse_depth: Float[Tensor, "frame rows columns"] | None = None
    static: Float[Tensor, "frame rows2 columns2"] | None = None


PoseEstimator = Callable[[VideoClip], PoseEstimate]
"""Finds a clip's cameras.

The clip carries no true cameras, unless the evaluation gives the focal length away: then `clip.cameras` has the true
intrinsics and identity poses. A `UserError` counts as a clip without a pose.
"""


@dataclass(frozen=True)
class Prediction:
    """A method's image of a target frame.

    Args:
        image: RGB in [0, 1].
        disparity: inverse depth in the method's scale, if it has any.
    """

    image: Float[Tensor, "3 height width"]
    disparity: Float[Tensor, "height width"] | None = None


def prediction_of(views: RenderedViews) -> Prediction:
    """The first view: its image, grey where it is no number, and its disparity; none where that is zero everywhere.

    Args:
        views: of a model.
    """
    disparity = views.disparity[0]
    return Prediction(views.rgb[0].nan_to_num(0.5).clamp(0, 1), disparity if disparity.any() else None)


ViewSynthesizer = Callable[[VideoClip, VideoClip], Prediction]
"""Predicts the target frame, which comes second, from its contexts.

The target is passed only so that its camera can be found; its pixels must not reach the image. A `UserError` counts as
a grey image.
"""

PoseObserver = Callable[[str, str, VideoClip, Cameras, PoseEstimate], object]
ViewObserver = Callable[[str, str, int, VideoClip, View, Prediction], object]
FrameObserver = Callable[[str, str, int, VideoClip, Prediction], object]
