"""The default model: video -> clips -> (frustum voxels, camera poses) -> volume rendering -> reconstruction loss."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.base import CameraEncoder, Frames
from video_ae.camera.cache import CameraCache
from video_ae.geometry.frustum import inverse_depth_planes, widened_camera
from video_ae.geometry.resize import resize_images, resize_to_floats, short_side_size
from video_ae.geometry.rolling_shutter import as_global_shutter, image_motion
from video_ae.models.base import Options, VideoModel, camera_between
from video_ae.models.keyframes import choose_contexts, choose_keyframes, render_keyframes
from video_ae.renderers.base import Renderer
from video_ae.scene.single_image import guess_inverse_depth, image_camera, image_estimate, image_scene
from video_ae.steps import kept
from video_ae.structure.base import StructureEncoder
from video_ae.types import (
    CameraEstimate,
    Cameras,
    LensOffset,
    ModelOutput,
    MultiplaneVolume,
    RenderedViews,
    Scene,
    VideoClip,
)

SHORTEST_STRETCH = 4  # frames that the contexts and targets of a training split are drawn from

Clips = Float[Tensor, "batch frame 3 height width"]


@dataclass(frozen=True)
class Split:
    """Which frames of a clip are seen, which one holds the code, which are held out and must be rendered.

    Args:
        contexts: positions of the frames that the code is made of.
        reference: position of the frame whose camera holds the code.
        targets: positions of the frames that are rendered.
    """

    contexts: list[int]
    reference: int
    targets: list[int]


def fixed_split(frames: int) -> Split:
    """Every second frame is held out; the code sits at the middle one of them.

    Args:
        frames: in the clip.
    """
    contexts = list(range(0, frames, 2))
    targets = [i for i in range(frames) if i not in contexts] or [frames - 1]
    return Split(contexts, targets[len(targets) // 2], targets)


def random_split(frames: int, most_contexts: int, most_targets: int) -> Split:
    """Contexts, reference and targets drawn at random; the code never sees the frames that it must render.

    They lie in a stretch of the clip that is four frames long or longer, evenly drawn in the logarithm, so that of a
    long clip near and far contexts are learnt from alike. The reference is the first target half of the time (the code
    of a view nobody has seen) and a context otherwise.

    Args:
        frames: in the clip.
        most_contexts, most_targets: at most so many of each.
    """
    shortest = min(SHORTEST_STRETCH, frames)
    length = round(shortest * (frames / shortest) ** float(torch.rand(())))
    first = int(torch.randint(frames - length + 1, ()))
    order = (first + torch.randperm(length)).tolist()
    count = int(torch.randint(1, min(most_contexts, length - 1) + 1, ()))
    contexts, targets = sorted(order[:count]), order[count : count + most_targets]
    reference = targets[0] if torch.rand(()) < 0.5 else contexts[int(torch.randint(count, ()))]
    return Split(contexts, reference, targets)


class PerspectiveAutoencoder(VideoModel):
    """A pinhole camera solved by alignment, frustum voxels by plane sweep, perspective volume rendering.

    Args:
        camera, structure, renderer: the parts.
        training_camera: a cheaper camera encoder for the short clips of training; null takes `camera` there too.
        planes: inverse-depth planes of a code; training draws between half as many and all, so that no spacing is
            learnt.
        most_contexts, most_targets: bounds of the random splits in training.
        scene_contexts: at most so many contexts for the codes of whole videos.
        splits: how many random splits of each clip a training step takes. Cameras of clips that come again in training
            are solved once.
        working_side: longest short side, in pixels, of the images that structure is made from.
        scene_side: the same for the keyframes of whole videos, which are many, and in training, whose targets keep the
            size of the frames.
    """

    refines = True

    def __init__(
        self,
        camera: CameraEncoder,
        structure: StructureEncoder,
        renderer: Renderer,
        training_camera: CameraEncoder | None = None,
        planes: int = 32,
        most_contexts: int = 4,
        most_targets: int = 2,
        scene_contexts: int = 8,
        splits: int = 2,
        working_side: int = 192,
        scene_side: int = 144,
    ):
        super().__init__()
        self.camera, self.structure, self.renderer = camera, structure, renderer
        self.training_camera = training_camera or camera
        self._cached_cameras = CameraCache(self.training_camera)
        self.planes, self.splits = planes, splits
        self.most_contexts, self.most_targets, self.scene_contexts = most_contexts, most_targets, scene_contexts
        self.working_side, self.scene_side = working_side, scene_side

    def forward(self, clip: VideoClip) -> ModelOutput:
        """Renders held-out frames: a random split in training, every second frame otherwise.

        Args:
            clip: a batch of clips.
        """
        estimate = self._cached_cameras(clip.frames) if clip.estimate is None else clip.estimate
        if not self.training:
            return self.reconstruct_targets(clip.frames, estimate, fixed_split(len(clip)))
        splits = [random_split(len(clip), self.most_contexts, self.most_targets) for _ in range(self.splits)]
        outputs = [self.reconstruct_targets(clip.frames, estimate, split) for split in splits]
        joined = ModelOutput.cat(outputs)
        frames = scale_gradients_by_confidence(joined.frames, estimate.confidence.mean(1))
        return replace(joined, frames=frames, structure=outputs[-1].structure)

    def reconstruct_targets(self, frames: Clips, estimate: CameraEstimate, split: Split) -> ModelOutput:
        """Encodes the contexts of a split and renders its targets.

        Args:
            frames: of a batch of clips.
            estimate: their cameras.
            split: which frames are contexts and targets.
        """
        reference = estimate.cameras.select([split.reference])
        side = self.scene_side if self.training else self.working_side
        seen = frames[:, split.contexts]
        small = resize_short_side(seen.flatten(0, 1), side).unflatten(0, seen.shape[:2])
        structure = self.encode_structure(small, estimate, split.contexts, reference)
        views = self.renderer(structure, estimate.cameras.select(split.targets), *frames.shape[-2:])
        targets = torch.tensor(split.targets, device=frames.device)
        return ModelOutput(views.rgb, targets, views.disparity, estimate, structure)

    def encode_structure(
        self,
        frames: Clips,
        estimate: CameraEstimate,
        contexts: list[int],
        reference: Cameras,
        size: tuple[int, int] | None = None,
        use_sfm_depth: bool = False,
        planes: Float[Tensor, "batch plane"] | None = None,
    ) -> MultiplaneVolume:
        """The code of one reference camera, from some frames of a clip and the cameras found.

        Args:
            frames: of a batch of clips, those that the code is made of.
            estimate: the cameras of whole clips.
            contexts: positions of the frames in them.
            reference: the camera whose frustum holds the code (one frame).
            size: (width, height) of the code in voxels, by default that of the frames.
            use_sfm_depth: also uses the depth found with the cameras. It comes from all frames of the clip, so codes
                that must not have seen one of them are made without.
            planes: inverse depths of the code's planes, by default `choose_planes`.
        """
        if planes is None:
            planes = self.choose_planes(estimate)
        sfm_depth = estimate.inverse_depth[:, contexts] if use_sfm_depth else None
        cameras = estimate.cameras.select(contexts)
        return self.structure(frames, cameras, reference, planes, size, sfm_depth)

    def choose_planes(self, estimate: CameraEstimate) -> Float[Tensor, "batch plane"]:
        """Inverse depths that hold what was found of clips.

        Args:
            estimate: the cameras of a batch of clips.
        """
        count = int(torch.randint(self.planes // 2, self.planes + 1, ())) if self.training else self.planes
        return inverse_depth_planes(nearest_inverse_depth(estimate.inverse_depth), count)

    @torch.no_grad()
    def find_cameras(self, clip: VideoClip, options: Options = Options()) -> CameraEstimate:
        told = options.focal, options.refine_steps, options.expected_focal, options.constant_focal
        return self.camera.solve(clip.frames, *told)

    @torch.no_grad()
    def find_lens(self, clip: VideoClip, options: Options = Options()) -> LensOffset | None:
        return self.camera.find_lens(clip.frames, options.focal)

    @torch.no_grad()
    def synthesize(self, contexts: VideoClip, target: VideoClip, options: Options = Options()) -> RenderedViews:
        order = torch.cat([contexts.indices, target.indices]).argsort()
        position = int(order.argmax())
        clip = VideoClip.cat([replace(contexts, cameras=None), replace(target, cameras=None)]).select(order)
        estimate = self.find_cameras(clip, options)
        seen = [i for i in range(len(clip)) if i != position]
        return self._synthesize(clip, estimate, seen, estimate.cameras.select([position]))

    @torch.no_grad()
    def synthesize_between(self, contexts: VideoClip, index: float, options: Options = Options()) -> RenderedViews:
        estimate = self.find_cameras(contexts, options)
        camera = camera_between(estimate.cameras, contexts.indices, index)
        return self._synthesize(contexts, estimate, list(range(len(contexts))), camera)

    def _synthesize(
        self, clip: VideoClip, estimate: CameraEstimate, contexts: list[int], camera: Cameras
    ) -> RenderedViews:
        """A view in a camera from a code of the contexts in its own frustum."""
        frames = resize_short_side(clip.frames[contexts], self.working_side)
        structure = self.encode_structure(frames[None], estimate[None], contexts, camera[None])
        views = self.renderer(structure, camera[None], *frames.shape[-2:])[0]
        rgb, disparity, opacity = (resize_images(one, clip.image_size) for one in vars(views).values())
        return RenderedViews(rgb.clamp(0, 1), disparity, opacity)

    @torch.no_grad()
    def encode_scene(self, clip: VideoClip, options: Options = Options()) -> Scene:
        options.progress("cameras", 0.0)
        estimate = kept("cameras", lambda: self.find_cameras(clip, options))
        options.progress("cameras", 1.0)
        if estimate.readout:
            straight = partial(as_global_shutter, clip.frames, image_motion(estimate), estimate.readout)
            clip = replace(clip, frames=kept("straight-frames", straight))
        if not options.structure:
            return Scene(clip, estimate, (), ())
        return self.encode_structures(clip, estimate, options)

    @torch.no_grad()
    def encode_structures(self, clip: VideoClip, estimate: CameraEstimate, options: Options = Options()) -> Scene:
        keyframes, planes = choose_keyframes(estimate), self.choose_planes(estimate[None])
        volumes = []
        for number, keyframe in enumerate(keyframes):
            options.progress("structure", number / len(keyframes))
            volumes.append(kept("structure", partial(self._encode_keyframe, clip, estimate, keyframe, planes)))
        options.progress("structure", 1.0)
        return Scene(clip, estimate, keyframes, tuple(volumes))

    def _encode_keyframe(
        self, clip: VideoClip, estimate: CameraEstimate, keyframe: int, planes: Float[Tensor, "1 plane"]
    ) -> MultiplaneVolume:
        contexts = choose_contexts(estimate, keyframe, self.scene_contexts)
        frames = resize_short_side(clip.frames[contexts], self.scene_side)
        reference, size = widened_camera(estimate.cameras.select([keyframe]), frames.shape[-1], frames.shape[-2])
        code = self.encode_structure(frames[None], estimate[None], contexts, reference[None], size, True, planes)
        return code[0].halved()

    @torch.no_grad()
    def encode_image(self, frame: Float[Tensor, "3 height width"], focal_over_width: float | None = None) -> Scene:
        """The image on layers at the depth that the structure network guesses of it, and the smooth shape of a room.

        Args:
            frame, focal_over_width: as in `VideoModel.encode_image`.
        """
        camera = image_camera(frame, focal_over_width)
        estimate, size = image_estimate(camera), (frame.shape[-1], frame.shape[-2])
        code = self.encode_structure(frame[None, None], estimate[None], [0], camera[None], size)
        return image_scene(frame, camera, guess_inverse_depth(code[0]))

    @torch.no_grad()
    def render(self, scene: Scene, cameras: Cameras, size: tuple[int, int] | None = None) -> RenderedViews:
        return render_keyframes(scene, cameras, self.renderer, size or scene.clip.image_size)


def scale_gradients_by_confidence(frames: Clips, confidence: Float[Tensor, "batch"]) -> Clips:
    """The same images, with gradients scaled by how far a clip's cameras can be trusted.

    Clips whose cameras are a guess (confidence below 0.2) would make the structure blur: their gradient is zero.

    Args:
        frames: rendered images.
        confidence: mean over the frames of each clip, 0 to 1.
    """
    share = ((confidence - 0.2) / 0.3).clamp(0, 1).view(-1, 1, 1, 1, 1)
    return share * frames + (1 - share) * frames.detach()


def nearest_inverse_depth(inverse_depth: Float[Tensor, "batch frame rows columns"]) -> Float[Tensor, "batch"]:
    """Inverse depth of the plane in front of (almost) everything that was found, per clip.

    Args:
        inverse_depth: maps of all frames.
    """
    return 1.25 * torch.quantile(inverse_depth.flatten(1), 0.98, dim=1)


def resize_short_side(frames: Frames, side: int) -> Float[Tensor, "frame 3 rows columns"]:
    """Frames made smaller so that their short side has at most `side` pixels, as floats.

    Args:
        frames: of one size, floats or bytes.
        side: in pixels.
    """
    return resize_to_floats(frames, short_side_size((frames.shape[-1], frames.shape[-2]), side))
