"""The records that pass between the rooms.

Conventions, used everywhere in the package (worked numbers stand in `video_ae.geometry.cameras`):

* Frames are RGB float32 in [0, 1], shaped `... frame 3 height width`.
* Axes are OpenCV's: x right, y down, z forward. `world_from_camera` maps camera points to world points.
* Intrinsics are `(fx, fy, cx, cy)`, with fx and cx divided by the width, fy and cy by the height.
* Image coordinates run from 0 to 1 between the outer edges of the picture; the centre of pixel column `i` of
  `width` lies at `(i + 0.5) / width` (`align_corners=False`).
* The scale of everything that is found from video alone is arbitrary.
"""

from dataclasses import dataclass, replace

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
