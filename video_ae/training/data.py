"""Clips for a run: which sample comes next is a pure function of (seed, position)."""

from collections.abc import Iterator

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Sampler

from video_ae.datasets.base import ClipSource
from video_ae.datasets.open import open_dataset
from video_ae.datasets.training_clips import TrainingClips, collate_clips
from video_ae.training.module import TrainingModule
from video_ae.training.settings import DataSettings
from video_ae.types import VideoClip

ENDLESS = 2**48
VALIDATION_SEED = 20211001  # fixed, so that runs with different seeds are compared on the same clips


class Positions(Sampler[list[int]]):
    """Batches of sample positions without end; in each step the devices take consecutive batches.

    >>> batches = iter(Positions(start=8, batch_size=2, rank=1, devices=2))
    >>> next(batches), next(batches)
    ([10, 11], [14, 15])
    """

    def __init__(self, start: int, batch_size: int, rank: int = 0, devices: int = 1) -> None:
        self.start, self.batch_size, self.rank, self.devices = start, batch_size, rank, devices

    def __iter__(self) -> Iterator[list[int]]:
        first = self.start + self.rank * self.batch_size
        while True:
            yield list(range(first, first + self.batch_size))
            first += self.devices * self.batch_size


class ClipData(LightningDataModule):
    """Training clips without end, from the position that the checkpoint says, and a few fixed validation clips.

    Raises UserError where a root holds nothing usable.
    """

    def __init__(self, settings: DataSettings, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        # Both are looked at before one is read: that takes long.
        roots = [settings.root, settings.validation_root or settings.root]
        training, validation = (open_dataset(root, settings.decoder) for root in roots)
        self.training = self._clips(training, ENDLESS, seed, settings.reverse)
        self.validation = self._clips(validation, settings.validation_clips, VALIDATION_SEED, reverse=False)

    def _clips(self, source: ClipSource, clips: int, seed: int, reverse: bool) -> TrainingClips:
        settings = self.settings
        return TrainingClips(
            source, settings.size, settings.length, settings.gap, clips, seed, reverse,
            settings.max_frames_in_memory,
        )  # fmt: skip

    def train_dataloader(self) -> DataLoader[VideoClip]:
        assert self.trainer is not None
        module = self.trainer.lightning_module
        assert isinstance(module, TrainingModule)
        positions = Positions(
            module.samples_seen, self.settings.batch_size, self.trainer.global_rank, self.trainer.world_size
        )
        workers = self.settings.workers
        return DataLoader(
            self.training, batch_sampler=positions, collate_fn=collate_clips, num_workers=workers,
            persistent_workers=workers > 0,
        )  # fmt: skip

    def val_dataloader(self) -> DataLoader[VideoClip]:
        return DataLoader(self.validation, batch_size=self.settings.batch_size, collate_fn=collate_clips)

    def transfer_batch_to_device(self, batch: VideoClip, device: torch.device, dataloader_idx: int) -> VideoClip:
        return batch.to(device)
