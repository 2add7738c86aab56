"""A video in object storage, read from a copy that is there as long as its reader is."""

from pathlib import Path
from tempfile import TemporaryDirectory

from jaxtyping import UInt8
from torch import Tensor

from video_ae.datasets.object_storage import fetched
from video_ae.videos.base import VideoReader
from video_ae.videos.open import open_video


class FetchedVideo(VideoReader):
    """The frames of a copy, which is removed with the last reader of it.

    Args:
        reader: of the copy.
        folder: that the copy is in.
    """

    def __init__(self, reader: VideoReader, folder: TemporaryDirectory) -> None:
        super().__init__(reader.name, reader.image_size, reader.times, reader.start)
        self.notes = reader.notes
        self._reader, self._folder = reader, folder

    def shrunk(self, size: tuple[int, int]) -> "FetchedVideo":
        return FetchedVideo(self._reader.shrunk(size), self._folder)

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        return self._reader.read(numbers)


def open_fetched(address: str, decoder: str = "auto") -> FetchedVideo:
    """Copies a video to a temporary folder and opens it.

    Args:
        address: in object storage.
        decoder: as in `open_video`.

    Raises:
        UserError: it cannot be reached or read.
    """
    folder = TemporaryDirectory(prefix="video-ae-")
    return FetchedVideo(open_video(fetched(address, Path(folder.name)), decoder), folder)
