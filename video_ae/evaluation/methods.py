"""A model as the protocols see it: a `PoseEstimator`, a `ViewSynthesizer` and a `SceneBuilder`.

The true focal length is used where the clip carries intrinsics, which it does only where the evaluation gives them.
"""

from dataclasses import dataclass, replace

import torch

from video_ae.evaluation.protocols.base import PoseEstimate, Prediction, prediction_of
from video_ae.evaluation.protocols.reconstruction_protocol import RenderableScene
from video_ae.models.base import Options, VideoModel
from video_ae.scene.source import open_source, read_source
from video_ae.scene.undistort import UndistortedReader
from video_ae.types import VideoClip


@dataclass(frozen=True)
class ModelMethods:
    """What a model can be measured at.

    Args:
        model: on the device.
        device: where the clips are moved.
        refine: rounds of test-time refinement; 0 is feed-forward.
    """

    model: VideoModel
    device: torch.device
    refine: int

    def estimate_poses(self, clip: VideoClip) -> PoseEstimate:
        """`model.find_cameras` on a whole clip; the estimate lies on the CPU.

        Args:
            clip: as a protocol hands it to a method.
        """
        found = self.model.find_cameras(clip.to(self.device), self._options(clip)).to("cpu")
        return PoseEstimate(
            found.cameras, found.confidence, covariance=found.covariance, inverse_depth=found.inverse_depth
        )

    def reconstruct_poses(self, clip: VideoClip) -> PoseEstimate:
        """The cameras as `reconstruct` finds them: without a focal length, of the frames without a lens's distortion.

        The focal length is that of the frames as they were filmed, next to the axis: what a lens's own is.

        Args:
            clip: as a protocol hands it to a method.
        """
        source, options = open_source(replace(clip, cameras=None)), Options(refine_steps=self.refine)
        reader, straight = self.model.without_lens(source, read_source(source, 1, None).to(self.device), options)
        found = self.model.find_cameras(straight, options).to("cpu")
        cameras, static = found.cameras, found.static
        if isinstance(reader, UndistortedReader):
            scale = reader.lens.focal[0] / reader.lens.size[0] / reader.focal_over_width
            factors = torch.tensor([scale, scale, 1.0, 1.0], dtype=cameras.intrinsics.dtype)
            cameras = replace(cameras, intrinsics=cameras.intrinsics * factors)
            static = None if static is None else reader.as_filmed(static)
        return PoseEstimate(cameras, found.confidence, covariance=found.covariance, static=static)

    def synthesize(self, contexts: VideoClip, target: VideoClip) -> Prediction:
        """`model.synthesize`: the target's pixels reach the camera encoder, never the structure.

        Args:
            contexts: given frames.
            target: one frame.
        """
        options = self._options(contexts)
        return prediction_of(self.model.synthesize(contexts.to(self.device), target.to(self.device), options))

    def synthesize_hidden(self, contexts: VideoClip, target: VideoClip) -> Prediction:
        """`model.synthesize_between`: of the target the model gets the frame number alone.

        Args:
            contexts: given frames.
            target: one frame; its number counts.
        """
        index, options = float(target.indices[0]), self._options(contexts)
        return prediction_of(self.model.synthesize_between(contexts.to(self.device), index, options))

    def build_scene(self, clip: VideoClip) -> RenderableScene:
        """`model.encode_scene` on a whole clip, and `model.render` of the scene.

        Args:
            clip: as a protocol hands it to a method.
        """
        scene = self.model.encode_scene(clip.to(self.device), self._options(clip))
        return RenderableScene(scene.cameras, lambda cameras: self.model.render(scene, cameras))

    def _options(self, clip: VideoClip) -> Options:
        """With fx / width (mean over the frames) where the clip carries intrinsics."""
        focal = None if clip.cameras is None else clip.cameras.intrinsics[:, 0].mean().item()
        return Options(focal, self.refine)

    def label(self, known_focal: bool) -> str:
        """The heading of the model's column: `perspective, refined, true focal`.

        Args:
            known_focal: whether it is given the true focal length.
        """
        name = type(self.model).__name__.removesuffix("Autoencoder").removesuffix("Video").lower()
        if not self.model.refines:
            return name
        return f"{name}, {'refined' if self.refine else 'feed-forward'}" + (", true focal" if known_focal else "")
