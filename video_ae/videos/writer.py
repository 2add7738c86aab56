"""Writing of videos as H.264 files that play everywhere."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically

# A constant rate factor visually close to lossless ("medium": 0.25 dB more of 42, for 2.4 times the time); with x264's
# macroblock tree the bytes differ from run to run.
_OPTIONS = {"crf": "17", "preset": "veryfast", "x264-params": "mbtree=0"}
_BT709, _LIMITED = 1, 1  # numbers of ITU-T H.273 and of FFmpeg: what players take HD for that is not tagged
_UNEVEN = 1e-3  # seconds that a frame lies off an even rate
_TICKS = (90000, 1000, 1)  # a second, for frames at uneven times: every usual rate is a whole number of the first
_MOST_TICKS = 2**27  # between two frames: mp4 has 31 bits from where a frame stands to where it is shown
_SLOWEST = 0.01  # frames a second that are written as a rate


def write_video(
    path: str | Path,
    frames: Iterable[UInt8[Tensor, "3 height width"] | Float[Tensor, "3 height width"]],
    fps: float | int = 30.0,
    times: Float64[Tensor, "frame"] | None = None,
) -> int:
    """Writes frames as H.264, yuv420p, in the colours of BT.709, and tagged so. The same frames give the same bytes.

    Odd widths and heights get one more column or row, a copy of the last one, since yuv420p requires even sides. The
    file appears under its name only when it is complete.

    Args:
        path: of the file; missing folders are made.
        frames: RGB, bytes or floats in [0, 1] (clamped); a tensor [frame, 3, height, width], or one after another.
        fps: frames per second.
        times: instead of a rate, the seconds at which each frame is shown, ascending.

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
    timing = _Timing.even(fps) if times is None else _Timing.of(times)
    written: list[int] = []
    write_atomically(path, lambda temporary: written.append(_encode(temporary, first, following, timing)))
    return written[0]


def last_duration(times: Float64[Tensor, "frame"]) -> float:
    """Seconds that the last frame is shown: as long as the middle one of the others.

    Args:
        times: of two frames or more.
    """
    return float(times.diff().median())


@dataclass(frozen=True)
class _Timing:
    """When frames are shown: ticks of 1 / `base` seconds, each with how many ticks it lasts."""

    rate: Fraction
    base: Fraction
    ticks: Iterable[tuple[int, int]]
    counted: int | None = None  # ticks a second of the file, where FFmpeg would choose shorter ones than fit

    @classmethod
    def even(cls, fps: float | int) -> "_Timing":
        rate = Fraction(fps).limit_denominator(1001) or Fraction(1, round(1 / fps))
        return cls(rate, rate, ((number, 1) for number in count()))

    @classmethod
    def of(cls, times: Float64[Tensor, "frame"]) -> "_Timing":
        if len(times) < 2:
            return cls.even(1)
        shown = times - times[0]
        rate = float((len(times) - 1) / shown[-1])
        if rate > _SLOWEST and (shown - torch.arange(len(times)) / rate).abs().max() < _UNEVEN:
            return cls.even(round(rate, 3))
        ends = torch.cat([shown, shown[-1:] + last_duration(times)])
        base = next((base for base in _TICKS if ends.diff().max() * base <= _MOST_TICKS), _TICKS[-1])
        numbers = torch.arange(len(ends))  # frames closer than a tick follow each other by one
        stamps = ((ends * base).round().long() - numbers).cummax(0).values + numbers
        ticks = [(start, end - start) for start, end in pairwise(stamps.tolist())]
        nominal = Fraction(rate).limit_denominator(1001) or Fraction(1, 1001)
        return cls(nominal, Fraction(base), ticks, None if base == _TICKS[0] else base)


def _encode(path: Path, first: Tensor, following: Iterator[Tensor], timing: _Timing) -> int:
    """How many frames were written."""
    import av

    height, width = first.shape[-2:]
    options = {"movflags": "faststart"}
    if timing.counted is not None:
        options["video_track_timescale"] = str(timing.counted)
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=timing.rate, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / timing.base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        lasts: dict[int, int] = {}
        for frame, (start, duration) in zip(chain([first], following), timing.ticks, strict=False):
            encoded = _limited_yuv(_even_rgb(frame))
            encoded.pts, encoded.time_base, lasts[start] = start, 1 / timing.base, duration
            _mux(container, stream.encode(encoded), lasts)
        _mux(container, stream.encode(), lasts)
    return len(lasts)


def _mux(container: Any, packets: Iterable[Any], lasts: dict[int, int]) -> None:
    for packet in packets:
        packet.duration = lasts[packet.pts]
        container.mux(packet)


def _limited_yuv(pixels: np.ndarray) -> Any:
    """uint8 [height, width, 3] as a frame of yuv420p by BT.709."""
    import av

    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    converted = frame.reformat(format="yuv420p", dst_colorspace=_BT709)
    converted.colorspace = converted.color_primaries = converted.color_trc = _BT709
    converted.color_range = _LIMITED
    return converted


def _even_rgb(frame: Tensor) -> np.ndarray:
    """uint8 [height, width, 3] with even sides."""
    if frame.is_floating_point():
        frame = (frame.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = frame.permute(1, 2, 0).cpu().numpy()
    return np.pad(pixels, [(0, side % 2) for side in pixels.shape[:2]] + [(0, 0)], "edge")
