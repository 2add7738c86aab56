"""torchcodec: the fastest exact decoder, where it imports (it needs FFmpeg's shared libraries)."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from video_ae.errors import UserError, unreadable_as
from video_ae.videos.index import IndexedVideo, VideoIndex

TIME_TOLERANCE = 1e-4  # seconds


class TorchCodecReader(IndexedVideo):
    """torchcodec with exact seeking, checked against the file's packets.

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
        if self._index.obstacle:
            raise UserError(
                f"{str(self._path)!r} has {self._index.obstacle}, which torchcodec leaves as it is: use the decoder "
                "pyav."
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
