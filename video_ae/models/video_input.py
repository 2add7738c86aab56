"""A user's video as a model takes it: which of its frames, and what is known of its lens and focal length."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from video_ae.errors import UserError
from video_ae.formats.lens import Lens
from video_ae.scene.fingerprint import fingerprint
from video_ae.scene.source import Source, Video, known_focal, open_source, read_source
from video_ae.scene.undistort import UndistortedReader, undistorted
from video_ae.types import VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.focal_metadata import focal_in_metadata

PINHOLE = "pinhole"  # in place of a camera's file: no lens is searched for


@dataclass(frozen=True)
class VideoInput:
    """What is taken of a video, and what was said of its camera.

    Args:
        reader: of the video, without the distortion of a lens that is known.
        path: None where the frames were given in memory.
        stride: every `stride`-th frame is taken.
        frames: and of those the first so many; None takes all.
        decoder: of video files.
        focal: fx / width where it is known.
        expected_focal: a guess of it from the file's metadata.
        searches_lens: whether nothing is known of the lens.
        start: the clock's time of the first frame in seconds.
        notes: sentences about the video itself.
    """

    reader: VideoReader
    path: Path | None
    stride: int
    frames: int | None
    decoder: str
    focal: float | None
    expected_focal: float | None
    searches_lens: bool
    start: float
    notes: tuple[str, ...]

    def read(self) -> VideoClip:
        """The frames at the size that the model gets."""
        return read_source(self.reader, self.stride, self.frames)

    def source(self, reader: VideoReader, refine: int, device: str) -> Source:
        """Where a reconstruction's frames come from, with what it was asked for.

        Args:
            reader: that they were read from, in the end.
            refine: rounds of refinement.
            device: that was computed on.
        """
        settings = {
            "source": None if self.path is None else str(self.path),
            "fingerprint": None if self.path is None else fingerprint(self.path),
            "start": self.start,
            "weights": None,
            "stride": self.stride,
            "frames": self.frames,
            "focal": self.focal,
            "focal_in_metadata": self.expected_focal,
            "camera": asdict(reader.lens) if isinstance(reader, UndistortedReader) else None,
            "refine": refine,
            "device": device,
            "decoder": self.decoder,
        }
        return Source(reader.name, reader.image_size, lambda: reader, self.path, settings, self.start)


def open_input(
    video: Video,
    stride: int,
    frames: int | None,
    decoder: str,
    focal: float | None,
    fov_degrees: float | None,
    K: Any,
    camera: str | Path | Lens | None,
    expected_focal: float | None,
) -> VideoInput:
    """Opens a video.

    Args:
        video, stride, frames, decoder, focal, fov_degrees, K, camera, expected_focal: as in `VideoModel.reconstruct`.

    Raises:
        UserError: it cannot be read or leaves fewer than two frames, or its focal length is given twice.
    """
    reader = open_source(video, stride, frames, decoder)
    start, notes = reader.start, reader.notes
    known = known_focal(focal, fov_degrees, K, reader.image_size[0])
    searches = camera is None and known is None and not isinstance(reader, UndistortedReader)
    if camera is not None and str(camera) != PINHOLE:
        if known is not None:
            raise UserError("The focal length was given beside a camera, which has one: give one of them.")
        reader = undistorted(reader, camera)
        known = reader.focal_over_width
    path = Path(video).absolute() if isinstance(video, str | Path) else None
    if expected_focal is None and path:
        expected_focal = focal_in_metadata(path, reader.image_size)
    expected = expected_focal if known is None else None
    return VideoInput(reader, path, stride, frames, decoder, known, expected, searches, start, notes)
