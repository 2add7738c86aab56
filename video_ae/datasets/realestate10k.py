"""RealEstate10K's layout (Zhou et al., Stereo Magnification, 2018), also used by ACID and by our walk-throughs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.datasets.skipped import FoundVideos, usable
from video_ae.errors import UserError
from video_ae.geometry.resize import Fit, plan_resizing
from video_ae.geometry.se3 import invert, is_rotation, rigid
from video_ae.types import Cameras, VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.image_folder import IMAGE_SUFFIXES, ImageFolderReader, natural_key
from video_ae.videos.load import read_clip
from video_ae.videos.open import open_video

COLUMNS = 19  # timestamp, fx fy cx cy, two zeros, camera_from_world as 3x4


@dataclass(frozen=True)
class CameraFile:
    """The cameras of one clip, frame by frame.

    timestamps: as written in the file (microseconds), which also name the pictures.
    world_from_camera: rigid, OpenCV axes. intrinsics: (fx, fy, cx, cy) divided by width and height.
    """

    timestamps: list[str]
    world_from_camera: Float64[Tensor, "frame 4 4"]
    intrinsics: Float64[Tensor, "frame 4"]


@dataclass(frozen=True)
class _Clip:
    name: str
    cameras: CameraFile
    files: list[Path] | None  # pictures, or None where a video file holds the frames
    video: Path | None
    lines: list[int]  # which lines of the camera file have a frame


class RealEstate10K(FoundVideos):
    """`cameras/<clip>.txt` beside `frames/<clip>/<timestamp>.jpg` or `videos/<clip>.mp4`.

    Pictures belong to a camera by their timestamp; lines without a picture are left out. Frame `i` of a video belongs
    to line `i`. Clips without frames, or whose camera file cannot be read, are left out and listed in `quarantined`.
    Raises UserError if nothing is left.
    """

    def __init__(self, root: str | Path, decoder: str = "auto") -> None:
        self._root, self._decoder = Path(root), decoder
        files = sorted((self._root / "cameras").glob("*.txt"), key=lambda path: natural_key(path.stem))
        self._clips, self._quarantined = usable({file.stem: file for file in files}, self._find)
        if not self._clips:
            reason = next(iter(self._quarantined.values()), "there is no cameras/<clip>.txt")
            raise UserError(f"{str(root)!r} holds no usable clip in RealEstate10K's layout: {reason}")
        self._names = [clip.name for clip in self._clips]

    def _find(self, file: Path) -> _Clip:
        cameras = read_cameras(file)
        folder = self._root / "frames" / file.stem
        if folder.is_dir():
            pictures = {path.stem: path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
            lines = [line for line, stamp in enumerate(cameras.timestamps) if stamp in pictures]
            if lines:
                return _Clip(file.stem, cameras, [pictures[cameras.timestamps[line]] for line in lines], None, lines)
            raise UserError(f"No picture in {str(folder)!r} has a timestamp of {file.name} as its name.")
        videos = sorted((self._root / "videos").glob(f"{file.stem}.*"))
        if not videos:
            raise UserError(
                f"{file.stem!r} has cameras, but neither a folder frames/{file.stem} nor a file videos/{file.stem}.mp4."
            )
        return _Clip(file.stem, cameras, None, videos[0], list(range(len(cameras.timestamps))))

    def frame_count(self, number: int) -> int:
        """Frames that have a camera."""
        return len(self._clips[number].lines)

    def timestamps(self, number: int) -> list[str]:
        """The timestamp of each frame, as text in microseconds, for naming pictures."""
        clip = self._clips[number]
        return [clip.cameras.timestamps[line] for line in clip.lines]

    def image_size(self, number: int) -> tuple[int, int]:
        """(width, height) in pixels of the clip's own frames."""
        return self._open(self._clips[number]).image_size

    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:
        """As in `ClipSource`; times are the file's timestamps, from the clip's first frame, in seconds.

        Raises UserError where a video holds another number of frames than the camera file has lines.
        """
        clip = self._clips[number]
        reader = self._open(clip)
        wanted = list(range(len(clip.lines)) if indices is None else indices)
        found = read_clip(reader, wanted, size, fit)
        lines = [clip.lines[index] for index in wanted]
        stamps = torch.tensor([float(stamp) for stamp in clip.cameras.timestamps], dtype=torch.float64) / 1e6
        cameras = Cameras(
            clip.cameras.world_from_camera[lines].float(),
            plan_resizing(reader.image_size, size, fit).intrinsics(clip.cameras.intrinsics[lines]).float(),
        )
        return replace(found, name=clip.name, cameras=cameras, times=stamps[lines] - stamps[clip.lines[0]])

    def _open(self, clip: _Clip) -> VideoReader:
        if clip.video is None:
            return ImageFolderReader(self._root / "frames" / clip.name, clip.files)
        reader = open_video(clip.video, self._decoder)
        if len(reader) != len(clip.lines):
            raise UserError(
                f"{str(clip.video)!r} has {len(reader)} frames, but its camera file has {len(clip.lines)} lines: "
                "they must agree."
            )
        return reader


def read_cameras(file: str | Path) -> CameraFile:
    """Reads `cameras/<clip>.txt`: a line that names the source, then one line a frame.

    A line is `timestamp fx fy cx cy 0 0` and the 3x4 camera_from_world matrix, row by row. Raises UserError, with the
    number of the line, for a wrong number of values and for a matrix that is no rotation.
    """
    file = Path(file)
    rows: list[list[float]] = []
    stamps: list[str] = []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines()[1:], start=2):
        words = line.split()
        if not words:
            continue
        try:
            rows.append([float(word) for word in words])
        except ValueError as error:
            raise UserError(f"{str(file)!r}, line {number}: these are not all numbers.") from error
        if len(words) != COLUMNS:
            raise UserError(f"{str(file)!r}, line {number}: {len(words)} numbers, but {COLUMNS} are expected.")
        stamps.append(words[0])
    if not rows:
        raise UserError(f"{str(file)!r} has no line with a camera.")
    values = torch.tensor(rows, dtype=torch.float64)
    matrix = values[:, 7:].reshape(-1, 3, 4)
    rotation = matrix[..., :3]
    if not is_rotation(rotation).all():
        raise UserError(f"{str(file)!r} has a matrix whose left 3x3 part is no rotation.")
    return CameraFile(stamps, invert(rigid(rotation, matrix[..., 3])), values[:, 1:5])
