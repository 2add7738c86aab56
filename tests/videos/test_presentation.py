"""Frames are shown as their container says: turned, mirrored, deinterlaced; and read where there is no index."""

import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from sample_videos import COUNT, GROUPS, encode, number_in

from video_ae.errors import UserError
from video_ae.videos.open import FallbackReader, open_video
from video_ae.videos.pyav_reader import PyAVReader

MATRICES = [m for m in product((-1, 0, 1), repeat=4) if abs(m[0] * m[3] - m[1] * m[2]) == 1 and sum(map(abs, m)) == 2]


def with_matrix(source: Path, path: Path, matrix: tuple[float, ...]) -> Path:
    """A stream copy whose display matrix is a, b, c, d."""
    a, b, c, d = (round(value * 65536) for value in matrix)
    with av.open(str(source)) as reader, av.open(str(path), "w") as writer:
        copy = writer.add_stream_from_template(reader.streams.video[0])
        copy.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for packet in reader.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                writer.mux(packet)
    return path


def moved(pixels: torch.Tensor, matrix: tuple[int, ...]) -> torch.Tensor:
    """The slow, obvious twin: each pixel of [3, height, width] where ISO 14496-12's matrix puts its centre."""
    a, b, c, d = matrix
    height, width = pixels.shape[1:]
    across, down = abs(a) * width + abs(c) * height, abs(b) * width + abs(d) * height
    shown = torch.zeros(3, down, across, dtype=pixels.dtype)
    for y, x in product(range(height), range(width)):
        u, v = x + 0.5 - width / 2, y + 0.5 - height / 2
        shown[:, int(b * u + d * v + down / 2), int(a * u + c * v + across / 2)] = pixels[:, y, x]
    return shown


def test_there_are_eight_matrices_of_quarter_turns_and_mirrors():
    assert len(MATRICES) == 8


@pytest.mark.parametrize("matrix", MATRICES)
def test_every_display_matrix_is_obeyed(videos: dict[str, Path], tmp_path: Path, matrix: tuple[int, ...]):
    path = with_matrix(videos["closed"], tmp_path / "turned.mp4", matrix)
    expected = moved(open_video(videos["closed"]).read([7])[0], matrix)
    for decoder in ("auto", "pyav", "torchcodec", "decord"):
        try:
            reader = open_video(path, decoder)
        except UserError:
            assert decoder in ("torchcodec", "decord")  # these may refuse
            continue
        assert reader.image_size == (expected.shape[2], expected.shape[1])
        assert (reader.read([7])[0].int() - expected.int()).abs().max() <= 2


def test_other_angles_are_named(videos: dict[str, Path], tmp_path: Path):
    path = with_matrix(videos["closed"], tmp_path / "turned.mp4", (0.866, 0.5, -0.5, 0.866))
    with pytest.raises(UserError, match=r"turned by -30 degrees, and only quarter turns are read"):
        open_video(path)


def insert(data: bytes, path: list[bytes], box: bytes) -> bytes:
    """An mp4 file with a further box at the end of the one at a path."""
    at, changed = 0, b""
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        inner = data[at + 8 : at + size]
        if kind == path[0]:
            inner = insert(inner, path[1:], box) if path[1:] else inner + box
        changed += struct.pack(">I4s", len(inner) + 8, kind) + inner
        at += size
    return changed


def all_around(path: Path) -> Path:
    """A file with the tag of Spherical Video V1 (github.com/google/spatial-media), as 360-degree cameras write it."""
    tags = {"StitchingSoftware": "any", "Spherical": "true", "Stitched": "true", "ProjectionType": "equirectangular"}
    said = "".join(f"<GSpherical:{tag}>{value}</GSpherical:{tag}>" for tag, value in tags.items()).encode()
    box = bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + said
    plain = encode(path.with_suffix(".mp4"), count=4).read_bytes()
    marked = insert(plain, [b"moov", b"trak"], struct.pack(">I4s", len(box) + 8, b"uuid") + box)
    path.with_suffix(".mp4").write_bytes(marked)  # the frames stand before `moov`: their places do not change
    return path.with_suffix(".mp4")


def for_two_eyes(path: Path) -> Path:
    return encode(path.with_suffix(".mp4"), count=4, options={"x264-params": "frame-packing=3"})


@pytest.mark.parametrize(
    ("make", "said"), [(all_around, r"is a 360-degree video, .* v360="), (for_two_eyes, r"two views .* stereo3d=")]
)
def test_frames_that_are_no_view_of_one_camera_are_refused(tmp_path: Path, make: Callable[[Path], Path], said: str):
    for decoder in ("auto", "torchcodec"):
        with pytest.raises(UserError, match=said):
            open_video(make(tmp_path / "video"), decoder)


def field_scene(time: float) -> np.ndarray:
    """[48, 64, 3]: a smooth wave that moves fast."""
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    wave = 128 + 100 * np.sin(x / 5 + time * 1.5) * np.cos(y / 9)
    return np.repeat(wave[..., None], 3, -1).astype(np.uint8)


