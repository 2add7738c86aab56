"""A model as the protocols see it: a `PoseEstimator`, a `ViewSynthesizer` or a `SceneBuilder`.

The true focal length is used where the clip carries intrinsics, which it does only where the evaluation gives them.
"""

from functools import partial

import torch

from video_ae.evaluation.protocols.base import PoseEstimate, PoseEstimator, Prediction, ViewSynthesizer
from video_ae.evaluation.protocols.reconstruction_protocol import RenderableScene, SceneBuilder
from video_ae.models.base import VideoModel
from video_ae.types import RenderedViews, VideoClip


def known_focal(clip: VideoClip) -> float | None:
    """fx / width where the clip carries intrinsics (mean over its frames), else None.

    Args:
        clip: as a protocol hands it to a method.
    """
    return None if clip.cameras is None else clip.cameras.intrinsics[:, 0].mean().item()


def pose_estimator(model: VideoModel, device: torch.device, refine: int) -> PoseEstimator:
    """`model.find_cameras` on whole clips; estimates lie on the CPU.

    Args:
        model: on the device.
        device: where the clips are moved.
        refine: rounds of test-time refinement; 0 is feed-forward.
    """

    def estimate(clip: VideoClip) -> PoseEstimate:
        found = model.find_cameras(clip.to(device), known_focal(clip), refine).to("cpu")
        return PoseEstimate(
            found.cameras, found.confidence, covariance=found.covariance, inverse_depth=found.inverse_depth
        )

    return estimate


def view_synthesizer(model: VideoModel, device: torch.device, refine: int) -> ViewSynthesizer:
    """`model.synthesize`: the target's pixels reach the camera encoder, never the structure.

    Args:
        model, device, refine: as in `pose_estimator`.
    """

    def synthesize(contexts: VideoClip, target: VideoClip) -> Prediction:
        return prediction_from(model.synthesize(contexts.to(device), target.to(device), known_focal(contexts), refine))

    return synthesize


def hidden_view_synthesizer(model: VideoModel, device: torch.device, refine: int) -> ViewSynthesizer:
    """`model.synthesize_between`: of the target the model gets the frame number alone.

    Args:
        model, device, refine: as in `pose_estimator`.
    """

    def synthesize(contexts: VideoClip, target: VideoClip) -> Prediction:
        index = float(target.indices[0])
        return prediction_from(model.synthesize_between(contexts.to(device), index, known_focal(contexts), refine))

    return synthesize


def scene_builder(model: VideoModel, device: torch.device, refine: int) -> SceneBuilder:
    """`model.encode_scene` on whole clips, and `model.render` of the scene.

    Args:
        model, device, refine: as in `pose_estimator`.
    """

    def build(clip: VideoClip) -> RenderableScene:
        scene = model.encode_scene(clip.to(device), known_focal(clip), refine)
        return RenderableScene(scene.cameras, partial(model.render, scene))

    return build


def prediction_from(views: RenderedViews) -> Prediction:
    """The first view's image, clamped, with its disparity; none for models whose disparity is zero everywhere.

    Args:
        views: at least one, without batch axis.
    """
    disparity = views.disparity[0]
    return Prediction(views.rgb[0].clamp(0, 1), disparity if disparity.any() else None)
