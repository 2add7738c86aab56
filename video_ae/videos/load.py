"""A path from the user -> a clip in memory."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.resize import Fit, Resizing, plan_resizing
from video_ae.types import VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.open import open_video

CHUNK_VALUES = 2**24  # source values decoded at once: 16 MB


def load_clip(
    source: str | Path | VideoReader,
    stride: int = 1,
    frames: int | None = None,
    size: int | tuple[int, int] | None = None,
    decoder: str = "auto",
    fit: Fit = "stretch",
) -> VideoClip:
    """Every `stride`-th frame of a video, and of those the first `frames` (all by default), without batch axis.

    size: None keeps the source's size, a number is the shorter side, (width, height) is exact (`fit` as in
    `plan_resizing`). Frames are decoded in chunks and shrunk at once, so memory holds the small ones only. The source's
    own size is `open_video(path).image_size`; pass the reader as `source` to look at it and open the file once.
    Raises UserError as `open_video` does, and for a stride or a number of frames below 1.
    """
    if stride < 1 or (frames is not None and frames < 1):
        raise UserError(f"Stride {stride} and number of frames {frames} were given: both must be at least 1.")
    reader = open_video(source, decoder) if isinstance(source, str | Path) else source
    return read_clip(reader, range(0, len(reader), stride)[:frames], size, fit)


def read_clip(
    reader: VideoReader, indices: Sequence[int], size: int | tuple[int, int] | None = None, fit: Fit = "stretch"
) -> VideoClip:
    """The frames `indices` of a reader as a clip; sizes as in `load_clip`."""
    numbers = torch.tensor(list(indices), dtype=torch.int64)
    resizing = plan_resizing(reader.image_size, size, fit)
    width, height = resizing.size
    frames = torch.empty(len(numbers), 3, height, width)
    for start, chunk in read_resized(reader, indices, resizing):
        frames[start : start + len(chunk)] = chunk
    return VideoClip(frames, numbers, reader.times[numbers], name=reader.name)


def read_resized(
    reader: VideoReader, indices: Sequence[int], resizing: Resizing
) -> Iterator[tuple[int, Float[Tensor, "frame 3 height width"]]]:
    """(place of the first one, resized frames in [0, 1]) chunk by chunk."""
    for start, chunk in read_resized_bytes(reader, indices, resizing):
        yield start, chunk.to(torch.float32) / 255


def read_resized_bytes(
    reader: VideoReader, indices: Sequence[int], resizing: Resizing
) -> Iterator[tuple[int, UInt8[Tensor, "frame 3 height width"]]]:
    """(place of the first one, resized frames in 0 .. 255) chunk by chunk.

    Two chunks of the source are held: the next one is decoded on another thread while one is worked on.
    """
    step = max(1, CHUNK_VALUES // (3 * reader.image_size[0] * reader.image_size[1]))
    starts = range(0, len(indices), step)
    chunks = [list(indices[start : start + step]) for start in starts]
    with ThreadPoolExecutor(1) as decoding:
        ahead = deque(decoding.submit(reader.read, chunk) for chunk in chunks[:1])
        for number, start in enumerate(starts, 1):
            frames = ahead.popleft().result()
            ahead.extend(decoding.submit(reader.read, chunk) for chunk in chunks[number : number + 1])
            yield start, resizing.bytes(frames)
