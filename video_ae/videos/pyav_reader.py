"""PyAV: exact everywhere, brings its own FFmpeg."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.videos.frame_filter import FrameFilter
from video_ae.videos.index import IndexedVideo, VideoIndex


class PyAVReader(IndexedVideo):
    """Seeks the last keyframe at or before a frame and decodes from there; reading forwards never seeks.

    Frames are identified by their presentation times, never by counting from a seek, which makes edit lists, open
    groups of pictures and variable frame rates exact.

    Args:
        path: of the video file.
        index: of its frames; read from the file by default.
        size: (width, height) to which frames are scaled while they are decoded; None leaves them as they are shown.

    Raises:
        UserError: the file is no video.
    """

    def __init__(self, path: str | Path, index: VideoIndex | None = None, size: tuple[int, int] | None = None) -> None:
        super().__init__(path, index)
        self._scaled = size is not None
        self.image_size = size or self.image_size
        self._key_pts = [pts for pts, _ in self._index.starts]
        self._frames: Iterator = iter(())
        self._container: Any = None  # an av.container.InputContainer
        self._stream: Any = None
        self._filters: dict[str, FrameFilter] = {}  # by format of pixels, which some streams change
        self._last_pts: int | None = None  # of the frame that was decoded last; None: no decoding under way

    def shrunk(self, size: tuple[int, int]) -> "PyAVReader":
        return self if size == self.image_size else PyAVReader(self._path, self._index, size)

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        frames = torch.empty(len(numbers), *self.image_size[::-1], 3, dtype=torch.uint8)
        forwards = sorted(range(len(numbers)), key=numbers.__getitem__)
        for number, positions in groupby(forwards, key=numbers.__getitem__):
            image = torch.from_numpy(self._upright_frame(number))
            for position in positions:
                frames[position] = image
        return frames.permute(0, 3, 1, 2)

    def _upright_frame(self, number: int) -> np.ndarray:
        """[height, width, 3]."""
        import av

        frame = None
        with suppress(av.FFmpegError):
            frame = self._decode_to(self._index.pts[number])
        if frame is None:
            self._last_pts = None
            raise UserError(
                f"{str(self._path)!r} is damaged: frame {number} cannot be decoded; use the part before it."
            )
        shown = self._index.presentation
        if (frame.width, frame.height) != shown.coded_size:
            (width, height), (other_width, other_height) = shown.coded_size, (frame.width, frame.height)
            raise UserError(
                f"{str(self._path)!r} changes its frame size from {width}x{height} to {other_width}x{other_height} "
                f"at frame {number}: cut it there and give the parts one by one."
            )
        return shown.oriented(self._converted(frame).to_ndarray())

    def _converted(self, frame: Any) -> Any:
        """The frame as it is to be seen, before it is turned: cropped, progressive, of square pixels and in RGB."""
        shown = self._index.presentation
        size = shown.turned(self.image_size)
        if self._scaled or shown.filtered:
            name = frame.format.name
            if name not in self._filters:
                self._filters[name] = FrameFilter(frame, self._stream.time_base, shown, size if self._scaled else None)
            frame = self._filters[name](frame)
        return frame.reformat(*size, "rgb24", interpolation=None if size == shown.cropped_size else "BICUBIC")

    def _decode_to(self, pts: int) -> Any:
        """The frame that is shown at `pts`, or None if decoding never puts it out."""
        start = bisect_right(self._key_pts, pts) - 1
        key_pts = self._key_pts[start] if start >= 0 else None
        if self._last_pts is None or self._last_pts >= pts or (key_pts is not None and self._lies_ahead(key_pts)):
            self._start(None if key_pts is None else self._index.starts[start])
        for frame in self._frames:
            self._last_pts = frame.pts if frame.pts is not None else self._last_pts
            if frame.pts == pts:
                return frame
            if frame.pts is not None and frame.pts > pts:
                break
        return None

    def _lies_ahead(self, key_pts: int) -> bool:
        """Whether seeking a keyframe passes over frames: it does not where that keyframe comes next."""
        assert self._last_pts is not None
        return bisect_left(self._index.pts, key_pts) > bisect_right(self._index.pts, self._last_pts)

    def _start(self, key: tuple[int, int] | None) -> None:
        """Starts decoding at a keyframe (pts, dts), or at the start of the file if the container cannot seek there."""
        if key is not None and key[0] > self._key_pts[0]:
            if self._container is None:
                self._open()
            for time in key:  # with B-frames in mp4, seeking the dts ends at the keyframe before
                self._container.seek(time, stream=self._stream)
                packets = self._container.demux(self._stream)
                first = next(packets)
                if first.pts == key[0] or (time == key[1] and first.pts is not None and first.pts < key[0]):
                    self._frames, self._last_pts = _decode(chain([first], packets)), None
                    return
        self._open()

    def _open(self) -> None:
        import av

        if self._container is not None:
            self._container.close()
        self._container = av.open(str(self._path), metadata_errors="ignore")
        self._stream = self._container.streams[self._index.stream]
        frames = _decode(self._container.demux(self._stream))
        self._frames, self._last_pts = self._numbered(frames) if self._index.counted else frames, None

    def _numbered(self, frames: Iterable) -> Iterator:
        """The frames of the whole file with the times that the index gives them."""
        for pts, frame in zip(self._index.pts, frames, strict=False):  # a damaged file may end early
            frame.pts = pts
            yield frame


def _decode(packets: Iterable) -> Iterator:
    for packet in packets:
        yield from packet.decode()
