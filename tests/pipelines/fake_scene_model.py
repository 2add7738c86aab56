"""A model that 'finds' the same two walls and the same sideways motion in every video."""

import torch

from video_ae.geometry.resize import as_floats
from video_ae.geometry.se3 import se3_exp
from video_ae.models.base import Options, VideoModel
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.types import CameraEstimate, Cameras, ModelOutput, MultiplaneVolume, RenderedViews, Scene, VideoClip

FOCAL = 0.8
NEAR, FAR = 1.6, 0.5  # inverse depths of the walls


class FakeSceneModel(VideoModel):
    """A wall far away that looks like the frame, and a square in front of it."""

    def __init__(self, speed: float = 0.02):
        super().__init__()
        self.speed = speed
        self.renderer = FrustumRenderer()

    def forward(self, clip: VideoClip) -> ModelOutput:
        raise AssertionError("this model is made up, not trained")

    def synthesize(self, contexts, target, options=Options()) -> RenderedViews:
        raise AssertionError("this model is made up, not evaluated")

    def find_cameras(self, clip, options=Options()) -> CameraEstimate:
        count = len(clip)
        width, height = clip.image_size
        time = torch.arange(count, dtype=torch.float32)
        zero = torch.zeros_like(time)
        ease = 3 * torch.sin(time / 6)
        twist = self.speed * torch.stack([0.3 * ease, 0.5 * time, zero, time, ease / 4, time], -1)
        focal = options.focal or FOCAL
        intrinsics = torch.tensor([focal, focal * width / height, 0.5, 0.5]).expand(count, 4)
        return CameraEstimate(
            Cameras(se3_exp(twist), intrinsics),
            torch.ones(count, 6, 8),
            0.9 - 0.5 * torch.sin(time / 5).square(),
            torch.eye(6).expand(count, 6, 6),
            ("The walls are made up.",),
        )

    def encode_scene(self, clip, options=Options()) -> Scene:
        options.progress("finding cameras", 0.0)
        estimate = self.find_cameras(clip, options)
        keyframes = tuple(range(0, len(clip), 5))
        options.progress("finding cameras", 1.0)
        return Scene(clip, estimate, keyframes, tuple(self._walls(clip, estimate.cameras, i) for i in keyframes))

    def _walls(self, clip: VideoClip, cameras: Cameras, frame: int) -> MultiplaneVolume:
        image = torch.nn.functional.interpolate(as_floats(clip.frames[[frame]]), (24, 32), mode="area")[0]
        density = torch.zeros(4, 24, 32)
        density[3] = 8.0
        density[1, 8:16, 12:20] = 8.0
        features = image[:, None].expand(3, 4, 24, 32)
        return MultiplaneVolume(density, features, torch.tensor([2.0, NEAR, 1.0, FAR]), cameras.select([frame]))

    def render(self, scene: Scene, cameras: Cameras, size=None) -> RenderedViews:
        width, height = size or scene.clip.image_size
        middle = scene.volume(len(scene.structures) // 2)
        return self.renderer(middle[None], cameras[None], height, width)[0]
