"""Damages a video in ten ways, to see what becomes of a data set with such files in it.

    python tools/damage_videos.py data/walkthroughs/train/videos/train_0000_e3m7.mp4 --out damaged [--random 20]

Each file is named after what is wrong with it. `--random` adds files whose bytes are changed at random places.
`tools/try_damaged.py` does so with many files, and gives them to the commands.
"""

import argparse
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def zero_bytes(source: Path, path: Path) -> None:
    path.touch()


def truncated(source: Path, path: Path) -> None:
    """The table of contents says more than there is."""
    content = _fast_start(source, path)
    path.write_bytes(content[: len(content) // 2])


def no_index(source: Path, path: Path) -> None:
    """As a recorder leaves a file when its battery is empty: frames without a table of contents."""
    content = _fast_start(source, path)
    start = content.index(b"moov") - 4
    size = int.from_bytes(content[start : start + 4], "big")
    path.write_bytes(content[:start] + content[start + size :])


def text(source: Path, path: Path) -> None:
    path.write_text("<html>404: this video does not exist any more</html>\n" * 40)


def picture(source: Path, path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), (200, 80, 10)).save(path, "PNG")


def sound_only(source: Path, path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=16000)
        for piece in resampler.resample(frame):
            container.mux(stream.encode(piece))
        container.mux(stream.encode())


def one_frame(source: Path, path: Path) -> None:
    _encode(path, _frames(source)[:1])


def broken_middle(source: Path, path: Path) -> None:
    """The middle fifth of the frames is overwritten by zeros, as by a bad block of a disk."""
    content = bytearray(_fast_start(source, path))
    start = content.index(b"mdat") + 4
    length = len(content) - start
    first, last = start + length * 2 // 5, start + length * 3 // 5
    content[first:last] = bytes(last - first)
    path.write_bytes(content)


def mixed_size(source: Path, path: Path) -> None:
    """Two sizes one after the other in one stream, as a video call leaves it."""
    frames = _frames(source)[:10]
    parts = [path.with_suffix(f".{number}.h264") for number in range(2)]
    _encode(parts[0], frames, "h264")
    _encode(parts[1], [frame[: frame.shape[0] // 2 // 2 * 2] for frame in frames], "h264")
    joined = b"".join(part.read_bytes() for part in parts)
    parts[0].write_bytes(joined)
    with av.open(str(parts[0])) as reader, av.open(str(path), "w", format="matroska") as writer:
        out = writer.add_stream_from_template(reader.streams.video[0])
        for number, packet in enumerate(packet for packet in reader.demux(video=0) if packet.size):
            packet.pts = packet.dts = number * 48000
            packet.stream = out
            writer.mux(packet)
    for part in parts:
        part.unlink()


def noise(source: Path, path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(source.stat().st_size))


WAYS: dict[str, Callable[[Path, Path], None]] = {
    way.__name__: way
    for way in (
        zero_bytes, truncated, no_index, text, picture, sound_only, one_frame, broken_middle, mixed_size, noise,
    )
}  # fmt: skip


def damage(source: Path, out: Path) -> list[Path]:
    """Writes `out/WAY.mp4` for each of the ten ways."""
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, way in WAYS.items():
        paths.append(out / f"{name}.mp4")
        way(source, paths[-1])
    return paths


def _flip_bits(content: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice([1, 10, 200])):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def _cut_off(content: bytearray, draw: random.Random) -> None:
    del content[draw.randrange(len(content)) :]


def _damage_the_head(content: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice([1, 4, 16])):
        content[draw.randrange(min(600, len(content)))] = draw.randrange(256)


def _zero_a_block(content: bytearray, draw: random.Random) -> None:
    start, length = draw.randrange(len(content)), draw.choice([16, 512, 4096])
    content[start : start + length] = bytes(len(content[start : start + length]))


def _absurd_numbers(content: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice([1, 5])):
        start = draw.randrange(max(1, len(content) - 4))
        content[start : start + 4] = draw.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)])


def _move_a_block(content: bytearray, draw: random.Random) -> None:
    start, length = draw.randrange(len(content)), draw.choice([8, 200, 3000])
    block = content[start : start + length]
    del content[start : start + length]
    to = draw.randrange(len(content) + 1)
    content[to:to] = block * draw.choice([1, 2])


CHANGES = (_flip_bits, _cut_off, _damage_the_head, _zero_a_block, _absurd_numbers, _move_a_block)


def damage_at_random(source: Path, out: Path, count: int, seed: int) -> list[Path]:
    """Writes `out/STEM-NUMBER-CHANGE.SUFFIX`, each with one change of the bytes of a file.

    Args:
        source: any file.
        out: folder.
        count: of files; the changes take turns.
        seed: of the places.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        change = CHANGES[number % len(CHANGES)]
        content = bytearray(source.read_bytes())
        change(content, random.Random(f"{seed} {source.name} {number}"))
        paths.append(out / f"{source.stem}-{number:03d}{change.__name__}{source.suffix}")
        paths[-1].write_bytes(content)
    return paths


def _fast_start(source: Path, path: Path) -> bytes:
    """The video with its table of contents in front."""
    with av.open(str(source)) as reader, av.open(str(path), "w", options={"movflags": "faststart"}) as writer:
        out = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.dts is not None:
                packet.stream = out
                writer.mux(packet)
    return path.read_bytes()


def _frames(source: Path) -> list[np.ndarray]:
    with av.open(str(source)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _encode(path: Path, frames: list[np.ndarray], format: str = "mp4") -> None:
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--random", type=int, default=0)
    given = parser.parse_args()
    for path in damage(given.source, given.out) + damage_at_random(given.source, given.out, given.random, 0):
        print(path)


if __name__ == "__main__":
    main()
