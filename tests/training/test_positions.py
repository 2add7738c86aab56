"""Any number of machines takes each sample once, in one order."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.utils.data import DataLoader

from video_ae.datasets.training_clips import MemoryVideos, RandomClips
from video_ae.datasets.video_folder import VideoFolder
from video_ae.training.data import BLOCK, Positions, replayed
from video_ae.videos.writer import write_video

BATCH, STEPS = 2, 4


def _clips(folder: Path) -> RandomClips:
    videos = MemoryVideos(VideoFolder(folder), (32, 24), length=3, gap=(1, 2))
    return RandomClips(videos, length=3, gap=(1, 2), clips=2**30, seed=5, reverse=True)


def _take(rank: int, devices: int, start: int, folder: Path, meeting: Path) -> None:
    """One process: reads its batches with a worker and gathers what all have seen, position by position."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=devices)
    positions = Positions(start, BATCH, rank=dist.get_rank(), devices=dist.get_world_size())
    loader = DataLoader(_clips(folder), batch_sampler=positions, collate_fn=list, num_workers=1)
    seen = [
        (step, clip.position, clip.name, clip.indices.tolist())
        for step, batch in enumerate(islice(loader, STEPS))
        for clip in batch
    ]
    everything: list = [None] * devices
    dist.all_gather_object(everything, seen)
    if rank == 0:
        torch.save(everything, meeting.with_suffix(".pt"))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(2):
        frames = torch.randint(0, 256, (12, 3, 24, 32), generator=torch.Generator().manual_seed(number))
        write_video(folder / f"{number}.mp4", frames.to(torch.uint8))
    return folder


def _alone(folder: Path, positions: range) -> list[tuple]:
    clips = _clips(folder)
    return [(clip.position, clip.name, clip.indices.tolist()) for clip in map(clips.__getitem__, positions)]


@pytest.mark.parametrize(("devices", "start"), [(2, 0), (3, 16)])
def test_processes_share_the_order_of_one_and_it_goes_on_with_another_number(
    folder: Path, tmp_path: Path, devices: int, start: int
) -> None:
    """Two processes for four steps of four samples, then three: together the order of one process alone."""
    # A forked process has everything imported already.
    mp.start_processes(_take, (devices, start, folder, tmp_path / "meeting"), nprocs=devices, start_method="fork")
    everything = torch.load(tmp_path / "meeting.pt", weights_only=False)
    assert all(len(seen) == STEPS * BATCH for seen in everything)
    found = sorted(sample[1:] for seen in everything for sample in seen)
    assert found == _alone(folder, range(start, start + devices * STEPS * BATCH))
    by_step = sorted((sample[0], sample[1]) for seen in everything for sample in seen)
    assert [position for _, position in by_step] == sorted(position for _, position in by_step)


def test_every_number_of_devices_gives_the_same_order() -> None:
    def order(start: int, devices: int, steps: int) -> list[int]:
        sources = [iter(Positions(start, BATCH, rank, devices)) for rank in range(devices)]
        return [position for _ in range(steps) for source in sources for position in next(source)]

    whole = order(0, 1, 30)
    assert order(0, 5, 6) == whole
    assert order(0, 2, 6) + order(24, 3, 6) == whole


def test_each_clip_comes_again_as_often_as_asked_for_among_many_others():
    order = [replayed(seed=3, position=position, reuse=4) for position in range(2 * 4 * BLOCK)]
    first, second = order[: 4 * BLOCK], order[4 * BLOCK :]
    assert Counter(first) == dict.fromkeys(range(BLOCK), 4)
    assert Counter(second) == dict.fromkeys(range(BLOCK, 2 * BLOCK), 4)
    assert len(set(order[:BLOCK])) > BLOCK / 2, "most of the clips of a block come early"
    assert order != [replayed(seed=4, position=position, reuse=4) for position in range(2 * 4 * BLOCK)]
    assert [clip - BLOCK for clip in second] != first


def test_devices_share_the_order_of_replayed_clips():
    alone = Positions(start=24, batch_size=6, reuse=3, seed=1)
    shared = [Positions(start=24, batch_size=3, rank=rank, devices=2, reuse=3, seed=1) for rank in range(2)]
    together = [first + second for first, second in zip(*(islice(part, 5) for part in shared), strict=True)]
    assert together == list(islice(alone, 5))
