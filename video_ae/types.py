"""The records that pass between the folders.

Conventions, used everywhere in the package (worked numbers stand in `video_ae.geometry.pinhole`):

* Frames are RGB float32 in [0, 1], shaped `... frame 3 height width`; clips of whole videos hold bytes in 0 .. 255, a
  quarter of the memory (`geometry.resize.as_floats`).
* Axes are OpenCV's: x right, y down, z forward. `world_from_camera` maps camera points to world points.
* Intrinsics are `(fx, fy, cx, cy)`, with fx and cx divided by the width, fy and cy by the height.
* Image coordinates run from 0 to 1 between the outer edges of the image; the centre of pixel column `i` of `width`
  lies at `(i + 0.5) / width` (`align_corners=False`).
* The scale of everything that is found from video alone is arbitrary.
* What belongs to one clip has no batch axis; what a network computes on has one. `record[0]` and `record[None]` take it
  away and put it there (`video_ae.tensor_records`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from video_ae.tensor_records import CountedRecord, TensorRecord

Progress = Callable[[str, float], None]
"""Called with what is being done and the part of it that is done, from 0 to 1."""


_LARGEST_HALF = torch.finfo(torch.float16).max
_CODES_KEPT = 4  # in float32, since neighbouring views share them


@dataclass(frozen=True)
class Cameras(CountedRecord):
    """Pinhole cameras of the frames of a clip (or of a batch of clips).

    Args:
        world_from_camera: rigid 4x4 matrices, OpenCV axes (the extrinsics, camera to world).
        intrinsics: (fx, fy, cx, cy) per frame, divided by width (fx, cx) and height (fy, cy).
    """

    world_from_camera: Float[Tensor, "*batch frame 4 4"]
    intrinsics: Float[Tensor, "*batch frame 4"]

    @property
    def camera_from_world(self) -> Float[Tensor, "*batch frame 4 4"]:
        """World to camera: what gsplat and kornia call view matrices."""
        inverse = self.world_from_camera.clone()
        rotation = self.world_from_camera[..., :3, :3].mT
        inverse[..., :3, :3] = rotation
        inverse[..., :3, 3:] = -rotation @ self.world_from_camera[..., :3, 3:]
        return inverse

    @property
    def share_intrinsics(self) -> bool:
        """Whether nothing zooms: all cameras have the same intrinsics."""
        return bool((self.intrinsics == self.intrinsics[..., :1, :]).all())

    @property
    def centers(self) -> Float[Tensor, "*batch frame 3"]:
        """Where the cameras stand in the world."""
        return self.world_from_camera[..., :3, 3]

    def K(self, width: int, height: int) -> Float[Tensor, "*batch frame 3 3"]:
        """Calibration matrices in pixels, in which the centre of the top-left pixel is (0.5, 0.5).

        Args:
            width, height: of the images, in pixels.
        """
        fx, fy, cx, cy = self.intrinsics.unbind(-1)
        matrix = torch.zeros(*fx.shape, 3, 3, dtype=fx.dtype, device=fx.device)
        matrix[..., 0, 0], matrix[..., 0, 2] = fx * width, cx * width
        matrix[..., 1, 1], matrix[..., 1, 2] = fy * height, cy * height
        matrix[..., 2, 2] = 1
        return matrix


@dataclass(frozen=True)
class CameraEstimate(CountedRecord):
    """What a camera encoder finds in the frames of a clip.

    Args:
        cameras: the first frame's camera is the world; one focal length a clip, but where something zooms; in their
            scale the mean inverse depth is 1.
        inverse_depth: coarse maps of 1 / z in each frame's own axes, in the scale of the cameras.
        confidence: 0 (a guess) to 1 (well determined), per frame.
        covariance: of each pose's left twist (three rotations in radians, three translations in the cameras' scale),
            relative to the first frame.
        notes: sentences for people: what could not be determined (no parallax, no texture) and why.
        readout: time from the first row to the last, in intervals of the clip's frames, where the shutter rolls
            (`geometry.rolling_shutter`); negative where the last row is read first. The cameras are those of the middle
            rows.
        static: how far each part of a frame stays where it is, 0 to 1, where something moves by itself; None: nothing
            was found to.
        focal_deviation: standard deviation of the logarithm of the focal length (0.1: about 10 %); None where it was
            given, or is not known.
    """

    cameras: Cameras
    inverse_depth: Float[Tensor, "*batch frame rows columns"]
    confidence: Float[Tensor, "*batch frame"]
    covariance: Float[Tensor, "*batch frame 6 6"]
    notes: tuple[str, ...] = ()
    readout: float = 0.0
    static: Float[Tensor, "*batch frame rows2 columns2"] | None = None
    focal_deviation: float | None = None

    @cached_property
    def median_inverse_depth(self) -> Float[Tensor, "*batch frame"]:
        """A typical 1 / z of each frame."""
        return self.inverse_depth.flatten(-2).median(-1).values


@dataclass(frozen=True)
class VideoClip(CountedRecord):
    """Some frames of a video, in order.

    Args:
        frames: RGB in [0, 1], or bytes in 0 .. 255.
        indices: each frame's number in its source (from 0).
        times: seconds from the start of the source; NaN where the source has no times, as most folders of images.
        cameras: the true cameras where a data set has them. Only evaluation may read them.
        name: where the clip comes from, for people.
        estimate: what a camera encoder found of the clip's frames at an earlier time (`video-ae annotate`): models use
            it in place of finding cameras.
    """

    frames: Float[Tensor, "*batch frame 3 height width"] | UInt8[Tensor, "*batch frame 3 height width"]
    indices: Int[Tensor, "*batch frame"]
    times: Float[Tensor, "*batch frame"]
    cameras: Cameras | None = None
    name: str = ""
    estimate: CameraEstimate | None = None

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.frames.shape[-1], self.frames.shape[-2]


@dataclass(frozen=True)
class LensOffset:
    """How a camera differs from a pinhole with its principal point in the middle.

    Args:
        radial: k1 at the focal length.
        centre: of the principal point from the middle of the image, in parts of the width and height.
        focal_over_width: fx / width that goes with it.
    """

    radial: float
    centre: tuple[float, float]
    focal_over_width: float


@dataclass(frozen=True)
class MultiplaneVolume(TensorRecord):
    """The 3D structure code: voxels between the inverse-depth planes of one reference camera, nearest plane first.

    Args:
        density: extinction per plane interval, >= 0; a voxel's opacity is 1 - exp(-density).
        features: what a voxel emits; the first three channels are RGB in [0, 1].
        inverse_depth: 1 / z of each plane in the reference camera's axes, falling.
        reference: the camera whose frustum it is (one frame).
    """

    density: Float[Tensor, "*batch plane rows columns"]
    features: Float[Tensor, "*batch channel plane rows columns"]
    inverse_depth: Float[Tensor, "*batch plane"]
    reference: Cameras

    def halved(self) -> "MultiplaneVolume":
        """The same code in half of the memory: densities and features in float16, as files hold them."""
        if self.density.dtype == self.features.dtype == torch.float16:
            return self
        density, features = (one.clamp(-_LARGEST_HALF, _LARGEST_HALF).half() for one in (self.density, self.features))
        return replace(self, density=density, features=features)


@dataclass(frozen=True)
class DeepVoxels(TensorRecord):
    """The structure code of the 2021 model, which has no camera model.

    Args:
        voxels: features in the cube [-1, 1]^3 of one frame.
        self_motion: what the model's camera encoder answers for that frame paired with itself: its bias.
    """

    voxels: Float[Tensor, "*batch channel plane rows columns"]
    self_motion: Float[Tensor, "*batch 4 4"]


@dataclass(frozen=True)
class ModelOutput(TensorRecord):
    """What an autoencoder makes of a batch of clips: the code and the frames put together again from it.

    Args:
        frames: rendered images of the frames `targets`, RGB (clamped to [0, 1] only where they are shown or measured).
        targets: which frames of the clip were rendered.
        disparity: inverse depth seen by each rendered frame, in the cameras' scale, where the model has one.
        camera: poses and focal length, where the model has any.
        structure: the 3D structure code, where the model has one.
        extras: further named tensors that a model's own loss terms read (latent mean, log-variance, voxels).
    """

    axis: ClassVar[str] = "target"

    frames: Float[Tensor, "batch target 3 height width"]
    targets: Int[Tensor, "target"]
    disparity: Float[Tensor, "batch target height width"] | None = None
    camera: CameraEstimate | None = None
    structure: MultiplaneVolume | None = None
    extras: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class RenderedViews(CountedRecord):
    """Images of a structure code.

    Args:
        rgb: colours that were seen, over black where nothing was.
        disparity: expected inverse depth along z of the rendering camera, in the cameras' scale.
        opacity: 0 (nothing was seen) to 1.
    """

    axis: ClassVar[str] = "view"
    LEAST_OPACITY: ClassVar[float] = 0.6
    """Below it a ray met too little to have a depth."""

    rgb: Float[Tensor, "*batch view 3 height width"]
    disparity: Float[Tensor, "*batch view height width"]
    opacity: Float[Tensor, "*batch view height width"]

    @property
    def inverse_depth(self) -> Float[Tensor, "*batch view height width"]:
        """1 / z of what was seen, from the renderer's sum over the ray; NaN where the ray met too little."""
        value = (self.disparity / self.opacity.clamp_min(1e-3)).float()
        return torch.where((self.opacity > self.LEAST_OPACITY) & (value > 0), value, torch.full_like(value, torch.nan))

    @property
    def depth(self) -> Float[Tensor, "*batch view height width"]:
        """z of what was seen, in the cameras' scale; NaN where the ray met too little."""
        return 1 / self.inverse_depth


