"""The default model: video -> clips -> (frustum voxels, camera poses) -> volume rendering -> reconstruction loss."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.cache import CameraCache
from video_ae.camera.solver import CameraSolver
from video_ae.geometry.covisibility import inside_others
from video_ae.geometry.frustum import inverse_depth_planes
from video_ae.models.base import Autoencoder
from video_ae.models.keyframes import choose_contexts, choose_keyframes, nearest_frames, render_keyframes, widened
from video_ae.renderers.frustum import FrustumRenderer
from video_ae.structure.plane_sweep import PlaneSweepEncoder
from video_ae.types import (
    CameraEstimate,
    Cameras,
    MultiplaneVolume,
    Reconstruction,
    RenderedViews,
    Scene,
    VideoClip,
)

FEWEST_NEAREST = 4  # frames that a view's own code is made from, where no more are about as near
SHORTEST_STRETCH = 4  # frames that the contexts and targets of a training split are drawn from
Progress = Callable[[str, float], None]  # what is being done, and how far it has come (0 to 1)


@dataclass(frozen=True)
class Split:
    """Which frames of a clip are seen, which one holds the code, which are held out and must be rendered."""

    contexts: list[int]
    reference: int
    targets: list[int]


def fixed_split(frames: int) -> Split:
    """Every second frame is held out; the code sits at the middle one."""
    contexts = list(range(0, frames, 2))
    targets = [i for i in range(frames) if i not in contexts] or [frames - 1]
    return Split(contexts, targets[len(targets) // 2], targets)


def random_split(frames: int, most_contexts: int, most_targets: int) -> Split:
    """Contexts, reference and targets drawn at random; the code never sees the frames that it must render.

    They lie in a stretch of the clip that is four frames long or longer, evenly drawn in the logarithm, so that of a
    long clip near and far contexts are learnt from alike. The reference is the first target half of the time (the code
    of a view nobody has seen) and a context otherwise.
    """
    shortest = min(SHORTEST_STRETCH, frames)
    length = round(shortest * (frames / shortest) ** float(torch.rand(())))
    first = int(torch.randint(frames - length + 1, ()))
    order = (first + torch.randperm(length)).tolist()
    count = int(torch.randint(1, min(most_contexts, length - 1) + 1, ()))
    contexts, targets = sorted(order[:count]), order[count : count + most_targets]
    reference = targets[0] if torch.rand(()) < 0.5 else contexts[int(torch.randint(count, ()))]
    return Split(contexts, reference, targets)


class PerspectiveAutoencoder(Autoencoder):
    """A pinhole camera solved by alignment, frustum voxels by plane sweep, perspective volume rendering.

    camera, structure, renderer: the parts. training_camera: a cheaper camera encoder for the short clips of training;
    null takes `camera` there too.
    planes: inverse-depth planes of a code; training draws between half as many and all, so that no spacing is learnt.
    most_contexts, most_targets: bounds of the random splits in training.
    scene_contexts: at most so many contexts for the codes of whole videos and of single views.
    splits: how many random splits of each clip a training step takes. Cameras of clips that come again in training
        are solved once.
    working_side: longest short side, in pixels, of the pictures that structure is made from outside training;
    scene_side: the same for the keyframes of whole videos, which are many. view_side: for codes of single views, whose
        geometry matters more than their colours.
    """

    refines = True

    def __init__(
        self,
        camera: CameraSolver,
        structure: PlaneSweepEncoder,
        renderer: FrustumRenderer,
        training_camera: CameraSolver | None = None,
        planes: int = 32,
        most_contexts: int = 4,
        most_targets: int = 2,
        scene_contexts: int = 8,
        splits: int = 2,
        working_side: int = 192,
        scene_side: int = 144,
        view_side: int = 108,
    ):
        super().__init__()
        self.camera = camera
        self.structure = structure
        self.renderer = renderer
        self.training_camera = training_camera or camera
        self._remembered = CameraCache(self.training_camera)
        self.planes = planes
        self.most_contexts = most_contexts
        self.most_targets = most_targets
        self.scene_contexts = scene_contexts
        self.splits = splits
        self.working_side, self.scene_side, self.view_side = working_side, scene_side, view_side

    def forward(self, clip: VideoClip) -> Reconstruction:
        """Renders held-out frames: a random split in training, every second frame otherwise."""
        estimate = self._remembered(clip.frames)
        if not self.training:
            return self.reconstruct_targets(clip.frames, estimate, fixed_split(len(clip)))
        splits = [random_split(len(clip), self.most_contexts, self.most_targets) for _ in range(self.splits)]
        together = _concatenate([self.reconstruct_targets(clip.frames, estimate, split) for split in splits])
        return replace(together, frames=_taught_by(together.frames, estimate.confidence.mean(1)))

    def reconstruct_targets(
        self, frames: Float[Tensor, "batch frame 3 height width"], estimate: CameraEstimate, split: Split
    ) -> Reconstruction:
        """Encodes the contexts of a split and renders its targets."""
        reference = estimate.cameras.select([split.reference])
        structure = self.encode_structure(frames, estimate, split.contexts, reference)
        views = self.renderer(structure, estimate.cameras.select(split.targets), *frames.shape[-2:])
        targets = torch.tensor(split.targets, device=frames.device)
        return Reconstruction(views.frames, targets, views.disparity, estimate, structure)

    def encode_structure(
        self,
        frames: Float[Tensor, "batch frame 3 height width"],
        estimate: CameraEstimate,
        contexts: list[int],
        reference: Cameras,
        size: tuple[int, int] | None = None,
        with_found_depth: bool = False,
    ) -> MultiplaneVolume:
        """The code of one reference camera, `size` voxels large, from some frames of a clip and the cameras found.

        with_found_depth: also from the depth found with the cameras. It comes from all frames of the clip, so codes
        that must not have seen one of them are made without.
        """
        count = int(torch.randint(self.planes // 2, self.planes + 1, ())) if self.training else self.planes
        planes = inverse_depth_planes(nearest_inverse_depth(estimate.inverse_depth), count)
        found_depth = estimate.inverse_depth[:, contexts] if with_found_depth else None
        cameras = estimate.cameras.select(contexts)
        return self.structure(frames[:, contexts], cameras, reference, planes, size, found_depth)

    @torch.no_grad()
    def find_cameras(
        self, clip: VideoClip, focal_over_width: float | None = None, refine_steps: int = 0
    ) -> CameraEstimate:
        """Cameras of a clip without batch axis (the result has a batch of one). The first frame is the world.

        focal_over_width: the focal length where it is known, as fx / width. refine_steps: second-order steps at higher
        resolution and over wider gaps, which never raise the alignment cost.
        """
        frames = clip.frames[None]
        estimate = self.camera(frames, focal_over_width)
        return self.camera.refine(frames, estimate, refine_steps, focal_over_width) if refine_steps else estimate

    @torch.no_grad()
    def synthesize(
        self, contexts: VideoClip, target: VideoClip, focal_over_width: float | None = None, refine_steps: int = 0
    ) -> RenderedViews:
        """The target frame at its own size (one view, a batch of one), rendered from a code of the contexts (clips
        without batch axis) in the target's camera.

        The target's pixels serve its pose alone; the structure code never sees them.
        """
        order = torch.cat([contexts.indices, target.indices]).argsort()
        place = int(order.argmax())
        clip = join(contexts, target).select(order)
        estimate = self.find_cameras(clip, focal_over_width, refine_steps)
        frames = resize_short_side(clip.frames, self.working_side)
        seen = [i for i in range(len(clip)) if i != place]
        return self.render_target(frames, estimate, Split(seen, place, [place]), clip.image_size)

    @torch.no_grad()
    def render_target(
        self,
        frames: Float[Tensor, "frame 3 height width"],
        estimate: CameraEstimate,
        split: Split,
        size: tuple[int, int],
    ) -> RenderedViews:
        """The targets of a split of one clip, `size` (width, height) large."""
        structure = self.encode_structure(
            frames[None], estimate, split.contexts, estimate.cameras.select([split.reference])
        )
        views = self.renderer(structure, estimate.cameras.select(split.targets), *frames.shape[-2:])
        maps = [_resize(part[0][:, None], size)[None, :, 0] for part in (views.disparity, views.opacity)]
        return RenderedViews(_resize(views.frames[0], size)[None].clamp(0, 1), maps[0], maps[1])

    def reconstruct(
        self,
        clip: VideoClip,
        focal_over_width: float | None = None,
        refine_steps: int = 0,
        progress: Progress | None = None,
    ) -> Scene:
        """Takes a whole video (no batch axis) apart: cameras of all frames and codes at its keyframes."""
        report = progress or (lambda stage, share: None)
        report("cameras", 0.0)
        estimate = self.find_cameras(clip, focal_over_width, refine_steps)
        report("cameras", 1.0)
        frames = resize_short_side(clip.frames, self.scene_side)[None]
        keyframes = choose_keyframes(estimate)
        structures = []
        for number, keyframe in enumerate(keyframes):
            report("structure", number / len(keyframes))
            contexts = choose_contexts(estimate, keyframe, self.scene_contexts)
            reference, size = widened(estimate.cameras.select([keyframe]), frames.shape[-1], frames.shape[-2])
            with torch.no_grad():
                structures.append(
                    self.encode_structure(frames, estimate, contexts, reference, size, with_found_depth=True)
                )
        report("structure", 1.0)
        return Scene(clip, estimate, keyframes, tuple(structures))

    @torch.no_grad()
    def render_from_frames(
        self,
        scene: Scene,
        frame: Callable[[int], Float[Tensor, "3 height width"]],
        view: Cameras,
        size: tuple[int, int] | None = None,
    ) -> RenderedViews:
        """One view (a camera without batch axis) of a scene, from a code that is made for it in the view's own frustum
        of the frames that see most alike. Takes longer than `render`, and shows more.

        frame: reads a frame of the scene's clip by its position, RGB in [0, 1]; all of one size, which is made smaller
        where its short side has more than `view_side` pixels. size: (width, height) of the picture; by default the
        clip's. Opacity says what these few frames see, not what the whole clip has seen.
        """
        width, height = size or scene.clip.image_size
        contexts = nearest_frames(scene.camera, view, FEWEST_NEAREST, self.scene_contexts)
        device = scene.camera.confidence.device
        frames = resize_short_side(torch.stack([frame(i).to(device) for i in contexts]), self.view_side)
        found = scene.camera.cameras.select(contexts)
        found_depth = scene.camera.inverse_depth[:, contexts]
        planes = inverse_depth_planes(nearest_inverse_depth(found_depth), self.planes)
        view = view.to(device, torch.float32)
        reference = Cameras(view.world_from_camera[None], view.intrinsics[None])
        code = self.structure(frames[None], found, reference, planes, sfm_depth=found_depth)
        views = self.renderer(code, reference, height, width)
        others = Cameras(found.world_from_camera[0], found.intrinsics[0])
        seen = inside_others(view, views.disparity[0, 0], others).amax(0)
        return RenderedViews(seen * views.frames, seen * views.disparity, seen * views.opacity)

    @torch.no_grad()
    def render(self, scene: Scene, cameras: Cameras, size: tuple[int, int] | None = None) -> RenderedViews:
        """Pictures (batch of one) of a scene from cameras without batch axis; size is (width, height)."""
        return render_keyframes(scene, cameras, self.renderer, size or scene.clip.image_size)


def _taught_by(frames: Float[Tensor, "batch target 3 height width"], confidence: Float[Tensor, "batch"]) -> Tensor:
    """The same pictures, with gradients scaled by how far a clip's cameras can be trusted.

    Clips whose cameras are a guess (confidence below 0.2) would teach the structure to blur; they teach nothing.
    """
    share = ((confidence - 0.2) / 0.3).clamp(0, 1).view(-1, 1, 1, 1, 1)
    return share * frames + (1 - share) * frames.detach()


def _concatenate(parts: list[Reconstruction]) -> Reconstruction:
    """All rendered targets of several splits of the same clips; the structure is the last one's."""
    disparity = [part.disparity for part in parts if part.disparity is not None]
    return Reconstruction(
        torch.cat([part.frames for part in parts], 1),
        torch.cat([part.targets for part in parts]),
        torch.cat(disparity, 1),
        parts[-1].camera,
        parts[-1].structure,
    )


def nearest_inverse_depth(inverse_depth: Float[Tensor, "batch frame rows columns"]) -> Float[Tensor, "batch"]:
    """Inverse depth of the plane in front of (almost) everything that was found, per clip."""
    return 1.25 * torch.quantile(inverse_depth.flatten(1), 0.98, dim=1)


def join(first: VideoClip, second: VideoClip) -> VideoClip:
    """Two clips without batch axis, one after the other, without their true cameras."""
    return VideoClip(
        torch.cat([first.frames, second.frames]),
        torch.cat([first.indices, second.indices]),
        torch.cat([first.times, second.times]),
        name=first.name,
    )


def resize_short_side(
    frames: Float[Tensor, "frame 3 height width"], side: int
) -> Float[Tensor, "frame 3 rows columns"]:
    """Frames made smaller so that their short side has at most `side` pixels."""
    height, width = frames.shape[-2:]
    scale = side / min(height, width)
    return frames if scale >= 1 else _resize(frames, (round(width * scale), round(height * scale)))


def _resize(frames: Tensor, size: tuple[int, int]) -> Tensor:
    width, height = size
    if frames.shape[-2:] == (height, width):
        return frames
    return F.interpolate(frames, size=(height, width), mode="bilinear", antialias=True, align_corners=False)
