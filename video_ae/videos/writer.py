"""Writing of videos as H.264 files that play everywhere."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically

# A constant rate factor visually close to lossless; with x264's macroblock tree the bytes differ from run to run.
_OPTIONS = {"crf": "17", "preset": "medium", "x264-params": "mbtree=0"}


def write_video(
    path: str | Path,
    frames: Iterable[UInt8[Tensor, "3 height width"] | Float[Tensor, "3 height width"]],
    fps: float | int = 30.0,
) -> int:
    """Writes frames as H.264, yuv420p. The same frames give the same bytes.

    Odd widths and heights get one more column or row, a copy of the last one, since yuv420p requires even sides. The
    file appears under its name only when it is complete.

    Args:
        path: of the file; missing folders are made.
        frames: RGB, bytes or floats in [0, 1] (clamped); a tensor [frame, 3, height, width], or one after another.
        fps: frames per second.

    Returns:
        How many frames were written.

    Raises:
        UserError: there are no frames, the rate is not positive, or the folder cannot be written.
    """
    path = Path(path).absolute()  # in a relative path FFmpeg takes what stands before a colon for a protocol
    following = iter(frames)
    if (first := next(following, None)) is None:
        raise UserError(f"There are no frames to write to {str(path)!r}.")
    if not fps > 0:
        raise UserError(f"A video needs a frame rate above zero, not {fps}.")
    rate = Fraction(fps).limit_denominator(1001)
    written: list[int] = []
    write_atomically(path, lambda temporary: written.append(_encode(temporary, first, following, rate)))
    return written[0]


def _encode(path: Path, first: Tensor, following: Iterator[Tensor], rate: Fraction) -> int:
    """How many frames were written."""
    import av

    height, width = first.shape[-2:]
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        count = 0
        for frame in chain([first], following):
            encoded = av.VideoFrame.from_ndarray(_even_rgb(frame), format="rgb24")
            encoded.pts, encoded.time_base = count, 1 / rate
            container.mux(stream.encode(encoded))
            count += 1
        container.mux(stream.encode())
    return count


def _even_rgb(frame: Tensor) -> np.ndarray:
    """uint8 [height, width, 3] with even sides."""
    if frame.is_floating_point():
        frame = (frame.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = frame.permute(1, 2, 0).cpu().numpy()
    return np.pad(pixels, [(0, side % 2) for side in pixels.shape[:2]] + [(0, 0)], "edge")
