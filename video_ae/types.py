"""The records that pass between the rooms.

Conventions, used everywhere in the package (worked numbers stand in `video_ae.geometry.pinhole`):

* Frames are RGB float32 in [0, 1], shaped `... frame 3 height width`.
* Axes are OpenCV's: x right, y down, z forward. `world_from_camera` maps camera points to world points.
* Intrinsics are `(fx, fy, cx, cy)`, with fx and cx divided by the width, fy and cy by the height.
* Image coordinates run from 0 to 1 between the outer edges of the picture; the centre of pixel column `i` of
  `width` lies at `(i + 0.5) / width` (`align_corners=False`).
* The scale of everything that is found from video alone is arbitrary.
"""

from dataclasses import dataclass, field, replace

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Cameras:
    """Pinhole cameras of the frames of a clip (or of a batch of clips).

    world_from_camera: rigid 4x4 matrices, OpenCV axes.
    intrinsics: (fx, fy, cx, cy) per frame, divided by width (fx, cx) and height (fy, cy).
    """

    world_from_camera: Float[Tensor, "*batch frame 4 4"]
    intrinsics: Float[Tensor, "*batch frame 4"]

    def __len__(self) -> int:
        return self.world_from_camera.shape[-3]

    def select(self, frames) -> "Cameras":
        """The cameras of some frames: `frames` is a slice, a list or an integer tensor over the frame axis."""
        return Cameras(self.world_from_camera[..., frames, :, :], self.intrinsics[..., frames, :])

    def to(self, *args, **kwargs) -> "Cameras":
        return Cameras(self.world_from_camera.to(*args, **kwargs), self.intrinsics.to(*args, **kwargs))


@dataclass(frozen=True)
class VideoClip:
    """Some frames of a video, in order.

    frames: RGB in [0, 1].
    indices: each frame's number in its source (from 0).
    times: seconds from the start of the source; NaN where the source has no times (image folders).
    cameras: the true cameras where a data set has them. Only evaluation may read them.
    name: where the clip comes from, for people.
    """

    frames: Float[Tensor, "*batch frame 3 height width"]
    indices: Int[Tensor, "*batch frame"]
    times: Float[Tensor, "*batch frame"]
    cameras: Cameras | None = None
    name: str = ""

    def __len__(self) -> int:
        return self.frames.shape[-4]

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.frames.shape[-1], self.frames.shape[-2]

    def select(self, frames) -> "VideoClip":
        """Some frames of the clip: `frames` is a slice, a list or an integer tensor over the frame axis."""
        return replace(
            self,
            frames=self.frames[..., frames, :, :, :],
            indices=self.indices[..., frames],
            times=self.times[..., frames],
            cameras=None if self.cameras is None else self.cameras.select(frames),
        )

    def to(self, device) -> "VideoClip":
        return replace(
            self,
            frames=self.frames.to(device),
            indices=self.indices.to(device),
            times=self.times.to(device),
            cameras=None if self.cameras is None else self.cameras.to(device),
        )


@dataclass(frozen=True)
class CameraEstimate:
    """What a camera encoder finds in the frames of a clip.

    cameras: the first frame's camera is the world; one focal length a clip; in their scale the mean inverse depth is 1.
    inverse_depth: coarse maps of 1 / z in each frame's own axes, in the scale of the cameras.
    confidence: 0 (a guess) to 1 (well determined), per frame.
    covariance: of each pose's left twist (three rotations in radians, three translations in the cameras' scale),
        relative to the first frame.
    notes: sentences for people, per clip: what could not be determined (no parallax, no texture) and why.
    """

    cameras: Cameras
    inverse_depth: Float[Tensor, "batch frame rows columns"]
    confidence: Float[Tensor, "batch frame"]
    covariance: Float[Tensor, "batch frame 6 6"]
    notes: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class MultiplaneVolume:
    """The 3D structure code: voxels between the inverse-depth planes of one reference camera, nearest plane first.

    density: extinction per plane interval, >= 0; a voxel's opacity is 1 - exp(-density).
    features: what a voxel emits; the first three channels are RGB in [0, 1].
    inverse_depth: 1 / z of each plane in the reference camera's axes, falling.
    reference: the camera whose frustum it is (one frame).
    """

    density: Float[Tensor, "batch plane rows columns"]
    features: Float[Tensor, "batch channel plane rows columns"]
    inverse_depth: Float[Tensor, "batch plane"]
    reference: Cameras


@dataclass(frozen=True)
class Reconstruction:
    """What an autoencoder makes of a clip: the code and the frames put together again from it.

    frames: rendered pictures of the frames `targets`, RGB (clamped to [0, 1] only where they are shown or measured).
    targets: which frames of the clip were rendered.
    disparity: inverse depth seen by each rendered frame, in the cameras' scale, where the model has one.
    camera: poses and focal length, where the model has any.
    structure: the 3D structure code, where the model has one.
    extras: further named tensors that a model's own loss terms read (latent mean, log-variance, voxels).
    """

    frames: Float[Tensor, "batch target 3 height width"]
    targets: Int[Tensor, "target"]
    disparity: Float[Tensor, "batch target height width"] | None = None
    camera: CameraEstimate | None = None
    structure: MultiplaneVolume | None = None
    extras: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class RenderedViews:
    """Pictures of a structure code.

    frames: RGB, what was seen, over black where nothing was.
    disparity: expected inverse depth along z of the rendering camera, in the cameras' scale.
    opacity: 0 (nothing was seen) to 1.
    """

    frames: Float[Tensor, "batch view 3 height width"]
    disparity: Float[Tensor, "batch view height width"]
    opacity: Float[Tensor, "batch view height width"]


@dataclass(frozen=True)
class Scene:
    """A whole video, taken apart: what `reconstruct` finds and every application renders from.

    clip: the frames that it was made from (no batch axis).
    camera: one pose and confidence per frame (batch of one).
    keyframes: numbers of the frames (positions in the clip) whose frusta hold the structure codes.
    structures: one code per keyframe (batch of one each), all in the world of `camera`.
    """

    clip: VideoClip
    camera: CameraEstimate
    keyframes: tuple[int, ...]
    structures: tuple[MultiplaneVolume, ...]
