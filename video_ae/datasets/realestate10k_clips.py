"""RealEstate10K's layout (Zhou et al., Stereo Magnification, 2018), also used by ACID and by our walk-throughs."""

from dataclasses import dataclass
from pathlib import Path

import torch

from video_ae.datasets.base import ClipSource, KnownCameras
from video_ae.datasets.skipped import usable
from video_ae.errors import UserError
from video_ae.formats.realestate10k import read_realestate10k
from video_ae.types import Cameras
from video_ae.videos.base import VideoReader
from video_ae.videos.image_folder import IMAGE_SUFFIXES, ImageFolderReader, natural_key
from video_ae.videos.open import open_video


@dataclass(frozen=True)
class _Clip:
    """frames: the images, or a video file; timestamps and cameras: one a frame."""

    name: str
    frames: list[Path] | Path
    timestamps: list[str]
    cameras: Cameras


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
        found = read_realestate10k(file)
        folder = self._root / "frames" / file.stem
        if folder.is_dir():
            images = {path.stem: path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
            lines = [line for line, stamp in enumerate(found.timestamps) if stamp in images]
            if not lines:
                raise UserError(f"No image in {str(folder)!r} has a timestamp of {file.name} as its name.")
            stamps = [found.timestamps[line] for line in lines]
            return _Clip(file.stem, [images[stamp] for stamp in stamps], stamps, found.cameras.select(lines))
        videos = sorted((self._root / "videos").glob(f"{file.stem}.*"))
        if not videos:
            raise UserError(
                f"{file.stem!r} has cameras, but neither a folder frames/{file.stem} nor a file videos/{file.stem}.mp4."
            )
        return _Clip(file.stem, videos[0], found.timestamps, found.cameras)

    def frame_count(self, number: int) -> int:
        """Frames that have a camera.

        Args:
            number: of the clip.
        """
        return len(self._clips[number].timestamps)

    def timestamps(self, number: int) -> list[str]:
        """The timestamp of each frame, as text in microseconds, for naming images.

        Args:
            number: of the clip.
        """
        return self._clips[number].timestamps

    def known_cameras(self, number: int) -> KnownCameras:
        """Cameras, and the file's timestamps from the clip's first frame, in seconds.

        Args:
            number: of the clip.
        """
        clip = self._clips[number]
        times = torch.tensor([float(stamp) for stamp in clip.timestamps], dtype=torch.float64) / 1e6
        return KnownCameras(clip.cameras, times - times[0])

    def open(self, number: int) -> VideoReader:
        clip = self._clips[number]
        if isinstance(clip.frames, list):
            return ImageFolderReader(self._root / "frames" / clip.name, clip.frames)
        reader = open_video(clip.frames, self._decoder)
        if len(reader) != len(clip.timestamps):
            raise UserError(
                f"{str(clip.frames)!r} has {len(reader)} frames, but its camera file has {len(clip.timestamps)} lines: "
                "they must agree."
            )
        return reader
