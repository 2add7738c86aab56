"""Clips for training."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from video_ae.datasets import training_clips
from video_ae.datasets.byte_clips import finish_batch
from video_ae.datasets.training_clips import MemoryVideos, RandomClips, fair_share
from video_ae.datasets.video_folder import VideoFolder
from video_ae.errors import UserError
from video_ae.videos.writer import write_video


def _grey(count: int) -> torch.Tensor:
    """Frame `i` is grey of value 10 i."""
    return (torch.arange(count)[:, None, None, None] * 10).expand(count, 3, 32, 48).to(torch.uint8)


def _clips(source: VideoFolder, size: tuple, length: int, gap=(1, 1), max_frames=8_000, **sampling) -> RandomClips:
    return RandomClips(MemoryVideos(source, size, length, gap, max_frames), length, gap, **sampling)


@pytest.fixture
def source(tmp_path: Path) -> VideoFolder:
    for name, count in (("a", 20), ("b", 12), ("c", 3)):
        write_video(tmp_path / f"{name}.mp4", _grey(count), fps=10)
    return VideoFolder(tmp_path)


def test_frames_are_those_that_the_clip_names(source: VideoFolder) -> None:
    clips = _clips(source, (24, 24), length=4, gap=(1, 3), clips=30, reverse=True)
    assert clips.videos.names == ["a", "b"]
    assert "3 frames are fewer than the 4" in clips.videos.skipped["c"]
    for position in range(len(clips)):
        clip = clips[position]
        assert clip.frames.shape == (4, 3, 24, 24)
        assert clip.frames.dtype == torch.uint8
        torch.testing.assert_close(clip.frames.float().mean((1, 2, 3)), clip.indices * 10.0, atol=2, rtol=0)
        torch.testing.assert_close(clip.times, clip.indices / 10.0, check_dtype=False)
    with pytest.raises(IndexError):
        clips[30]


def test_workers_change_nothing(source: VideoFolder) -> None:
    clips = _clips(source, (24, 16), length=3, clips=8, seed=5)
    batches = [
        [
            finish_batch(batch, (24, 16))
            for batch in DataLoader(clips, batch_size=4, num_workers=workers, collate_fn=list)
        ]
        for workers in (0, 2)
    ]
    assert len(batches[0]) == 2
    for alone, together in zip(*batches, strict=True):
        assert alone.frames.shape == (4, 3, 3, 16, 24)
        assert torch.equal(alone.frames, together.frames)
        assert torch.equal(alone.indices, together.indices)
        assert alone.name == together.name


def test_the_cap_cuts_long_videos_from_both_ends(source: VideoFolder) -> None:
    clips = _clips(source, (24, 16), length=4, clips=50, max_frames=23)
    assert clips.videos.table["frames"] == [10, 10]
    seen = {int(i) for p in range(50) for i in clips[p].indices if clips[p].name == "a"}
    assert min(seen) >= 5
    assert max(seen) <= 14


def test_chunks_do_not_change_the_frames(source: VideoFolder, monkeypatch) -> None:
    whole = _clips(source, (24, 16), length=4, clips=5)
    monkeypatch.setattr(training_clips, "CHUNK_FRAMES", 3)
    parts = _clips(source, (24, 16), length=4, clips=5)
    assert all(torch.equal(whole[p].frames, parts[p].frames) for p in range(5))


def test_a_video_that_breaks_while_it_is_read_is_left_out(source: VideoFolder, monkeypatch) -> None:
    load = source.load

    def broken(number, *rest):
        if number == 0:
            raise UserError("damaged in the middle")
        return load(number, *rest)

    monkeypatch.setattr(source, "load", broken)
    clips = _clips(source, (24, 16), length=4, clips=5)
    assert (clips.videos.names, clips.videos.skipped["a"]) == (["b"], "damaged in the middle")


def test_no_video_is_long_enough(source: VideoFolder) -> None:
    with pytest.raises(UserError, match=r"No video is long enough.*the longest has 20"):
        _clips(source, (24, 16), length=50)


def test_all_videos_break_while_they_are_read(source: VideoFolder, monkeypatch) -> None:
    def broken(number, *rest):
        raise UserError("damaged in the middle")

    monkeypatch.setattr(source, "load", broken)
    with pytest.raises(UserError, match=r"None of 3 videos can be used; .*: damaged in the middle"):
        _clips(source, (24, 16), length=3)


def test_fair_share_fills_but_never_exceeds_the_memory() -> None:
    counts = [3, 50, 7, 20]
    for total in range(4, 81):
        share = fair_share(counts, total)
        assert sum(min(count, share) for count in counts) <= total
        assert share == 50 or sum(min(count, share + 1) for count in counts) > total


def test_another_set_of_clips_shares_the_frames(source: VideoFolder) -> None:
    clips = _clips(source, (24, 16), length=3, gap=(1, 2), clips=9, seed=1, reverse=True)
    twin = RandomClips(clips.videos, 3, (1, 2), clips=5, seed=8)
    fresh = _clips(source, (24, 16), length=3, gap=(1, 2), clips=5, seed=8)
    assert len(twin) == 5
    assert all(torch.equal(twin[p].frames, fresh[p].frames) for p in range(5))
    assert twin.videos is clips.videos
    assert len(clips) == 9


def test_gaps_in_seconds(source: VideoFolder) -> None:
    clips = _clips(source, (24, 16), length=3, clips=40, gap_seconds=(0.2, 0.3))  # ten frames a second
    assert {int(clip.indices[1] - clip.indices[0]) for clip in map(clips.__getitem__, range(40))} == {2, 3}
