"""Batches that are on the device before the step needs them."""

from collections.abc import Callable, Iterable, Iterator

import torch

from video_ae.datasets.byte_clips import ByteClip
from video_ae.types import VideoClip


class DeviceBatches:
    """Bytes from a loader -> finished clips on the device, one batch ahead.

    On CUDA the copy (from pinned memory) and `finish` of the next batch run on a stream of their own while the step
    computes on the current one. Elsewhere the same calls happen in the same order, one after the other.

    Args:
        loader: batches of bytes.
        device: where the clips are needed.
        finish: scales, converts and augments a batch; it runs on the device.
    """

    def __init__(
        self, loader: Iterable[list[ByteClip]], device: torch.device, finish: Callable[[list[ByteClip]], VideoClip]
    ) -> None:
        self.loader, self._device, self._finish = loader, device, finish

    def __iter__(self) -> Iterator[VideoClip]:
        stream = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        ahead: VideoClip | None = None
        for batch in self.loader:
            with torch.cuda.stream(stream):  # None: the current stream, and nothing at all without CUDA
                coming = self._finish([clip.to(self._device, non_blocking=True) for clip in batch])
            if ahead is not None:
                yield ahead
            if stream is not None:
                _hand_over(coming, stream)
            ahead = coming
        if ahead is not None:
            yield ahead


def _hand_over(clip: VideoClip, stream: torch.cuda.Stream) -> None:
    """Lets the current stream wait for the clip, and keeps its memory until that stream is done with it."""
    current = torch.cuda.current_stream(stream.device)
    current.wait_stream(stream)
    clip.record_stream(current)
