"""RealEstate10K's layout (Zhou et al., Stereo Magnification, 2018), also used by ACID and by our walk-throughs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from video_ae.datasets.base import ClipSource
from video_ae.datasets.skipped import usable
from video_ae.errors import UserError
from video_ae.formats.realestate10k import CameraFile, read_realestate10k
from video_ae.geometry.resize import Fit, plan_resizing
from video_ae.types import Cameras, VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.image_folder import IMAGE_SUFFIXES, ImageFolderReader, natural_key
from video_ae.videos.load import read_clip
from video_ae.videos.open import open_video


@dataclass(frozen=True)
class _Clip:
    name: str
    cameras: CameraFile
    files: list[Path] | None  # images, or None where a video file has the frames
    video: Path | None
    lines: list[int]  # which lines of the camera file have a frame


class RealEstate10K(ClipSource):
    """`cameras/<clip>.txt` beside `frames/<clip>/<timestamp>.jpg` or `videos/<clip>.mp4`.

    Images belong to a camera by their timestamp; lines without an image are left out. Frame `i` of a video belongs to
    line `i`. Clips without frames, or whose camera file cannot be read, are skipped.

    Args:
        root: the folder of `cameras`.
        decoder: of videos, as in `video_ae.videos.open.open_video`.

    Raises:
        UserError: when no clip can be used.
    """

    def __init__(self, root: str | Path, decoder: str = "auto") -> None:
        self._root, self._decoder = Path(root), decoder
        files = sorted((self._root / "cameras").glob("*.txt"), key=lambda path: natural_key(path.stem))
        self._clips, self.skipped = usable({file.stem: file for file in files}, self._find)
        if not self._clips:
            reason = next(iter(self.skipped.values()), "there is no cameras/<clip>.txt")
            raise UserError(f"{str(root)!r} holds no usable clip in RealEstate10K's layout: {reason}")
        self.names = [clip.name for clip in self._clips]

    def _find(self, file: Path) -> _Clip:
        cameras = read_realestate10k(file)
        folder = self._root / "frames" / file.stem
        if folder.is_dir():
            images = {path.stem: path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
            lines = [line for line, stamp in enumerate(cameras.timestamps) if stamp in images]
            if lines:
                return _Clip(file.stem, cameras, [images[cameras.timestamps[line]] for line in lines], None, lines)
            raise UserError(f"No image in {str(folder)!r} has a timestamp of {file.name} as its name.")
        videos = sorted((self._root / "videos").glob(f"{file.stem}.*"))
        if not videos:
            raise UserError(
                f"{file.stem!r} has cameras, but neither a folder frames/{file.stem} nor a file videos/{file.stem}.mp4."
            )
        return _Clip(file.stem, cameras, None, videos[0], list(range(len(cameras.timestamps))))

    def frame_count(self, number: int) -> int:
        """Frames that have a camera.

        Args:
            number: of the clip.
        """
        return len(self._clips[number].lines)

    def timestamps(self, number: int) -> list[str]:
        """The timestamp of each frame, as text in microseconds, for naming images.

        Args:
            number: of the clip.
        """
        clip = self._clips[number]
        return [clip.cameras.timestamps[line] for line in clip.lines]

    def image_size(self, number: int) -> tuple[int, int]:
        """(width, height) in pixels of the clip's own frames.

        Args:
            number: of the clip.
        """
        return self._open(self._clips[number]).image_size

    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:  # times are the file's timestamps, from the clip's first frame, in seconds
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
