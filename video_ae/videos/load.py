"""Reading of clips: which frames, at which size."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.resize import Fit, Resizing, as_floats, plan_resizing
from video_ae.steps import scratch
from video_ae.types import VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.open import open_video

CHUNK_VALUES = 2**24  # source values decoded at once: 16 MB
CHUNK_FRAMES = 32  # at most: the next ones are decoded while these are worked on


def load_clip(
    source: str | Path | VideoReader,
    stride: int = 1,
    frames: int | None = None,
    size: int | tuple[int, int] | None = None,
    decoder: str = "auto",
    fit: Fit = "stretch",
    as_bytes: bool = False,
) -> VideoClip:
    """A clip of a video, without batch axis. Frames are decoded in chunks and resized at once, to save memory.

    Args:
        source: a video file, a folder of images, or an open reader.
        stride: every `stride`-th frame is taken.
        frames: and of those the first so many; None takes all.
        size: None keeps the source's size, a number is the shorter side, (width, height) is exact.
        decoder: see `open_video`.
        fit: with (width, height), "stretch" or "crop", as in `plan_resizing`.
        as_bytes: whether frames are left as bytes.

    Raises:
        UserError: as `open_video`; and for a stride or a number of frames below 1.
    """
    if stride < 1 or (frames is not None and frames < 1):
        raise UserError(f"Stride {stride} and number of frames {frames} were given: both must be at least 1.")
    reader = open_video(source, decoder) if isinstance(source, str | Path) else source
    return read_clip(reader, range(0, len(reader), stride)[:frames], size, fit, as_bytes)


def read_clip(
    reader: VideoReader,
    indices: Sequence[int],
    size: int | tuple[int, int] | None = None,
    fit: Fit = "stretch",
    as_bytes: bool = False,
) -> VideoClip:
    """Some frames of a reader as a clip, without batch axis.

    Args:
        reader: an open video.
        indices: frame numbers, in any order.
        size: None keeps the source's size, a number is the shorter side, (width, height) is exact.
        fit: with (width, height), "stretch" or "crop", as in `plan_resizing`.
        as_bytes: whether frames are left as bytes.
    """
    numbers = torch.tensor(list(indices), dtype=torch.int64)
    resizing = plan_resizing(reader.image_size, size, fit)
    width, height = resizing.size
    frames = scratch((len(numbers), 3, height, width), torch.uint8 if as_bytes else torch.float32)
    for start, chunk in read_resized_bytes(reader, indices, resizing):
        frames[start : start + len(chunk)] = chunk if as_bytes else as_floats(chunk)
    return VideoClip(frames, numbers, reader.times[numbers], name=reader.name)


def read_resized_bytes(
    reader: VideoReader, indices: Sequence[int], resizing: Resizing
) -> Iterator[tuple[int, UInt8[Tensor, "frame 3 height width"]]]:
    """Resized frames in 0 .. 255, chunk by chunk, each with the position in `indices` of its first frame.

    Two chunks of the source are in memory: the next one is decoded on another thread while one is processed.

    Args:
        reader: an open video.
        indices: frame numbers, in any order.
        resizing: as `plan_resizing` makes it for the reader's size.
    """
    step = min(CHUNK_FRAMES, max(1, CHUNK_VALUES // (3 * reader.image_size[0] * reader.image_size[1])))
    starts = range(0, len(indices), step)
    chunks = [list(indices[start : start + step]) for start in starts]
    with ThreadPoolExecutor(1) as decoding:
        ahead = deque(decoding.submit(reader.read, chunk) for chunk in chunks[:1])
        for number, start in enumerate(starts, 1):
            frames = ahead.popleft().result()
            ahead.extend(decoding.submit(reader.read, chunk) for chunk in chunks[number : number + 1])
            yield start, resizing.bytes(frames)