def as_fields(frames: list[av.VideoFrame], mode: str) -> list[av.VideoFrame]:
    """Frames of which FFmpeg is told that they are interlaced."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=64, height=48, format="yuv420p", time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("setfield", mode=mode), graph.add("buffersink")).configure()
    marked = []
    for frame in frames:
        graph.push(frame)
        marked.append(graph.pull())
    return marked


@pytest.mark.parametrize(("first", "mode"), [(0, "tff"), (1, "bff")])
def test_interlaced_frames_show_one_moment(tmp_path: Path, first: int, mode: str):
    frames = []
    for number in range(10):
        woven = field_scene(number + 0.5)
        woven[first::2] = field_scene(number)[first::2]
        frames.append(av.VideoFrame.from_ndarray(woven, "rgb24").reformat(format="yuv420p"))
        frames[-1].pts, frames[-1].time_base = number, Fraction(1, 25)
    with av.open(str(tmp_path / "field.mp4"), "w") as container:
        options = {"qp": "4", "flags": "+ildct+ilme", "x264-params": f"{mode}=1"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in as_fields(frames, mode):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reader = open_video(tmp_path / "field.mp4")
    assert [note.split(":")[0] for note in reader.notes] == ["interlaced"]
    read = reader.read(range(10))
    for order in ([7, 3, 3], [9], [0, 5]):
        assert torch.equal(reader.read(order), read[order])
    moments = torch.from_numpy(np.stack([field_scene(number) for number in range(10)])).permute(0, 3, 1, 2)
    assert (read.float() - moments.float()).abs().mean() < 3  # 16 if both fields are kept
    for decoder in ("torchcodec", "decord"):
        with pytest.raises(UserError, match=r"interlaced|does not import|not installed"):
            open_video(tmp_path / "field.mp4", decoder)


def transport_stream(path: Path) -> Path:
    return encode(path.with_suffix(".ts"), options=GROUPS["closed"])


def program_stream(path: Path) -> Path:
    return encode(path.with_suffix(".mpg"), codec="mpeg2video", options={"g": "12", "bf": "2", "q": "2"})


def divx(path: Path) -> Path:
    return encode(path.with_suffix(".avi"), codec="mpeg4", options={"g": "12", "bf": "2", "q": "2"})


def h264_in_avi(path: Path) -> Path:
    return encode(path.with_suffix(".avi"), options=GROUPS["closed"])


@pytest.mark.parametrize("make", [transport_stream, program_stream, divx, h264_in_avi])
def test_files_without_an_index_of_keyframes_are_read(tmp_path: Path, make: Callable[[Path], Path]):
    path = make(tmp_path / "video")
    for decoder in ("auto", "pyav"):
        reader = open_video(path, decoder)
        assert len(reader) == COUNT
        torch.testing.assert_close(reader.times, torch.arange(COUNT).double() / 30, atol=1e-3, rtol=0)
        for order in ([40, 3, 39, 4, 59], list(range(COUNT))):
            assert [number_in(image) for image in reader.read(order).permute(0, 2, 3, 1).numpy()] == order
    with pytest.raises(UserError, match=r"use the decoder .*pyav|not installed"):
        open_video(path, "decord")


def test_auto_goes_on_with_pyav_where_torchcodec_fails_at_reading(tmp_path: Path):
    reader = open_video(transport_stream(tmp_path / "video"))
    if isinstance(reader, PyAVReader):
        pytest.skip("torchcodec does not import here")
    assert isinstance(reader, FallbackReader)
    reader.read([40])
    assert isinstance(reader._reader, PyAVReader)


def test_frames_that_share_a_time_are_all_read(tmp_path: Path):
    """As recordings of screens and network streams have them: FFmpeg shows these frames, too."""
    path = encode(tmp_path / "even.mkv", count=12, options={"bf": "0", "g": "4"})
    with av.open(str(path)) as reader, av.open(str(tmp_path / "video.mkv"), "w") as writer:
        copy = writer.add_stream_from_template(reader.streams.video[0])
        packets = [packet for packet in reader.demux(video=0) if packet.size]
        for number in (5, 9):
            packets[number].pts = packets[number].dts = packets[number - 1].pts
        for packet in packets:
            packet.stream = copy
            writer.mux(packet)
    reader = open_video(tmp_path / "video.mkv")
    assert [number_in(image) for image in reader.read(range(12)).permute(0, 2, 3, 1).numpy()] == list(range(12))
    assert [number_in(image) for image in reader.read([9, 2]).permute(0, 2, 3, 1).numpy()] == [9, 2]
    torch.testing.assert_close(reader.times, torch.arange(12).double() / 30, atol=0.04, rtol=0)
    assert (reader.times.diff() > 0).all()


def test_frames_with_exif_are_read(tmp_path):
    """PyAV 18.1 raises ValueError at side data of kinds that FFmpeg 8 has and it does not know."""
    exif = Image.Exif()
    exif[0x010F] = "a phone"
    Image.new("RGB", (64, 48), (200, 80, 10)).save(tmp_path / "photo.jpg", exif=exif)
    assert open_video(tmp_path / "photo.jpg", "pyav").read([0]).shape == (1, 3, 48, 64)
