"""What Weights & Biases gets beside numbers and figures: the configuration, a video of a fixed clip, its cameras."""

import tempfile
from pathlib import Path

import yaml
from lightning.pytorch import LightningModule, Trainer

from video_ae.training.first_validation_batch import FirstValidationBatch, wandb_loggers
from video_ae.training.validation_figure import camera_plot, comparison
from video_ae.types import ModelOutput, VideoClip
from video_ae.videos.writer import write_video

VIDEO_RATE = 3.0  # frames a second: clips are short


class WandbRecords(FirstValidationBatch):
    """Logs the whole configuration at the start, and at each validation the first clip: its rendered frames beside
    the input as a video, and where its cameras were found as a plot.

    Args:
        text: the run's config.yaml.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        for logger in wandb_loggers(trainer):
            logger.log_hyperparams(yaml.safe_load(self._text))

    def look(self, trainer: Trainer, module: LightningModule, clip: VideoClip, output: ModelOutput) -> None:
        if not trainer.is_global_zero:
            return
        step, plot = trainer.global_step, camera_plot(output)
        with tempfile.TemporaryDirectory() as folder:
            video, figure = Path(folder) / "clip.mp4", Path(folder) / "cameras.png"
            write_video(video, comparison(clip, output), VIDEO_RATE)
            if plot is not None:
                figure.write_bytes(plot)
            for logger in wandb_loggers(trainer):  # wandb copies the files at once
                logger.log_video("validation_clip", [str(video)], step=step, format=["mp4"])
                if plot is not None:
                    logger.log_image("validation_cameras", [str(figure)], step=step)