@dataclass(frozen=True)
class Scene(TensorRecord):
    """Cameras and structure of a whole video, without batch axes: what is rendered from any camera.

    Args:
        clip: the frames that it was made from.
        camera: one pose and confidence per frame.
        keyframes: numbers of the frames (positions in the clip) that hold the structure codes.
        structures: one code per keyframe, all in the world of `camera`; volumes may be `halved`.
    """

    clip: VideoClip
    camera: CameraEstimate
    keyframes: tuple[int, ...]
    structures: tuple[MultiplaneVolume, ...] | tuple[DeepVoxels, ...]

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # without codes in use

    @property
    def cameras(self) -> Cameras:
        """Of all frames."""
        return self.camera.cameras

    @property
    def volumes(self) -> tuple[MultiplaneVolume, ...]:
        """The codes that have a depth: empty for deep voxels."""
        return tuple(one for one in self.structures if isinstance(one, MultiplaneVolume))

    def volume(self, number: int) -> MultiplaneVolume:
        """One of the `volumes` in float32; the latest few are kept.

        Args:
            number: of its keyframe.
        """
        return self._volumes_in_use(number)

    @cached_property
    def _volumes_in_use(self) -> Callable[[int], MultiplaneVolume]:
        volumes = self.volumes
        return lru_cache(_CODES_KEPT)(lambda number: volumes[number].to(torch.float32))
