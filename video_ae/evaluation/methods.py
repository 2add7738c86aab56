"""An autoencoder as the protocols see it: a `PoseEstimator`, a `ViewSynthesizer`, and one that never sees the target.

Models are those with `find_cameras`, `synthesize`, or `reconstruct` and `render` (see `video_ae.models.perspective`).
The true focal length is used where the clip carries intrinsics, which it does only where the evaluation gives them.
"""

from dataclasses import replace
from typing import Any

import torch

from video_ae.errors import UserError
from video_ae.evaluation.protocols.base import PoseEstimate, PoseEstimator, Prediction, ViewSynthesizer
from video_ae.evaluation.protocols.reconstruction_protocol import RebuiltScene, SceneBuilder
from video_ae.geometry.trajectories import interpolate
from video_ae.models.perspective import PerspectiveAutoencoder, Split, resize_short_side
from video_ae.types import CameraEstimate, Cameras, RenderedViews, VideoClip


def known_focal(clip: VideoClip) -> float | None:
    """fx / width where the clip carries intrinsics (mean over its frames)."""
    return None if clip.cameras is None else clip.cameras.intrinsics[:, 0].mean().item()


def without_batch(estimate: CameraEstimate) -> PoseEstimate:
    """The first clip of a model's estimate, on the CPU."""
    cameras = Cameras(estimate.cameras.world_from_camera[0], estimate.cameras.intrinsics[0]).to("cpu")
    return PoseEstimate(
        cameras,
        estimate.confidence[0].cpu(),
        covariance=estimate.covariance[0].cpu(),
        inverse_depth=estimate.inverse_depth[0].cpu(),
    )


def pose_estimator(model: Any, device: torch.device, refine: int) -> PoseEstimator:
    """`model.find_cameras` on whole clips."""

    def estimate(clip: VideoClip) -> PoseEstimate:
        return without_batch(model.find_cameras(clip.to(device), known_focal(clip), refine))

    return estimate


def view_synthesizer(model: Any, device: torch.device, refine: int) -> ViewSynthesizer:
    """`model.synthesize`: the target's pixels reach the camera encoder."""

    def synthesize(contexts: VideoClip, target: VideoClip) -> Prediction:
        views = model.synthesize(contexts.to(device), target.to(device), known_focal(contexts), refine)
        return first_view(views)

    return synthesize


def unseen_view_synthesizer(model: Any, device: torch.device, refine: int) -> ViewSynthesizer:
    """The target's camera is interpolated between the contexts' by its frame number: nothing of the model sees it."""

    @torch.no_grad()
    def synthesize(contexts: VideoClip, target: VideoClip) -> Prediction:
        clip, focal = contexts.to(device), known_focal(contexts)
        if isinstance(model, PerspectiveAutoencoder):
            estimate = model.find_cameras(clip, focal, refine)
            camera = camera_between(estimate, contexts, target)
            return _render_between(model, clip, estimate, camera)
        scene = model.reconstruct(clip, focal, refine)
        camera = camera_between(scene.camera, contexts, target)
        return first_view(model.render(scene, camera, contexts.image_size))

    return synthesize


def scene_builder(model: Any, device: torch.device, refine: int) -> SceneBuilder:
    """`model.reconstruct` on whole clips, and `model.render` of what it found."""

    def build(clip: VideoClip) -> RebuiltScene:
        scene = model.reconstruct(clip.to(device), known_focal(clip), refine)
        found = scene.camera.cameras
        cameras = Cameras(found.world_from_camera[0], found.intrinsics[0])
        return RebuiltScene(cameras, lambda asked: model.render(scene, asked, clip.image_size))

    return build


def first_view(views: RenderedViews) -> Prediction:
    """The picture, clamped, and its disparity; models without one leave it zero everywhere."""
    disparity = views.disparity[0, 0]
    return Prediction(views.frames[0, 0].clamp(0, 1), disparity if disparity.any() else None)


def camera_between(estimate: CameraEstimate, contexts: VideoClip, target: VideoClip) -> Cameras:
    """The camera (one frame, no batch axis) at the target's frame number, on the straight path between the contexts'.

    Raises UserError for a target that does not lie between two contexts.
    """
    given, wanted = contexts.indices.double().cpu(), target.indices.double().cpu()[0]
    after = int(torch.searchsorted(given, wanted))
    if not 0 < after < len(given):
        raise UserError(
            f"frame {int(wanted)} does not lie between the frames {contexts.indices.tolist()}, so its camera cannot be "
            "interpolated: hide targets only in the kind 'middle'."
        )
    position = after - 1 + (wanted - given[after - 1]) / (given[after] - given[after - 1])
    cameras = Cameras(estimate.cameras.world_from_camera[0], estimate.cameras.intrinsics[0])
    return interpolate(cameras, position[None].to(cameras.intrinsics.device), "linear")


def _render_between(
    model: PerspectiveAutoencoder, clip: VideoClip, estimate: CameraEstimate, camera: Cameras
) -> Prediction:
    """As `PerspectiveAutoencoder.synthesize`: a code in the target's own frustum, made from the contexts."""
    poses = torch.cat([estimate.cameras.world_from_camera, camera.world_from_camera[None]], 1)
    intrinsics = torch.cat([estimate.cameras.intrinsics, camera.intrinsics[None]], 1)
    last = len(clip)
    extended = replace(estimate, cameras=Cameras(poses, intrinsics))
    frames = resize_short_side(clip.frames, model.working_side)
    split = Split(list(range(last)), last, [last])
    return first_view(model.render_target(frames, extended, split, clip.image_size))
