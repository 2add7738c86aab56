"""Clips for a run: which sample comes next is a pure function of (seed, position)."""

import logging
import random
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import count
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from video_ae.datasets.base import ClipSource
from video_ae.datasets.byte_clips import ByteClip, finish_batch
from video_ae.datasets.clip_sampler import OverlapCurriculum
from video_ae.datasets.open import open_dataset
from video_ae.datasets.packed_videos import PackedVideos
from video_ae.datasets.training_clips import MemoryVideos, MixedClips, RandomClips
from video_ae.errors import UserError
from video_ae.training.device_batches import DeviceBatches
from video_ae.training.module import TrainingModule
from video_ae.training.settings import DataSettings

ENDLESS = 2**48
BLOCK = 32  # clips whose repetitions are shuffled together
log = logging.getLogger(__name__)
VALIDATION_SEED = 20211001  # fixed, so that runs with different seeds are compared on the same clips


def replayed(seed: int, position: int, reuse: int) -> int:
    """Which clip a position of the training order takes, if each comes `reuse` times among the clips of its block.

    A pure function, so that any number of processes agrees and training resumes exactly.

    Args:
        seed: of the shuffling.
        position: in the training order, from 0.
        reuse: how often each clip comes.

    >>> [replayed(0, position, reuse=1) for position in range(5)]
    [0, 1, 2, 3, 4]
    >>> block = [replayed(0, position, reuse=3) for position in range(3 * BLOCK)]
    >>> sorted(block) == sorted(3 * list(range(BLOCK)))
    True
    """
    if reuse == 1:
        return position
    block, index = divmod(position, BLOCK * reuse)
    return BLOCK * block + _shuffled(seed, block, reuse)[index] % BLOCK


@lru_cache(maxsize=2)
def _shuffled(seed: int, block: int, reuse: int) -> list[int]:
    order = list(range(BLOCK * reuse))
    random.Random(f"replay {seed} {block}").shuffle(order)
    return order


class Positions(Sampler[list[int]]):
    """Batches of clip numbers without end; in each step the devices take consecutive batches of positions.

    Args:
        start: the first position.
        batch_size: clips of a batch.
        rank: which device this is, from 0.
        devices: how many there are.
        reuse: how often each clip comes (`replayed`).
        seed: of the order of repeated clips.

    >>> batches = iter(Positions(start=8, batch_size=2, rank=1, devices=2))
    >>> next(batches), next(batches)
    ([10, 11], [14, 15])
    """

    def __init__(
        self, start: int, batch_size: int, rank: int = 0, devices: int = 1, reuse: int = 1, seed: int = 0
    ) -> None:
        self.start, self.batch_size, self.rank, self.devices = start, batch_size, rank, devices
        self.reuse, self.seed = reuse, seed

    def __iter__(self) -> Iterator[list[int]]:
        for first in count(self.start + self.rank * self.batch_size, self.devices * self.batch_size):
            positions = range(first, first + self.batch_size)
            yield [replayed(self.seed, position, self.reuse) for position in positions]


class ClipData(LightningDataModule):
    """Training clips without end, from the position that the checkpoint says, and a few fixed validation clips.

    Packed videos are read clip by clip; all others are decoded once and kept in memory. Validation draws its clips at
    the end of the overlap curriculum and does not augment them.

    Args:
        settings: where clips come from, and which.
        seed: of the training clips.

    Raises:
        UserError: a root contains nothing usable, or overlaps are asked for that were not measured.
    """

    def __init__(self, settings: DataSettings, seed: int = 0) -> None:
        super().__init__()
        self.settings, self.seed = settings, seed
        roots = {settings.root: 1.0, **(settings.mix or {})}
        other = settings.validation_root or settings.root
        # All are looked at before one is read: that takes long.
        sources = {root: open_dataset(root, settings.decoder) for root in dict.fromkeys([*roots, other])}
        videos = {root: self._videos(source) for root, source in sources.items()}
        for root, found in videos.items():
            log.warning("%s: %d videos, %d left out", root, len(found.names), len(found.skipped))
        drawing = {"clips": ENDLESS, "seed": seed, "reverse": settings.reverse}
        clips = {root: (self._clips(videos[root], settings.overlap, **drawing), roots[root]) for root in roots}
        self.training: Dataset[ByteClip] = MixedClips(clips, seed) if settings.mix else clips[settings.root][0]
        last = None if settings.overlap is None else (settings.overlap[1], settings.overlap[1])
        self.validation = self._clips(videos[other], last, clips=settings.validation_clips, seed=VALIDATION_SEED)

    def _videos(self, source: ClipSource) -> PackedVideos | MemoryVideos:
        settings = self.settings
        if isinstance(source, PackedVideos):
            return source
        if settings.overlap is not None:
            raise UserError(
                "data.overlap needs measured overlaps, which raw videos do not have: prepare the videos first "
                "(`video-ae prepare`) and give the prepared folder as data.root."
            )
        most = settings.max_frames_in_memory // (1 + len(settings.mix or {}))
        return MemoryVideos(source, settings.size, settings.length, settings.gap, most)

    def _clips(
        self, videos: PackedVideos | MemoryVideos, overlap: tuple[float, float] | None, **drawing: Any
    ) -> RandomClips:
        settings = self.settings
        curriculum = None if overlap is None else OverlapCurriculum(*overlap, settings.overlap_clips)
        gap, seconds = settings.gap, settings.gap_seconds
        return RandomClips(videos, settings.length, gap, curriculum=curriculum, gap_seconds=seconds, **drawing)

    def train_dataloader(self) -> DeviceBatches:
        assert self.trainer is not None
        module, settings = self.trainer.lightning_module, self.settings
        assert isinstance(module, TrainingModule)
        positions = Positions(
            module.samples_seen, settings.batch_size, self.trainer.global_rank, self.trainer.world_size,
            settings.reuse, self.seed,
        )  # fmt: skip
        return self._batches(
            self.training, self.seed if settings.augment else None, batch_sampler=positions,
            num_workers=settings.workers, persistent_workers=settings.workers > 0,
        )  # fmt: skip

    def val_dataloader(self) -> DeviceBatches:
        return self._batches(self.validation, None, batch_size=self.settings.batch_size)

    def _batches(self, clips: Dataset[ByteClip], augment_seed: int | None, **loading: Any) -> DeviceBatches:
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        loader = DataLoader(clips, collate_fn=list, pin_memory=device.type == "cuda", **loading)
        finish = partial(finish_batch, size=self.settings.size, augment_seed=augment_seed)
        return DeviceBatches(loader, device, finish)
