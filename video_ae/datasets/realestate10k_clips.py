"""RealEstate10K's layout (Zhou et al., Stereo Magnification, 2018), also used by ACID and by our walk-throughs."""

from pathlib import Path

import torch

from video_ae.datasets.base import ClipSource, KnownCameras
from video_ae.datasets.skipped import usable
from video_ae.errors import UserError
from video_ae.formats.realestate10k import CameraFile, read_realestate10k
from video_ae.videos.base import VideoReader
from video_ae.videos.image_folder import IMAGE_SUFFIXES, ImageFolderReader, natural_key
from video_ae.videos.open import open_video


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
        found, self.skipped = usable({file.stem: file for file in files}, self._find)
        if not found:
            reason = next(iter(self.skipped.values()), "there is no cameras/<clip>.txt")
            raise UserError(f"{str(root)!r} holds no usable clip in RealEstate10K's layout: {reason}")
        self.names, self._found, self._frames = map(list, zip(*found, strict=True))

    def _find(self, file: Path) -> tuple[str, CameraFile, list[Path] | Path]:
        """Name, cameras and frames (the images, or a video file) of a clip."""
        found = read_realestate10k(file)
        folder = self._root / "frames" / file.stem
        if folder.is_dir():
            images = {path.stem: path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
            lines = [line for line, stamp in enumerate(found.timestamps) if stamp in images]
            if not lines:
                raise UserError(f"No image in {str(folder)!r} has a timestamp of {file.name} as its name.")
            stamps = [found.timestamps[line] for line in lines]
            return file.stem, CameraFile(stamps, found.cameras.select(lines)), [images[stamp] for stamp in stamps]
        videos = sorted((self._root / "videos").glob(f"{file.stem}.*"))
        if not videos:
            raise UserError(
                f"{file.stem!r} has cameras, but neither a folder frames/{file.stem} nor a file videos/{file.stem}.mp4."
            )
        return file.stem, found, videos[0]

    def frame_count(self, number: int) -> int:
        """Frames that have a camera.

        Args:
            number: of the clip.
        """
        return len(self._found[number].timestamps)

    def timestamps(self, number: int) -> list[str]:
        """The timestamp of each frame, as text in microseconds, for naming images.

        Args:
            number: of the clip.
        """
        return self._found[number].timestamps

    def known_cameras(self, number: int) -> KnownCameras:
        """Cameras, and the file's timestamps from the clip's first frame, in seconds.

        Args:
            number: of the clip.
        """
        clip = self._found[number]
        times = torch.tensor([float(stamp) for stamp in clip.timestamps], dtype=torch.float64) / 1e6
        return KnownCameras(clip.cameras, times - times[0])

    def open(self, number: int) -> VideoReader:
        frames, lines = self._frames[number], self.frame_count(number)
        if isinstance(frames, list):
            return ImageFolderReader(self._root / "frames" / self.names[number], frames)
        reader = open_video(frames, self._decoder)
        if len(reader) != lines:
            raise UserError(
                f"{str(frames)!r} has {len(reader)} frames, but its camera file has {lines} lines: they must agree."
            )
        return reader
