"""Frames with a camera each: what research data sets come down to, once their files are read."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.datasets.base import ClipSource, KnownCameras
from video_ae.datasets.scene_folders import frames_alone, scenes_in
from video_ae.datasets.skipped import usable
from video_ae.errors import UserError
from video_ae.geometry.se3 import is_rigid
from video_ae.types import Cameras
from video_ae.videos.image_folder import ImageFolderReader
from video_ae.videos.natural_order import natural_order

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PosedFrames:
    """The frames of one video, in order, and their cameras.

    Args:
        files: one image a frame, all of one size.
        world_from_camera: OpenCV axes (x right, y down, z forward); NaN, or whatever the file has, where a frame has no
            pose: it is left out. None where poses are unknown.
        intrinsics: (fx, fy, cx, cy) in pixels of the images; the centre of the top-left pixel is (0.5, 0.5). None
            where they are unknown or no pinholes: the clips have frames and no cameras.
        times: seconds; None where the data set has none.
    """

    files: list[Path]
    world_from_camera: Float64[Tensor, "frame 4 4"] | None = None
    intrinsics: Float64[Tensor, "frame 4"] | None = None
    times: Float64[Tensor, "frame"] | None = None

    def select(self, frames: Sequence[int]) -> "PosedFrames":
        """Some of the frames, in the given order.

        Args:
            frames: their numbers.
        """
        numbers = list(frames)
        poses, lenses, times = (
            None if one is None else one[numbers] for one in (self.world_from_camera, self.intrinsics, self.times)
        )
        return PosedFrames([self.files[number] for number in numbers], poses, lenses, times)


class PosedVideos(ClipSource, ABC):
    """A data set of frames with cameras; a format says where its videos are and how to read one (`read`).

    A video is a scene, and a scene is a folder with all `marks` (or by its own `is_scene`), unless the format overrides
    `recognises` and `find`. Skipped are videos that cannot be read, have fewer than two frames or several sizes.
    Frames without a pose (NaN, infinity, zeros, no rotation) are left out, and a warning says how many.
    Pixels are read as they are stored, whatever an EXIF flag says: the cameras belong to these.

    Args:
        root: the folder of the data set.
        decoder: ignored, since there are no video files; every data set takes it.

    Raises:
        UserError: when no video can be used.
    """

    format: ClassVar[str]  # for people
    marks: ClassVar[tuple[str, ...]] = ()  # what lies in the folder of a scene, as for `Path.glob`

    @classmethod
    def is_scene(cls, folder: Path) -> bool:
        """Whether a folder looks like a scene of this data set, from the names in it alone.

        Args:
            folder: any folder.
        """
        return bool(cls.marks) and all(any(folder.glob(mark)) for mark in cls.marks)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether a folder looks like this data set, from the names in it alone.

        Args:
            root: the folder.
        """
        return bool(scenes_in(root, cls.is_scene))

    def find(self, root: Path) -> Mapping[str, Path]:
        """Name -> file or folder of each video, in order.

        Args:
            root: the folder of the data set.
        """
        return scenes_in(root, self.is_scene)

    @abstractmethod
    def read(self, path: Path) -> PosedFrames:
        """One video.

        Args:
            path: that `find` gave for it.

        Raises:
            UserError: when it cannot be used.
        """

    def __init__(self, root: str | Path, decoder: str = "auto") -> None:
        videos = self.find(Path(root))
        read, self.skipped = usable(videos, self.clips)
        names = [name for name in videos if name not in self.skipped]
        clips = {
            f"{name}/{part}" if part else name: frames
            for name, parts in zip(names, read, strict=True)
            for part, frames in parts.items()
        }
        clips |= self._without_cameras(Path(root))
        found, unusable = usable(clips, _checked)
        self.skipped |= unusable
        if not found:
            reason = next(iter(self.skipped.values()), "no video was found")
            raise UserError(f"{str(root)!r} holds no usable video of the format {self.format}: {reason}")
        self.names = [name for name in clips if name not in unusable]
        self._readers, self._known = map(list, zip(*found, strict=True))

    def clips(self, path: Path) -> Mapping[str, PosedFrames]:
        """The clips of one video, each with its part of the name: one, without such ("") unless a format overrides it.

        Args:
            path: that `find` gave for the video.

        Raises:
            UserError: when it cannot be used.
        """
        return {"": self.read(path)}

    def _without_cameras(self, root: Path) -> dict[str, PosedFrames]:
        """The folders among the scenes that are none: their images have no cameras."""
        scenes = set(scenes_in(root, self.is_scene).values())
        if not scenes or root in scenes:
            return {}
        folders = natural_order(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
        return {path.name: PosedFrames(frames_alone(path) or []) for path in folders if path not in scenes}

    def open(self, number: int) -> ImageFolderReader:
        return self._readers[number]

    def known_cameras(self, number: int) -> KnownCameras:
        return self._known[number]


def with_poses(video: PosedFrames) -> PosedFrames:
    """The frames that have a pose (`is_rigid`); all where poses are unknown. A warning says what is left out.

    Args:
        video: as a format reads it.

    Raises:
        UserError: when fewer than two frames have one.
    """
    if video.world_from_camera is None:
        return video
    folder = str(video.files[0].parent) if video.files else ""
    found = frames_with_pose(video.world_from_camera, folder, video.files)
    return video if len(found) == len(video.files) else video.select(found)


def frames_with_pose(
    world_from_camera: Float64[Tensor, "frame 4 4"], name: str, frames: Sequence[str] | Sequence[Path]
) -> list[int]:
    """The numbers of the frames whose matrix is a pose (`is_rigid`). A warning says what is left out.

    Args:
        world_from_camera: any matrices.
        name: of the video, for the warning.
        frames: their files or names, for the warning.

    Raises:
        UserError: when fewer than two frames have one.
    """
    posed = is_rigid(world_from_camera)
    found, lost = posed.nonzero()[:, 0].tolist(), (~posed).nonzero()[:, 0].tolist()
    if len(found) < 2:
        raise UserError(
            f"{len(found)} of its {len(posed)} frames have a pose (finite, a rotation and a translation), a video "
            "needs at least two."
        )
    if lost:
        first, parts = Path(frames[lost[0]]).name, (len(lost), len(posed))
        log.warning("%s: %d of %d frames have no pose and are left out, such as %s", name, *parts, first)
    return found


def _checked(given: PosedFrames) -> tuple[ImageFolderReader, KnownCameras]:
    video = with_poses(given)
    if len(video.files) < 2:
        raise UserError(f"It has {len(video.files)} frames, a video needs at least two.")
    missing = next((file for file in video.files if not file.is_file()), None)
    if missing is not None:
        raise UserError(f"The image {str(missing)!r} does not exist.")
    reader = ImageFolderReader(video.files[0].parent, video.files, upright=False)  # one size
    pose, intrinsics = video.world_from_camera, video.intrinsics
    times = reader.times if video.times is None else video.times - video.times[0]
    if pose is None or intrinsics is None:
        return reader, KnownCameras(None, times)
    if not (intrinsics.isfinite().all() and (intrinsics[:, :2] > 0).all()):
        raise UserError("A focal length is not a positive number.")
    normalised = intrinsics / torch.tensor([*reader.image_size, *reader.image_size], dtype=torch.float64)
    return reader, KnownCameras(Cameras(pose, normalised), times)


def check_lines(file: Path, rows: Sized, images: list[Path]) -> None:
    """Checks that a file has a line for each image.

    Args:
        file: the file, for the message.
        rows: what its lines say.
        images: of the video.

    Raises:
        UserError: when there are more or fewer lines.
    """
    if len(rows) != len(images):
        raise UserError(f"{str(file)!r} has {len(rows)} lines, but there are {len(images)} images.")
