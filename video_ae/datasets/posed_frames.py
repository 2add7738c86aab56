"""Frames with a camera each: what research data sets come down to, once their files are read."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.datasets.skipped import usable
from video_ae.datasets.video_folder import VIDEO_SUFFIXES
from video_ae.errors import UserError
from video_ae.geometry.resize import Fit, plan_resizing
from video_ae.geometry.se3 import is_rotation
from video_ae.types import Cameras, VideoClip
from video_ae.videos.image_folder import IMAGE_SUFFIXES, ImageFolderReader, natural_key
from video_ae.videos.load import read_clip


@dataclass(frozen=True)
class PosedFrames:
    """The frames of one video, in order, and their cameras.

    Args:
        files: one image a frame, all of one size.
        world_from_camera: rigid, OpenCV axes (x right, y down, z forward).
        intrinsics: (fx, fy, cx, cy) in pixels of the images; the centre of the top-left pixel is (0.5, 0.5). None
            where the cameras are no pinholes: the clips have frames and no cameras.
        times: seconds, NaN where the data set has none.
    """

    files: list[Path]
    world_from_camera: Float64[Tensor, "frame 4 4"]
    intrinsics: Float64[Tensor, "frame 4"] | None
    times: Float64[Tensor, "frame"]


def unknown_times(frames: int) -> Float64[Tensor, "frame"]:
    """NaN for each frame: the times of a data set that has none.

    Args:
        frames: their number.
    """
    return torch.full((frames,), torch.nan, dtype=torch.float64)


class PosedVideos(ClipSource):
    """A data set of frames with cameras; a format says where its videos are (`find`) and how to read one (`read`).

    Skipped are videos that cannot be read, with fewer than two frames, with frames of several sizes or with matrices
    that are no rotations.

    Args:
        root: the folder of the data set.
        decoder: ignored, since there are no video files; every data set takes it.

    Raises:
        UserError: when no video can be used.
    """

    format: ClassVar[str]  # for people

    @staticmethod
    @abstractmethod
    def recognises(root: Path) -> bool:
        """Whether a folder looks like this data set, from the names in it alone.

        Args:
            root: the folder.
        """

    @abstractmethod
    def find(self, root: Path) -> Mapping[str, Path]:
        """Name -> file or folder of each video, in order.

        Args:
            root: the folder of the data set.
        """

    @abstractmethod
    def read(self, path: Path) -> PosedFrames:
        """One video.

        Args:
            path: that `find` gave for it.

        Raises:
            UserError: when it cannot be used.
        """

    def __init__(self, root: str | Path, decoder: str = "auto") -> None:
        self._root = Path(root)
        found, self.skipped = usable(
            {name: (name, path) for name, path in self.find(self._root).items()},
            lambda entry: (entry[0], _checked(self.read(entry[1]))),
        )
        if not found:
            reason = next(iter(self.skipped.values()), "no video was found")
            raise UserError(f"{str(root)!r} holds no usable video of the format {self.format}: {reason}")
        self.names, self._videos = [name for name, _ in found], [video for _, video in found]

    def frame_count(self, number: int) -> int:
        return len(self._videos[number].files)

    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:
        video = self._videos[number]
        wanted = list(range(len(video.files)) if indices is None else indices)
        reader = ImageFolderReader(self._root, [video.files[index] for index in wanted])
        cameras = None
        if video.intrinsics is not None:
            width, height = reader.image_size
            intrinsics = video.intrinsics[wanted] / torch.tensor([width, height, width, height], dtype=torch.float64)
            cameras = Cameras(
                video.world_from_camera[wanted].float(),
                plan_resizing(reader.image_size, size, fit).intrinsics(intrinsics).float(),
            )
        clip = read_clip(reader, range(len(wanted)), size, fit)
        return replace(
            clip, name=self.names[number], indices=torch.tensor(wanted), cameras=cameras,
            times=video.times[wanted] - video.times[0],
        )  # fmt: skip


def _checked(video: PosedFrames) -> PosedFrames:
    if len(video.files) < 2:
        raise UserError(f"It has {len(video.files)} frames with a camera, a video needs at least two.")
    missing = next((file for file in video.files if not file.is_file()), None)
    if missing is not None:
        raise UserError(f"The image {str(missing)!r} does not exist.")
    ImageFolderReader(video.files[0].parent, video.files)  # one size
    if not (video.world_from_camera.isfinite().all() and is_rotation(video.world_from_camera[:, :3, :3]).all()):
        raise UserError("A camera's matrix is not made of a rotation and a translation.")
    if video.intrinsics is not None and not (video.intrinsics.isfinite().all() and (video.intrinsics[:, :2] > 0).all()):
        raise UserError("A focal length is not a positive number.")
    return video


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
    folders = sorted((path for path in entries if path.is_dir()), key=lambda path: natural_key(path.name))
    return {path.name: path for path in folders} if all(map(is_scene, folders)) else {}
