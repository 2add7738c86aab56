"""The base class of readers of video files."""

from pathlib import Path

from video_ae.videos.base import VideoReader
from video_ae.videos.index import VideoIndex, index_video


class IndexedVideo(VideoReader):
    """A video file whose index provides size, times and number of frames.

    Args:
        path: of the video file.
        index: of its frames; read from the file by default.

    Raises:
        UserError: the file is no video.
    """

    def __init__(self, path: str | Path, index: VideoIndex | None = None) -> None:
        self._path = Path(path)
        self._index = index_video(self._path) if index is None else index
        super().__init__(self._path.stem, self._index.image_size, self._index.times)
