"""What the commands that make one video from another share: reading, taking apart, the name of the result."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.covariance import GUESSES
from video_ae.errors import UserError
from video_ae.geometry.se3 import rotation_angle
from video_ae.models.base import DEFAULT_REFINE_STEPS
from video_ae.pipelines.inputs import check_numbers, open_source, read_source
from video_ae.progress import Stages
from video_ae.scene.rendering import SceneModel, even_size
from video_ae.types import Cameras, Scene, VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.image_folder import IMAGE_SUFFIXES

LARGEST_SIDE = 1080  # shorter side of results, in pixels, where nobody asked for more
DEFAULT_RATE = 10.0  # frames a second of folders of pictures
_STILL_MOVEMENT = 2e-3  # of the scene's typical depth
_STILL_TURN = math.radians(0.15)


@dataclass(frozen=True)
class Settings:
    """What all these commands let a person choose; the meaning is `reconstruct_video`'s. size: shorter side."""

    weights: Path | None = None
    stride: int = 1
    frames: int | None = None
    refine: int = DEFAULT_REFINE_STEPS
    focal: float | None = None
    device: str = "auto"
    size: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_numbers(self.stride, self.frames, self.focal, self.refine)
        if self.size is not None and self.size < 16:
            raise UserError(f"A size of {self.size} pixels is not possible: give 16 or more.")


@dataclass(frozen=True)
class TakenApart:
    """A video, its scene (codes and cameras, on the model's device), and what is needed to render it in full size."""

    source: Path
    reader: VideoReader
    scene: Scene

    @property
    def cameras(self) -> Cameras:
        """Of all frames, without batch axis, float64 on the CPU."""
        found = self.scene.camera.cameras
        return Cameras(found.world_from_camera[0], found.intrinsics[0]).to("cpu", torch.float64)

    @property
    def clip(self) -> VideoClip:
        return self.scene.clip

    @property
    def rate(self) -> float:
        """Frames a second at which the frames that were taken last as long as in the source."""
        return clip_rate(self.clip.times)

    @property
    def notes(self) -> tuple[str, ...]:
        return self.scene.camera.notes[0] if self.scene.camera.notes else ()

    def output_size(self, size: int | None) -> tuple[int, int]:
        """(width, height) of a result: the source's own, `size` pixels on the shorter side at most."""
        return even_size(self.reader.image_size, size or LARGEST_SIDE)


def clip_rate(times: Float[Tensor, "frame"]) -> float:
    """Frames a second; `DEFAULT_RATE` for pictures without times.

    >>> clip_rate(torch.tensor([0.0, 0.02, 0.04]))
    50.0
    """
    length = (times[-1] - times[0]).item() if len(times) > 1 else math.nan
    return round((len(times) - 1) / length, 3) if math.isfinite(length) and length > 0 else DEFAULT_RATE


def is_picture(path: Path) -> bool:
    """Whether a path names a single picture rather than a video or a folder."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES and not Path(path).is_dir()


def take_apart(source: Path, model: SceneModel, settings: Settings, place: torch.device, stages: Stages) -> TakenApart:
    """Reads a video (or folder of pictures) and takes it apart. Raises UserError for pictures and single frames."""
    source = Path(source)
    if is_picture(source):
        raise UserError(f"{str(source)!r} is a single picture, which has no motion: give a video.")
    reader = open_source(source, settings.stride, settings.frames)
    stages(f"reading {source.name}", 0)
    clip = read_source(reader, settings.stride, settings.frames)
    stages(f"reading {source.name}", 1)
    scene = model.reconstruct(clip.to(place), settings.focal, settings.refine, stages)
    return TakenApart(source, reader, scene)


def need_motion(taken: TakenApart) -> None:
    """UserError where the camera stands still: there is no path that could be followed or smoothed."""
    pose = taken.cameras.world_from_camera
    moved = (pose[:, :3, 3] - pose[:1, :3, 3]).norm(dim=-1).max().item()
    typical = taken.scene.camera.inverse_depth.median().item()
    turned = rotation_angle(pose[:1, :3, :3].mT @ pose[:, :3, :3]).max().item()
    if moved * typical < _STILL_MOVEMENT and turned < _STILL_TURN:
        raise UserError(f"The camera of {str(taken.source)!r} stands still: give a video whose camera moves.")


def need_parallax(taken: TakenApart) -> None:
    """UserError where nothing is known of how the camera moved through space."""
    need_motion(taken)
    for note in taken.notes:
        if note.startswith(GUESSES):
            raise UserError(f"{str(taken.source)!r} has no camera path to follow ({note}): give a video that moves.")


def checked_out(out: Path, overwrite: bool) -> Path:
    """The name of a video to be written. Raises UserError if it is none or in the way."""
    out = Path(out)
    if out.suffix.lower() != ".mp4":
        raise UserError(f"{str(out)!r} does not end in .mp4: give a name such as {out.stem or 'out'}.mp4.")
    if out.is_dir() or (out.exists() and not overwrite):
        raise UserError(f"{str(out)!r} exists: choose another name or add --overwrite.")
    return out
