"""What the commands that make one video from another share: their settings, their inputs, the name of the result."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from video_ae.camera.quality_flags import GUESSES
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.formats.atomic import check_writable
from video_ae.geometry.resize import even_size
from video_ae.geometry.se3 import rotation_angle
from video_ae.models.base import DEFAULT_REFINE_STEPS, VideoModel
from video_ae.models.open import load_video_model
from video_ae.models.video_input import PINHOLE
from video_ae.progress import Stages
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.source import Source, check_numbers, check_size, open_source
from video_ae.videos.base import VideoReader
from video_ae.videos.focal_metadata import focal_in_metadata
from video_ae.videos.image_folder import ImageFolderReader
from video_ae.videos.image_kinds import AVIF, IMAGE_SUFFIXES
from video_ae.videos.load import read_clip

IMAGE_SIDE = 144  # shorter side, in pixels, of the layers of a single image
_STILL_MOVEMENT = 2e-3  # of the scene's typical depth
_STILL_ROTATION = math.radians(0.15)


@dataclass(frozen=True)
class Settings:
    """What all of these commands let a person choose.

    Args:
        weights: a RUN folder or file; None takes the package's own.
        stride: every `stride`-th frame is taken.
        frames: and of those the first so many; None takes all.
        refine: rounds of test-time refinement of the cameras; 0: feed-forward.
        focal: fx / width where it is known.
        device: to compute on: "auto", "cpu", "cuda", ...
        size: shorter side of the result in pixels; by default the input's, at most 1080.
        overwrite: whether an earlier result is replaced.

    Raises:
        UserError: a number makes no sense.
    """

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
        check_size(self.size)

    def load_model(self) -> VideoModel:
        """The model of the weights, on the device.

        Raises:
            UserError: the device is not available, or the weights do not load.
        """
        return load_video_model(self.weights, choose_device(self.device))

    def check_readable(self, source: Path) -> None:
        """Says of a video, a folder of images or a single image that it cannot be read, before another one is solved.

        Args:
            source: its path.

        Raises:
            UserError: it cannot be read, or leaves fewer than two frames of a video.
        """
        if is_image(source):
            open_image(source)
        else:
            open_source(source, self.stride, self.frames)

    def reconstruct(self, source: Path, model: VideoModel, stages: Stages) -> Reconstruction:
        """The reconstruction of a video or a folder of images, as a pinhole: results show the source's own frames.

        Args:
            source: its path.
            model: on the device to compute on.
            stages: called with what is being done.

        Raises:
            UserError: it is a single image, cannot be read, or leaves fewer than two frames.
        """
        if is_image(source):
            raise UserError(f"{str(source)!r} is a single image, which has no motion: give a video.")
        return model.reconstruct(
            source, self.stride, self.frames, self.focal, refine_iterations=self.refine, progress=stages, camera=PINHOLE
        )

    def reconstruct_scene(self, source: Path, model: VideoModel, stages: Stages) -> Reconstruction:
        """The reconstruction of a video, a folder of images, or a single image.

        Args:
            source: its path.
            model: on the device to compute on.
            stages: called with what is being done.

        Raises:
            UserError: it cannot be read, or the model makes no structure of a single image.
        """
        if not is_image(source):
            return self.reconstruct(source, model, stages)
        reader = open_image(source)
        stages("reading the image", 0)
        frame = read_clip(reader, [0], even_size(reader.image_size, IMAGE_SIDE)).frames[0]
        focal = self.focal or focal_in_metadata(Path(source), reader.image_size)
        scene = model.encode_image(frame.to(choose_device(self.device)), focal)
        stages("reading the image", 1)
        return Reconstruction(model, scene, Source(reader.name, reader.image_size, lambda: reader, Path(source)))


def is_image(path: Path) -> bool:
    """Whether a path names a single image rather than a video, as which AVIF counts, or a folder.

    Args:
        path: of the user's.
    """
    return Path(path).suffix.lower() in IMAGE_SUFFIXES - AVIF and not Path(path).is_dir()


def open_image(path: Path) -> VideoReader:
    """An image file as a video of one frame.

    Args:
        path: of the file.

    Raises:
        UserError: the file is missing, or is no image.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{str(path)!r} does not exist: give an image (jpg, png, webp, bmp or tif).")
    return ImageFolderReader(path.parent, [path])


def need_motion(reconstruction: Reconstruction) -> None:
    """Refuses a camera that stands still: there is no path that could be followed or smoothed.

    Args:
        reconstruction: of a video.

    Raises:
        UserError: the camera hardly moves or turns.
    """
    pose = reconstruction.cameras.world_from_camera  # the first frame's camera is the world
    moved = pose[:, :3, 3].norm(dim=-1).max().item()
    typical = reconstruction.scene.camera.inverse_depth.median().item()
    rotated = rotation_angle(pose[:, :3, :3]).max().item()
    if moved * typical < _STILL_MOVEMENT and rotated < _STILL_ROTATION:
        path = str(reconstruction.source.path)
        raise UserError(f"The camera of {path!r} stands still: give a video whose camera moves.")


def need_parallax(reconstruction: Reconstruction) -> None:
    """Refuses a camera of which it is not known how it moved through space.

    Args:
        reconstruction: of a video.

    Raises:
        UserError: the camera stands still, or its path is a guess.
    """
    need_motion(reconstruction)
    for note in reconstruction.notes:
        if note.startswith(GUESSES):
            path = str(reconstruction.source.path)
            raise UserError(f"{path!r} has no camera path to follow ({note}): give a video that moves.")


def checked_out(out: Path, overwrite: bool, *beside: str, read: Sequence[Path] = ()) -> Path:
    """The path of a video that may be written.

    Args:
        out: where the result is wanted.
        overwrite: whether an earlier file is replaced.
        *beside: suffixes of further files of the same name that are written with it.
        read: what it is made from, which is never replaced.

    Raises:
        UserError: it does not end in .mp4, is in the way, is made from itself, or cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() != ".mp4":
        raise UserError(f"{str(out)!r} does not end in .mp4: give a name such as {out.stem or 'out'}.mp4.")
    for path in (out, *map(out.with_suffix, beside)):
        if path.is_dir() or (path.exists() and not overwrite):
            message = f"{str(path)!r} exists: choose another name, or allow it to be replaced."
            raise UserError(message, argument="overwrite")
    refuse_to_replace(read, out)
    check_writable(out)
    return out


def refuse_to_replace(read: Sequence[Path], out: Path) -> None:
    """Nothing that a result is made from is replaced by it, whatever may be overwritten.

    Args:
        read: what it is made from.
        out: where it is wanted.

    Raises:
        UserError: one is the other.
    """
    for source in read:
        if out.exists() and source.exists() and out.samefile(source):
            raise UserError(f"{str(out)!r} is what the result is made from: choose another name.")
