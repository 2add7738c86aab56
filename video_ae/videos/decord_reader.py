"""decord: offered because many code bases use it, and guarded, because it can return wrong frames without an error."""

from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from video_ae.errors import UserError, unreadable_as
from video_ae.videos.index import IndexedVideo, VideoIndex

TIME_TOLERANCE = 2e-3  # seconds; decord keeps times as float32


class DecordReader(IndexedVideo):
    """decord with one thread (with its default of 0, VP9 fails).

    Args:
        path: of the video file.
        index: of its frames; read from the file by default.

    Raises:
        UserError: decord is not installed, or not exact on this file: an open group of pictures, an edit list that
            hides frames, a container without an index of keyframes, a rotation flag, or another number of frames or
            other times than the file's own.
    """

    def __init__(self, path: str | Path, index: VideoIndex | None = None) -> None:
        super().__init__(path, index)
        needed = "The decoder decord is not installed (it has builds for x86-64 only): use auto, torchcodec or pyav."
        with unreadable_as(needed, None, ImportError):
            import decord
        self._error = decord.DECORDError
        obstacles = {
            "an open group of pictures": self._index.open_group,
            "an edit list that hides frames": self._index.hidden,
            "no index of its keyframes": self._index.seekless,
            "a rotation flag": self._index.presentation.quarter_turns,
        }
        for reason in filter(obstacles.get, obstacles):
            raise UserError(self._refused(f"has {reason}, where decord reads wrong frames"))
        if self._index.obstacle:
            raise UserError(
                f"{str(self._path)!r} has {self._index.obstacle}, which decord leaves as it is: use the decoder pyav."
            )
        with unreadable_as(self._refused("cannot be opened by decord"), None, self._error):
            self._decoder = decord.VideoReader(str(self._path), num_threads=1)
        if len(self._decoder) != len(self._index.pts):
            raise UserError(self._refused(f"has {len(self)} frames, but decord finds {len(self._decoder)}"))
        stamps = torch.from_numpy(self._decoder.get_frame_timestamp(list(range(len(self))))[:, 0].copy()).double()
        if ((stamps - stamps[0]) - self.times).abs().max() > TIME_TOLERANCE:
            raise UserError(self._refused("has frames at other times than decord finds"))

    def _refused(self, reason: str) -> str:
        return f"{str(self._path)!r} {reason}: use the decoder torchcodec or pyav."

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        with unreadable_as(self._refused("cannot be read by decord"), None, self._error):
            frames = torch.from_numpy(self._decoder.get_batch(numbers).asnumpy())
        if frames.shape[2:0:-1] != self.image_size:
            raise UserError(self._refused("has another frame size than decord finds"))
        return frames.permute(0, 3, 1, 2)
