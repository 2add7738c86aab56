"""What Weights & Biases gets beside numbers and figures: the configuration, a video of a fixed clip, its cameras."""

import tempfile
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from video_ae.training.validation_figure import camera_plot, comparison
from video_ae.types import VideoClip
from video_ae.videos.writer import write_video

VIDEO_RATE = 3.0  # frames a second: clips are short


class WandbRecords(Callback):
    """Logs the whole configuration at the start, and at each validation the first clip: its rendered frames beside
    the input as a video, and where its cameras were found as a plot.

    Args:
        text: the run's config.yaml.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        for logger in _loggers(trainer):
            logger.log_hyperparams(yaml.safe_load(self._text))

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: VideoClip, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        if batch_idx > 0 or not trainer.is_global_zero:
            return
        output, step = outputs["output"], trainer.global_step
        plot = camera_plot(output)
        with tempfile.TemporaryDirectory() as folder:
            video, figure = Path(folder) / "clip.mp4", Path(folder) / "cameras.png"
            write_video(video, comparison(batch, output), VIDEO_RATE)
            if plot is not None:
                figure.write_bytes(plot)
            for logger in _loggers(trainer):  # wandb copies the files at once
                logger.log_video("validation_clip", [str(video)], step=step, format=["mp4"])
                if plot is not None:
                    logger.log_image("validation_cameras", [str(figure)], step=step)


def _loggers(trainer: Trainer) -> list[WandbLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
