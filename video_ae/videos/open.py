"""A path from the user -> a reader of its frames."""

from collections.abc import Callable
from pathlib import Path

from video_ae.errors import UserError
from video_ae.videos.base import VideoReader
from video_ae.videos.decord_reader import DecordReader
from video_ae.videos.image_folder import ImageFolderReader
from video_ae.videos.index import VideoIndex, index_video
from video_ae.videos.pyav_reader import PyAVReader
from video_ae.videos.torchcodec_reader import TorchCodecReader

READERS: dict[str, Callable[[Path, VideoIndex], VideoReader]] = {
    "torchcodec": TorchCodecReader,
    "pyav": PyAVReader,
    "decord": DecordReader,
}
DECODERS = ("auto", *READERS)


def open_video(path: str | Path, decoder: str = "auto") -> VideoReader:
    """Opens a video file or a folder of images.

    `auto` is torchcodec where it imports and is exact on this file, else PyAV. Folders need no decoder. Raises
    UserError for a missing path, a file that is no video (or empty, or sound only), a folder without images or with
    images of different sizes, an unknown decoder, and a decoder that cannot be exact on this file.
    """
    if decoder not in DECODERS:
        raise UserError(f"There is no decoder {decoder!r}: choose one of {', '.join(DECODERS)}.")
    path = Path(path)
    if path.is_dir():
        return ImageFolderReader(path)
    index = index_video(path)
    if decoder != "auto":
        return READERS[decoder](path, index)
    try:
        return TorchCodecReader(path, index)
    except UserError:  # not installed, or not exact here
        return PyAVReader(path, index)
