"""Opening of videos: the decoder that fits a file."""

from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.videos.base import VideoReader
from video_ae.videos.decord_reader import DecordReader
from video_ae.videos.image_folder import ImageFolderReader
from video_ae.videos.index import IndexedVideo, VideoIndex, index_video
from video_ae.videos.pyav_reader import PyAVReader
from video_ae.videos.torchcodec_reader import TorchCodecReader

READERS: dict[str, type[IndexedVideo]] = {
    "torchcodec": TorchCodecReader,
    "pyav": PyAVReader,
    "decord": DecordReader,
}
DECODERS = ("auto", *READERS)


def open_video(path: str | Path, decoder: str = "auto") -> VideoReader:
    """A reader of a video file or a folder of images.

    Args:
        path: of the file or folder.
        decoder: one of `DECODERS`. "auto" is torchcodec where it imports and is exact on this file, else PyAV. Folders
            need none.

    Raises:
        UserError: the path is missing, a file is no video (or empty, or sound only), a folder has no images or images
            of different sizes, the decoder is unknown, or it cannot be exact on this file.
    """
    if decoder not in DECODERS:
        raise UserError(f"There is no decoder {decoder!r}: choose one of {', '.join(DECODERS)}.")
    path = Path(path)
    if ":" in str(path):  # FFmpeg takes what stands before it for a protocol, unless the path is absolute
        path = path.absolute()
    if path.is_dir():
        return ImageFolderReader(path)
    index = index_video(path)
    if decoder != "auto":
        return READERS[decoder](path, index)
    try:
        return FallbackReader(path, index)
    except UserError:  # not installed, or not exact here
        return PyAVReader(path, index)


class FallbackReader(IndexedVideo):
    """torchcodec, and PyAV from the first read on at which torchcodec finds that it is not exact on this file.

    Containers without an index of their keyframes (.ts, .mpg) are such files: torchcodec opens them and seeks wrongly.

    Args:
        path: of the video file.
        index: of its frames.

    Raises:
        UserError: torchcodec does not import or is not exact on this file.
    """

    def __init__(self, path: str | Path, index: VideoIndex) -> None:
        super().__init__(path, index)
        self._reader: IndexedVideo = TorchCodecReader(path, index)

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        try:
            return self._reader.decode(numbers)
        except UserError:
            if isinstance(self._reader, PyAVReader):
                raise
        self._reader = PyAVReader(self._path, self._index)
        return self._reader.decode(numbers)
