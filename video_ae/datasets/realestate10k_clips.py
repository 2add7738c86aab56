"""RealEstate10K's layout (Zhou et al., Stereo Magnification, 2018), also used by ACID and by our walk-throughs."""

import glob
from dataclasses import dataclass
from pathlib import Path

import torch

from video_ae.datasets.base import ClipSource, KnownCameras
from video_ae.datasets.pinholes import are_pinholes
from video_ae.datasets.posed_frames import frames_with_pose
from video_ae.datasets.skipped import usable
from video_ae.errors import UserError
from video_ae.formats.realestate10k import CameraFile, read_realestate10k
from video_ae.videos.base import ChosenFrames, VideoReader
from video_ae.videos.image_folder import ImageFolderReader
from video_ae.videos.image_kinds import IMAGE_SUFFIXES
from video_ae.videos.natural_order import natural_order
from video_ae.videos.open import open_video


class RealEstate10K(ClipSource):
    """`cameras/<clip>.txt` beside `frames/<clip>/<timestamp>.jpg` or `videos/<clip>.mp4`.

    Images belong to a camera by their timestamp; lines without an image are left out. Frame `i` of a video belongs to
    line `i`. Frames without a pose are left out, with a warning. Clips without frames, or whose camera file cannot be
    read, are skipped. Where k1 and k2 are those of no pinhole (`are_pinholes`), a clip comes without cameras.

    Args:
        root: the folder of `cameras`.
        decoder: of videos, as in `video_ae.videos.open.open_video`.

    Raises:
        UserError: when no clip can be used.
    """

    def __init__(self, root: str | Path, decoder: str = "auto") -> None:
        self._root, self._decoder = Path(root), decoder
        files = natural_order((self._root / "cameras").glob("*.txt"), lambda path: path.stem)
        clips, self.skipped = usable({file.stem: file for file in files}, self._find)
        if not clips:
            reason = next(iter(self.skipped.values()), "there is no cameras/<clip>.txt")
            raise UserError(f"{str(root)!r} holds no usable clip in RealEstate10K's layout: {reason}")
        self.names, self._clips = [clip.name for clip in clips], clips

    def _find(self, file: Path) -> "_Clip":
        whole = read_realestate10k(file)
        lines = frames_with_pose(whole.cameras.world_from_camera, file.stem, whole.timestamps)
        folder = self._root / "frames" / file.stem
        frames: dict[str, Path] | Path
        if folder.is_dir():
            frames = {path.stem: path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
            lines = [line for line in lines if whole.timestamps[line] in frames]
            if not lines:
                raise UserError(f"No image in {str(folder)!r} has a timestamp of {file.name} as its name.")
        else:
            found = sorted((self._root / "videos").glob(f"{glob.escape(file.stem)}.*"))
            if not found:
                raise UserError(
                    f"{file.stem!r} has cameras, but neither a folder frames/{file.stem} nor a file "
                    f"videos/{file.stem}.mp4."
                )
            frames = found[0]
        chosen = whole.select(lines)
        pinhole = not chosen.distortion.any() or are_pinholes(file.stem, chosen.lenses())
        return _Clip(file.stem, chosen, frames, lines, len(whole.timestamps), pinhole)

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
        return self._clips[number].cameras.timestamps

    def known_cameras(self, number: int) -> KnownCameras:
        """Cameras, and the file's timestamps from the clip's first frame, in seconds.

        Args:
            number: of the clip.
        """
        clip = self._clips[number]
        times = torch.tensor([float(stamp) for stamp in clip.cameras.timestamps], dtype=torch.float64) / 1e6
        return KnownCameras(clip.cameras.cameras if clip.pinhole else None, times - times[0])

    def open(self, number: int) -> VideoReader:
        clip = self._clips[number]
        if isinstance(clip.frames, dict):
            files = [clip.frames[stamp] for stamp in clip.cameras.timestamps]
            return ImageFolderReader(self._root / "frames" / clip.name, files, upright=False)
        reader = open_video(clip.frames, self._decoder)
        if len(reader) != clip.count:
            raise UserError(
                f"{str(clip.frames)!r} has {len(reader)} frames, but its camera file has {clip.count} lines: they must "
                "agree."
            )
        return reader if len(clip.lines) == clip.count else ChosenFrames(reader, clip.lines)


@dataclass(frozen=True)
class _Clip:
    """A clip.

    Args:
        name: of its camera file.
        cameras: of the frames that are used.
        frames: the images by timestamp, or a video file.
        lines: the number of each frame among the lines of the camera file.
        count: of these lines.
        pinhole: whether the cameras are pinholes.
    """

    name: str
    cameras: CameraFile
    frames: dict[str, Path] | Path
    lines: list[int]
    count: int
    pinhole: bool
