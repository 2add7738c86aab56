"""Small video files of every kind that a user may bring, written by the tests themselves."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, COUNT = 64, 48, 60
GROUPS = {  # x264's grouping of pictures: how far a decoder has to go back before it can start
    "closed": {"x264-params": "open-gop=0:bframes=3:keyint=15:min-keyint=15:scenecut=0"},
    "long": {"x264-params": "bframes=3:keyint=250:min-keyint=250:scenecut=0"},
    "open": {"x264-params": "open-gop=1:bframes=3:keyint=15:min-keyint=15:scenecut=0:b-adapt=0"},
}
# As recent phones record: ten bits and B-frames.
HEVC = {"x265-params": "keyint=15:min-keyint=15:bframes=3:open-gop=0:log-level=none"}
# Invisible reference frames: packets that show nothing.
VP8 = {"g": "15", "b": "400k", "auto-alt-ref": "1", "lag-in-frames": "10", "arnr-maxframes": "5"}


def image(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A moving ramp with the frame's number written in binary as bright and dark columns along the top."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image = np.stack([(x * 3 + number * 4) % 200, y * 3 + 0 * x, 90 + 0 * x], -1)
    for bit in range(8):
        image[: height // 3, bit * width // 8 : (bit + 1) * width // 8] = 230 if number >> bit & 1 else 20
    return image.astype(np.uint8)


def number_in(image: np.ndarray) -> int:
    """The number that `image` wrote, read back from an upright decoded image [height, width, 3]."""
    width = image.shape[1]
    centres = [int((bit + 0.5) * width / 8) for bit in range(8)]
    return sum(1 << bit for bit, x in enumerate(centres) if image[image.shape[0] // 8, x].mean() > 125)


def encode(
    path: Path,
    count: int = COUNT,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pixel_format: str = "yuv420p",
) -> Path:
    """`count` numbered images; `ticks` are presentation times in 1/30 s (0, 1, 2.. by default)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.time_base = stream.codec_context.time_base = Fraction(1, 30)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(image(number, *size), format="rgb24")
            frame.pts, frame.time_base = number if ticks is None else ticks[number], Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn(path: Path, degrees: int) -> Path:
    """Writes the rotation flag of a phone into the track header of an mp4 file (ISO 14496-12, 8.3.2)."""
    rows = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    a, b, c, d = (np.array(value * 65536, ">i4").tobytes() for value in rows)
    zero, one = bytes(4), np.array(1 << 30, ">i4").tobytes()
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # version 0: 40 bytes stand before the 3x3 matrix
    content[start : start + 36] = a + b + zero + c + d + zero + zero + zero + one
    path.write_bytes(content)
    return path


def trim(source: Path, path: Path, first: int) -> Path:
    """A stream copy that starts in the middle of a group of pictures: frames before `first` stay in, marked hidden."""
    with av.open(str(source)) as reader, av.open(str(path), "w") as writer:
        stream = reader.streams.video[0]
        out = writer.add_stream_from_template(stream)
        step = int(1 / 30 / stream.time_base)
        packets = [packet for packet in reader.demux(stream) if packet.dts is not None]
        start = max(i for i, packet in enumerate(packets) if packet.is_keyframe and packet.pts <= first * step)
        for packet in packets[start:]:
            packet.pts, packet.dts, packet.stream = packet.pts - first * step, packet.dts - first * step, out
            writer.mux(packet)
    return path


def sound(path: Path) -> Path:
    """Half a second of silence and no image."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac" if path.suffix == ".mp4" else "pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=16000)
        for piece in resampler.resample(frame):
            container.mux(stream.encode(piece))
        container.mux(stream.encode())
    return path


def uneven_ticks(count: int) -> list[int]:
    """Presentation times of a phone in the dark: steps of one to four thirtieths."""
    return np.cumsum([0, *(1 + (7 * i) % 4 for i in range(count - 1))]).tolist()
