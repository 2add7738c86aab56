"""What callbacks that show or check what a model makes of fixed clips have in common."""

from abc import ABC, abstractmethod
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from video_ae.types import ModelOutput, VideoClip


class FirstValidationBatch(Callback, ABC):
    """Looks at the first batch of each validation, which is always the same."""

    @abstractmethod
    def look(self, trainer: Trainer, module: LightningModule, clip: VideoClip, output: ModelOutput) -> None:
        """Is called in every process.

        Args:
            trainer: of the run.
            module: that it trains.
            clip: the batch.
            output: what the model makes of it.
        """

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: VideoClip, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        if batch_idx == 0:
            self.look(trainer, module, batch, outputs["output"])


def wandb_loggers(trainer: Trainer) -> list[WandbLogger]:
    """The loggers of Weights & Biases: none where it is disabled.

    Args:
        trainer: of the run.
    """
    return [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
