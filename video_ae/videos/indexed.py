"""What the readers of video files share."""

from pathlib import Path

from jaxtyping import Float64
from torch import Tensor

from video_ae.videos.index import VideoIndex, index_video


class IndexedVideo:
    """A video file whose index says everything but the pictures: names, size, times and length of `VideoReader`.

    Raises UserError for files that are no video, unless their index is given.
    """

    def __init__(self, path: str | Path, index: VideoIndex | None = None) -> None:
        self._path = Path(path)
        self._index = index_video(self._path) if index is None else index

    @property
    def name(self) -> str:
        return self._path.stem

    @property
    def image_size(self) -> tuple[int, int]:
        return self._index.image_size

    @property
    def times(self) -> Float64[Tensor, "frame"]:
        return self._index.times

    def __len__(self) -> int:
        return len(self._index.pts)
