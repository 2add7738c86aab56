"""Frames with a camera each: what research data sets come down to, once their files are read."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.datasets.base import ClipSource, KnownCameras
from video_ae.datasets.skipped import usable
from video_ae.datasets.video_folder import VIDEO_SUFFIXES
from video_ae.errors import UserError
from video_ae.formats.lens import Lens
from video_ae.geometry.se3 import is_rigid
from video_ae.types import Cameras
from video_ae.videos.image_folder import IMAGE_SUFFIXES, ImageFolderReader, natural_order

LARGEST_SHIFT = 0.01  # of the image's width: a lens that moves a corner further is no pinhole to evaluate with
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
        found, self.skipped = usable(videos, lambda path: _checked(with_poses(self.read(path), str(path))))
        if not found:
            reason = next(iter(self.skipped.values()), "no video was found")
            raise UserError(f"{str(root)!r} holds no usable video of the format {self.format}: {reason}")
        self.names = [name for name in videos if name not in self.skipped]
        self._readers, self._known = map(list, zip(*found, strict=True))

    def open(self, number: int) -> ImageFolderReader:
        return self._readers[number]

    def known_cameras(self, number: int) -> KnownCameras:
        return self._known[number]


def with_poses(video: PosedFrames, name: str) -> PosedFrames:
    """The frames that have a pose (`is_rigid`); all where poses are unknown. A warning says what is left out.

    Args:
        video: as a format reads it.
        name: of the video, for the warning.

    Raises:
        UserError: when fewer than two frames have one.
    """
    if video.world_from_camera is None:
        return video
    names = [file.name for file in video.files]
    return video.select(frames_with_pose(video.world_from_camera, name, names))


def frames_with_pose(world_from_camera: Float64[Tensor, "frame 4 4"], name: str, frames: Sequence[str]) -> list[int]:
    """The numbers of the frames whose matrix is a pose (`is_rigid`). A warning says what is left out.

    Args:
        world_from_camera: any matrices.
        name: of the video, for the warning.
        frames: their names, for the warning.

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
        log.warning(
            "%s: %d of %d frames have no pose and are left out, such as %s",
            name,
            len(lost),
            len(posed),
            frames[lost[0]],
        )
    return found


def _checked(video: PosedFrames) -> tuple[ImageFolderReader, KnownCameras]:
    if len(video.files) < 2:
        raise UserError(f"It has {len(video.files)} frames with a camera, a video needs at least two.")
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


def image_size_of(files: Sequence[Path]) -> tuple[int, int]:
    """(width, height) in pixels of images that have one size, from the first of them.

    Args:
        files: the images.

    Raises:
        UserError: when the first one cannot be read.
    """
    return ImageFolderReader(files[0].parent, files[:1], upright=False).image_size


def pinhole_intrinsics(
    name: str, lenses: Sequence[Lens | None], files: Sequence[Path]
) -> Float64[Tensor, "frame 4"] | None:
    """(fx, fy, cx, cy) of each frame in pixels; None, with a warning, where a lens is no pinhole.

    A lens that moves a corner by at most `LARGEST_SHIFT` of the width counts as a pinhole: its distortion is ignored.
    Evaluation against a camera with more would call a right estimate wrong, while training, which reads no cameras, can
    use the frames.

    Args:
        name: of the video, for the warning.
        lenses: one a frame; None for a fisheye or another model that is no pinhole with distortion.
        files: the frames, which may have been scaled.

    Raises:
        UserError: when the first frame cannot be read or has another aspect ratio than the lenses.
    """
    if not are_pinholes(name, set(lenses)):
        return None
    image_size = image_size_of(files)
    return torch.tensor([lens.intrinsics_at(image_size) for lens in lenses if lens is not None], dtype=torch.float64)


def are_pinholes(name: str, lenses: Collection[Lens | None]) -> bool:
    """Whether lenses move a corner by at most `LARGEST_SHIFT` of the width; a warning says where one does not.

    Args:
        name: of the video, for the warning.
        lenses: as in `pinhole_intrinsics`.
    """
    shifts = [math.inf if lens is None else lens.corner_shift() for lens in lenses]
    if not all(shift <= LARGEST_SHIFT for shift in shifts):  # so that a coefficient that is no number counts as well
        reason = "its lens is no pinhole"
        if math.isfinite(max(shifts)):
            reason = f"its lens moves a corner of the image by {max(shifts):.1%} of the width"
        log.warning(
            "%s: %s, and cameras here are pinholes; its clips come without cameras, which training does not need. To "
            "evaluate with them, undistort: `colmap image_undistorter --image_path images --input_path sparse/0 "
            "--output_path NEW` (colmap/sparse/0 in a folder of `ns-process-data`), and give the folder NEW.",
            name, reason,
        )  # fmt: skip
        return False
    return True


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


def scenes_in(root: Path, is_scene: Callable[[Path], bool]) -> dict[str, Path]:
    """Name -> folder of each scene: the root alone where it is a scene, else the folders right below it.

    These are in natural order. Empty where one of them is no scene, or where videos or images lie beside them, which
    would be lost.

    Args:
        root: a folder.
        is_scene: whether a folder is one.
    """
    if is_scene(root):
        return {root.resolve().name: root}
    entries = [path for path in root.iterdir() if not path.name.startswith(".")]
    if any(path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES for path in entries):
        return {}
    folders = natural_order(path for path in entries if path.is_dir())
    return {path.name: path for path in folders} if all(map(is_scene, folders)) else {}
