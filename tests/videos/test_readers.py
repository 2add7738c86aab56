"""Every decoder shows the same images as decoding the file from its start, or refuses the file."""

import random
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from sample_videos import COUNT, GROUPS, encode, number_in, uneven_ticks

from video_ae.errors import UserError
from video_ae.videos import pyav_reader
from video_ae.videos.base import VideoReader
from video_ae.videos.index import index_video
from video_ae.videos.open import open_video

DECODERS = ["torchcodec", "pyav", "decord"]
KINDS = ["closed", "open", "uneven", "matroska", "vp9", "avi", "odd", "tenbit", "turned90", "turned180", "turned270"]
KINDS += ["trimmed", "vp8", "long", "hevc"]
REFUSED = {("decord", kind) for kind in ("open", "turned90", "turned180", "turned270", "trimmed")}
REFUSED |= {("torchcodec", "trimmed")}


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param.replace("pyav", "av"), exc_type=(ImportError, OSError, RuntimeError))
    return request.param


def decoded_from_the_start(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The slow, obvious twin: (images, times) of plain sequential decoding."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    images = np.stack([np.rot90(f.to_ndarray(format="rgb24"), round(f.rotation / 90)) for f in frames])
    times = [float((frame.pts - frames[0].pts) * frame.time_base) for frame in frames]
    return torch.from_numpy(images.copy()).permute(0, 3, 1, 2), torch.tensor(times, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_every_order_of_reading_shows_the_same_images(videos: dict[str, Path], decoder: str, kind: str) -> None:
    path = videos[kind]
    if (decoder, kind) in REFUSED:
        with pytest.raises(UserError, match=r"use the decoder .*pyav"):
            open_video(path, decoder)
        return
    expected, times = decoded_from_the_start(path)
    reader = open_video(path, decoder)
    count = len(reader)
    assert count == len(expected)
    assert reader.image_size == (expected.shape[3], expected.shape[2])
    torch.testing.assert_close(reader.times, times, atol=1e-6, rtol=0)
    shuffled = random.Random(0).sample(range(count), count)
    orders = [shuffled, [count - 1, 0], [7, 7, 3], *([i] for i in shuffled), list(range(count))]
    for order in orders:
        difference = (reader.read(order).int() - expected[order].int()).abs().float()
        if kind in ("tenbit", "hevc"):  # decoders round 10 bits differently; another frame differs by 10 on average
            assert difference.mean() < 2
        else:
            assert difference.max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_auto_opens_everything_and_counts_as_written(videos: dict[str, Path], kind: str) -> None:
    reader = open_video(videos[kind])
    first = 22 if kind == "trimmed" else 0
    assert len(reader) == COUNT - first
    turns = {"turned90": 1, "turned180": 2, "turned270": 3}.get(kind, 0)
    images = reader.read([40 - first, 5]).permute(0, 2, 3, 1).numpy()
    undone = np.rot90(images, turns, (1, 2))  # the flag says how far clockwise to turn the stored image
    assert [number_in(image) for image in undone] == [40, 5 + first]


def test_times_of_uneven_frames(videos: dict[str, Path], decoder: str) -> None:
    expected = torch.tensor(uneven_ticks(COUNT), dtype=torch.float64) / 30
    torch.testing.assert_close(open_video(videos["uneven"], decoder).times, expected, atol=1e-6, rtol=0)


def test_open_groups_are_seen_in_the_packets(videos: dict[str, Path]) -> None:
    assert index_video(videos["open"]).open_group
    assert not index_video(videos["closed"]).open_group
    assert index_video(videos["trimmed"]).hidden > 0
    assert index_video(videos["closed"]).hidden == 0


def test_readers_keep_the_protocol_and_say_when_a_frame_does_not_exist(videos: dict[str, Path], decoder: str) -> None:
    reader = open_video(videos["closed"], decoder)
    assert isinstance(reader, VideoReader)
    assert reader.name == "closed"
    assert reader.read([]).shape == (0, 3, 48, 64)
    for wrong in (-1, COUNT):
        with pytest.raises(IndexError, match="0 to 59"):
            reader.read([wrong])


def test_one_frame_is_readable_but_can_be_refused(tmp_path: Path, decoder: str) -> None:
    reader = open_video(encode(tmp_path / "one.mp4", count=1), decoder)
    assert (len(reader), number_in(reader.read([0])[0].permute(1, 2, 0).numpy())) == (1, 0)


def test_pyav_seeks_instead_of_decoding_from_the_start(videos: dict[str, Path], monkeypatch) -> None:
    reader = open_video(videos["closed"], "pyav")
    opened = []
    original = reader._open
    monkeypatch.setattr(reader, "_open", lambda: (opened.append(1), original()))
    for number in (50, 51, 20, 35):
        reader.read([number])
    assert len(opened) == 1


@pytest.mark.parametrize("kind", ["closed", "matroska", "hevc", "open"])
def test_pyav_decodes_no_frame_in_vain(videos: dict[str, Path], monkeypatch, kind: str) -> None:
    """A keyframe comes every 15 frames, of which one is shown: those before it are not decoded for a frame after it."""
    decoded: list[int] = []
    decode = pyav_reader._decode
    monkeypatch.setattr(
        pyav_reader, "_decode", lambda packets: (decoded.append(1) or frame for frame in decode(packets))
    )
    reader = open_video(videos[kind], "pyav")
    reader.read(range(COUNT))
    assert len(decoded) == COUNT
    reader.read([37])
    assert len(decoded) <= COUNT + 15
    reader.read([38, 39])
    assert len(decoded) <= COUNT + 17


def test_cut_off_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = encode(tmp_path / "cut.mkv", options=GROUPS["closed"])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    reader = open_video(path)
    assert 15 <= len(reader) < COUNT
    assert number_in(reader.read([10])[0].permute(1, 2, 0).numpy()) == 10


def test_changing_size_is_named(tmp_path: Path) -> None:
    small, large = (encode(tmp_path / f"{w}.h264", size=(w, 48), count=5, options={"bf": "0"}) for w in (64, 96))
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    mixed = tmp_path / "mixed.mkv"
    with av.open(str(joined)) as reader, av.open(str(mixed), "w") as writer:
        out = writer.add_stream_from_template(reader.streams.video[0])
        for number, packet in enumerate(p for p in reader.demux(video=0) if p.size):
            packet.pts = packet.dts = number * 48000
            packet.stream = out
            writer.mux(packet)
    with pytest.raises(UserError, match="changes its frame size from 64x48 to 96x48"):
        open_video(mixed, "pyav").read(range(10))
