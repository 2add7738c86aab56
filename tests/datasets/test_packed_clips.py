"""Packed frames: read at any place, streamed from elsewhere, and by LitData as well."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from packed_folder import COUNTS, frames_of, positions_of, write_packed
from PIL import Image

from video_ae.datasets import clip_sampler as sampling
from video_ae.datasets.byte_clips import finish_batch
from video_ae.datasets.clip_sampler import OVERLAP_GAPS, OverlapCurriculum
from video_ae.datasets.open import open_dataset
from video_ae.datasets.packed_videos import PackedVideos
from video_ae.datasets.shards import decode_jpeg, encode_jpeg
from video_ae.datasets.training_clips import MixedClips, RandomClips
from video_ae.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_packed(tmp_path / "packed")


def test_frames_are_those_that_the_clip_names(root: Path) -> None:
    source = open_dataset(root)
    assert isinstance(source, PackedVideos)
    assert source.names == [f"walk {number}é" for number in range(5)]
    assert source.skipped == {"bad": "no pictures"}
    assert len(list(root.glob("*.bin"))) > 2
    dataset = RandomClips(source, length=4, gap=(1, 5), clips=50, reverse=True)
    for position in range(50):
        clip = dataset[position]
        segment = int(clip.indices[0]) % 100
        numbers = (clip.indices - segment) / 100
        assert clip.name == f"walk {segment}é"
        torch.testing.assert_close(clip.frames.float().mean((1, 2, 3)), 8 * numbers, atol=1, rtol=0)
        torch.testing.assert_close(clip.times, 0.1 * numbers.double(), atol=1e-6, rtol=0)
    with pytest.raises(IndexError, match="0 to 19"):
        source.load(0, [20])
    with pytest.raises(IndexError):
        dataset[50]


def test_order_is_that_of_the_positions_for_any_number_of_workers_and_after_pickling(root: Path) -> None:
    dataset = RandomClips(PackedVideos(root), length=4, gap=(1, 3), clips=12, seed=3)
    alone = [
        (clip.name, clip.indices.tolist(), clip.position) for clip in map(dataset.__getitem__, reversed(range(12)))
    ]
    assert (
        alone[::-1]
        == positions_of(dataset, 0)
        == positions_of(dataset, 2)
        == positions_of(pickle.loads(pickle.dumps(dataset)), 0)
    )


def test_a_damaged_shard_costs_its_clips_and_not_the_run(root: Path, caplog) -> None:
    whole = [clip.name for clip in map(RandomClips(PackedVideos(root), 4, clips=30).__getitem__, range(30))]
    (root / "chunk-0-1.bin").write_bytes((root / "chunk-0-1.bin").read_bytes()[:300])
    dataset = RandomClips(PackedVideos(root), 4, clips=30)
    damaged = [clip.name for clip in map(dataset.__getitem__, range(30))]
    lost = {name for name in whole if name not in damaged}
    assert lost
    assert "damaged at item" in caplog.text
    assert all(one == other for one, other in zip(whole, damaged, strict=True) if one not in lost)
    for shard in root.glob("*.bin"):
        shard.write_bytes(shard.read_bytes()[:300])
    with pytest.raises(UserError, match="10 clips one after the other"):
        RandomClips(PackedVideos(root), 4, clips=30)[0]


def test_overlap_curriculum_widens_the_clips(root: Path) -> None:
    curriculum = OverlapCurriculum(0.75, 0.25, 1000)
    dataset = RandomClips(PackedVideos(root), length=3, gap=(1, 9), clips=2**40, curriculum=curriculum)

    def spans(start: int) -> list[int]:
        return [
            abs(int(clip.indices[-1] - clip.indices[0])) // 100
            for clip in map(dataset.__getitem__, range(start, start + 60))
        ]

    assert max(spans(0)) == 4, "three quarters are shared up to four frames apart"
    assert max(spans(500)) == 8
    assert max(spans(100_000)) == 12
    assert spans(100_000) == spans(100_000)


def test_many_shards_are_read_a_few_at_a_time_and_all_windows_stay_equally_likely(monkeypatch) -> None:
    monkeypatch.setattr(sampling, "POSITIONS_PER_BLOCK", 50)
    counts, shards = np.full(200, 12), np.arange(200) // 2
    counts[::2] = 22  # twice as many windows
    sampler = sampling.ClipSampler(counts, 3, shards=shards)
    seen = np.zeros(200)
    for block in range(150):
        videos = [sampler.choose(0, position).video for position in range(50 * block, 50 * block + 50)]
        assert {video // 2 for video in videos} <= set(sampler.shards_of_block(0, block))
        assert len(set(sampler.shards_of_block(0, block))) <= sampling.SHARDS_AT_A_TIME
        np.add.at(seen, videos, 1)
    assert seen[::2].sum() / seen[1::2].sum() == pytest.approx(2, rel=0.1)
    assert seen.reshape(-1, 2).sum(1).min() > 25, "seventy-five on average"


def test_litdata_reads_the_same_frames(root: Path) -> None:
    litdata = pytest.importorskip("litdata", reason="LitData is not installed (it brings torchvision along)")
    dataset = litdata.StreamingDataset(str(root), shuffle=False)
    expected = [frame for number, count in enumerate(COUNTS) for frame in frames_of(number, count)]
    assert len(dataset) == len(expected)
    for item, frame in zip((dataset[number] for number in range(len(expected))), expected, strict=True):
        jpeg, number, time = item
        assert (bytes(jpeg), number, time) == (frame.jpeg, frame.number, frame.time)


def test_what_is_no_complete_packed_folder(root: Path) -> None:
    (root / "packed.json").write_text("{")
    with pytest.raises(UserError, match=r"packed\.json that is damaged"):
        open_dataset(root)
    (root / "packed.json").write_text(json.dumps({"quarantined": {}, "overlap_gaps": [1, 2]}))
    with pytest.raises(UserError, match="another version"):
        open_dataset(root)
    (root / "packed.json").write_text(json.dumps({"quarantined": {}, "overlap_gaps": list(OVERLAP_GAPS)}))
    (root / "segments.npy").write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        open_dataset(root)


def test_a_table_with_several_values_in_a_column_of_one_is_refused(root: Path) -> None:
    table = np.load(root / "segments.npy")
    kinds = [(name, "<i4", (1,)) if name == "shard" else (name, table.dtype[name]) for name in table.dtype.names]
    np.save(root / "segments.npy", np.frombuffer(table.tobytes(), kinds))
    with pytest.raises(UserError, match=r"segments\.npy' is damaged"):
        open_dataset(root)


def test_an_image_of_more_pixels_than_its_bytes_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg = encode_jpeg(torch.zeros(3, 480, 640, dtype=torch.uint8))  # as small for its pixels as a frame gets
    assert decode_jpeg(jpeg).shape == (480, 640, 3)
    size = jpeg.index(b"\xff\xc0") + 5
    with pytest.raises(OSError, match="12288x9216"):
        decode_jpeg(jpeg[:size] + struct.pack(">HH", 9216, 12288) + jpeg[size + 4 :])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)  # Pillow raises an error of its own at more than twice this
    with pytest.raises(OSError, match="307200 pixels"):
        decode_jpeg(jpeg)


def test_batches_of_clips_of_several_sizes_become_one(root: Path) -> None:
    dataset = RandomClips(PackedVideos(root), 4, clips=3)
    batch = finish_batch([dataset[0], dataset[1]], (16, 16))
    assert batch.frames.shape == (2, 4, 3, 16, 16)
    expected = dataset[1].frames.float().mean((1, 2, 3)) / 255
    torch.testing.assert_close(batch.frames[1].mean((1, 2, 3)), expected, atol=1 / 255, rtol=0)


def test_gaps_in_seconds_follow_the_rate(root: Path) -> None:
    dataset = RandomClips(PackedVideos(root), length=3, clips=60, gap_seconds=(0.2, 0.4))  # ten frames a second
    steps = {int(clip.indices[1] - clip.indices[0]) // 100 for clip in map(dataset.__getitem__, range(60))}
    assert steps == {2, 3, 4}


def test_a_mixture_takes_each_source_by_its_weight_and_position_alone(root: Path) -> None:
    parts = [RandomClips(PackedVideos(root), 3, clips=2**30, seed=seed) for seed in (1, 2)]
    mixture = MixedClips({"one": (parts[0], 1.0), "two": (parts[1], 3.0)}, seed=4)
    found = [mixture[position] for position in range(400)]
    second = [torch.equal(clip.indices, parts[1][position].indices) for position, clip in enumerate(found)]
    assert 0.68 < sum(second) / 400 < 0.85
    for position in (399, 3, 77):
        assert torch.equal(mixture[position].frames, found[position].frames)
    with pytest.raises(UserError, match="'two' has the weight 0"):
        MixedClips({"one": (parts[0], 1.0), "two": (parts[1], 0.0)}, seed=4)
