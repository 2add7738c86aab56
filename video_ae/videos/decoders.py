"""The decoders of video files, torchcodec, PyAV and decord: they agree on what frame `i` is, or refuse the file."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from video_ae.errors import UserError, unreadable_as
from video_ae.videos.index import IndexedVideo, VideoIndex

TIME_TOLERANCE = 1e-4  # seconds, of torchcodec
DECORD_TOLERANCE = 2e-3  # seconds; decord keeps times as float32


class TorchCodecReader(IndexedVideo):
    """torchcodec with exact seeking, checked against the file's packets.

    The fastest exact decoder, where it imports (it needs FFmpeg's shared libraries).

    Refuses files with an edit list that hides frames: torchcodec 0.13 finds the wrong keyframe in some of them
    (docs/decoders.md).

    Args:
        path: of the video file.
        index: of its frames; read from the file by default.

    Raises:
        UserError: torchcodec does not import or is not exact on this file, or the file is no video.
    """

    def __init__(self, path: str | Path, index: VideoIndex | None = None) -> None:
        super().__init__(path, index)
        decoder_class = import_torchcodec()
        if self._index.hidden:
            raise UserError(
                f"{str(self._path)!r} has an edit list that hides frames, where torchcodec reads wrong ones: "
                "use the decoder pyav."
            )
        with unreadable_as(f"torchcodec cannot open {str(self._path)!r}: use the decoder pyav."):
            self._decoder = decoder_class(
                str(self._path), stream_index=self._index.stream, seek_mode="exact", device="cpu"
            )
        if len(self._decoder) != len(self._index.pts):
            raise UserError(
                f"torchcodec finds {len(self._decoder)} frames in {str(self._path)!r}, but there are "
                f"{len(self._index.pts)}: use the decoder pyav."
            )
        self._first = self._index.pts[0] * float(self._index.time_base)

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        part = f"frames {min(numbers)} to {max(numbers)} of {str(self._path)!r}"
        with unreadable_as(f"torchcodec cannot read {part}, which may be damaged: try the decoder pyav."):
            batch = self._decoder.get_frames_at(numbers)
        shown_at = batch.pts_seconds.to(torch.float64) - self._first
        if (shown_at - self.times[numbers]).abs().max() > TIME_TOLERANCE or batch.data.shape[:1:-1] != self.image_size:
            raise UserError(f"torchcodec reads wrong frames from {str(self._path)!r}: use the decoder pyav.")
        return batch.data


def import_torchcodec() -> Any:
    """The class `torchcodec.decoders.VideoDecoder`.

    Raises:
        UserError: torchcodec is missing or does not fit this torch or FFmpeg.
    """
    needed = "The decoder torchcodec does not import here (it needs FFmpeg's shared libraries): use the decoder pyav."
    with unreadable_as(needed, None, ImportError):
        from torchcodec.decoders import VideoDecoder
    return VideoDecoder


class PyAVReader(IndexedVideo):
    """PyAV: exact everywhere, brings its own FFmpeg.

    Seeks the last keyframe at or before a frame and decodes from there; reading forwards never seeks.

    Frames are identified by their presentation times, never by counting from a seek, which makes edit lists, open
    groups of pictures and variable frame rates exact.

    Args:
        path: of the video file.
        index: of its frames; read from the file by default.

    Raises:
        UserError: the file is no video.
    """

    def __init__(self, path: str | Path, index: VideoIndex | None = None) -> None:
        super().__init__(path, index)
        self._key_pts = [pts for pts, _ in self._index.starts]
        self._frames: Iterator = iter(())
        self._container: Any = None  # an av.container.InputContainer
        self._stream: Any = None
        self._last_pts: int | None = None  # of the frame that was decoded last; None: no decoding under way

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        frames = torch.empty(len(numbers), *self.image_size[::-1], 3, dtype=torch.uint8)
        wanted = torch.tensor(numbers)
        for number in sorted(set(numbers)):
            frames[wanted == number] = torch.from_numpy(self._upright_frame(number))
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
        upright = np.rot90(frame.to_ndarray(format="rgb24"), self._index.quarter_turns)
        if upright.shape[1::-1] != self.image_size:
            (width, height), (other_width, other_height) = self.image_size, upright.shape[1::-1]
            raise UserError(
                f"{str(self._path)!r} changes its frame size from {width}x{height} to {other_width}x{other_height} "
                f"at frame {number}: cut it there and give the parts one by one."
            )
        return np.ascontiguousarray(upright)

    def _decode_to(self, pts: int) -> Any:
        """The frame that is shown at `pts`, or None if decoding never puts it out."""
        start = bisect_right(self._key_pts, pts) - 1
        key_pts = self._key_pts[start] if start >= 0 else None
        if self._last_pts is None or self._last_pts >= pts or (key_pts is not None and key_pts > self._last_pts):
            self._start(None if key_pts is None else self._index.starts[start])
        for frame in self._frames:
            self._last_pts = frame.pts if frame.pts is not None else self._last_pts
            if frame.pts == pts:
                return frame
            if frame.pts is not None and frame.pts > pts:
                break
        return None

    def _start(self, key: tuple[int, int] | None) -> None:
        """Starts decoding at a keyframe (pts, dts), or at the start of the file if the container cannot seek there."""
        if key is None or bisect_left(self._key_pts, key[0]) == 0:
            return self._open()
        if self._container is None:
            self._open()
        self._container.seek(key[1], stream=self._stream)
        packets = self._container.demux(self._stream)
        first = next(packets)
        if first.pts is None or first.pts > key[0]:
            return self._open()
        self._frames, self._last_pts = _decode(chain([first], packets)), None
        return None

    def _open(self) -> None:
        import av

        if self._container is not None:
            self._container.close()
        self._container = av.open(str(self._path), metadata_errors="ignore")
        self._stream = self._container.streams[self._index.stream]
        self._frames, self._last_pts = _decode(self._container.demux(self._stream)), None


def _decode(packets: Iterable) -> Iterator:
    for packet in packets:
        yield from packet.decode()


class DecordReader(IndexedVideo):
    """decord with one thread (with its default of 0, VP9 fails).

    Offered because many code bases use it, and guarded, because it can return wrong frames without an error.

    Args:
        path: of the video file.
        index: of its frames; read from the file by default.

    Raises:
        UserError: decord is not installed, or not exact on this file: an open group of pictures, an edit list that
            hides frames, a rotation flag, or another number of frames or other times than the file's own.
    """

    def __init__(self, path: str | Path, index: VideoIndex | None = None) -> None:
        super().__init__(path, index)
        decord = _import_decord()
        obstacles = {
            "an open group of pictures": self._index.open_group,
            "an edit list that hides frames": self._index.hidden,
            "a rotation flag": self._index.quarter_turns,
        }
        for reason in filter(obstacles.get, obstacles):
            raise UserError(self._refused(f"has {reason}, where decord reads wrong frames"))
        with unreadable_as(self._refused("cannot be opened by decord"), None, decord.DECORDError):
            self._decoder = decord.VideoReader(str(self._path), num_threads=1)
        if len(self._decoder) != len(self._index.pts):
            raise UserError(self._refused(f"has {len(self)} frames, but decord finds {len(self._decoder)}"))
        stamps = torch.from_numpy(self._decoder.get_frame_timestamp(list(range(len(self))))[:, 0].copy()).double()
        if ((stamps - stamps[0]) - self.times).abs().max() > DECORD_TOLERANCE:
            raise UserError(self._refused("has frames at other times than decord finds"))

    def _refused(self, reason: str) -> str:
        return f"{str(self._path)!r} {reason}: use the decoder torchcodec or pyav."

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        with unreadable_as(self._refused("cannot be read by decord"), None, _import_decord().DECORDError):
            frames = torch.from_numpy(self._decoder.get_batch(numbers).asnumpy())
        if frames.shape[2:0:-1] != self.image_size:
            raise UserError(self._refused("has another frame size than decord finds"))
        return frames.permute(0, 3, 1, 2)


def _import_decord():
    needed = "The decoder decord is not installed (it has builds for x86-64 only): use auto, torchcodec or pyav."
    with unreadable_as(needed, None, ImportError):
        import decord
    return decord
