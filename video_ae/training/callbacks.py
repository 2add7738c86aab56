"""What happens around the steps: figures, progress, a stop that loses nothing."""

import math
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loggers import WandbLogger
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from video_ae.formats.atomic import write_atomically
from video_ae.training.validation_figure import camera_plot, comparison, validation_figure
from video_ae.types import VideoClip
from video_ae.videos.writer import write_video

VIDEO_RATE = 3.0  # frames a second: clips are short


class ValidationFigures(Callback):
    """Writes RUN/pictures/step_N.png of the first batch of each validation, which is always the same.

    Where wandb is on, it gets that figure, a video of the first clip (its rendered frames beside the input) and a plot
    of where its cameras were found.

    Args:
        run: the folder of the run.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run / "pictures"

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: VideoClip, batch_idx: int, *_: Any
    ) -> None:
        if batch_idx or not trainer.is_global_zero:
            return
        step, output = trainer.global_step, outputs["output"]
        path = self._folder / f"step_{step}.png"
        write_atomically(path, validation_figure(batch, output).savefig)
        wandb = next((logger for logger in trainer.loggers if isinstance(logger, WandbLogger)), None)
        if wandb is None:
            return
        wandb.log_image("validation", [str(path)], step=step)
        with tempfile.TemporaryDirectory() as folder:  # wandb copies the files at once
            video = Path(folder) / "clip.mp4"
            write_video(video, comparison(batch, output), VIDEO_RATE)
            wandb.log_video("validation_clip", [str(video)], step=step, format=["mp4"])
        if plot := camera_plot(output):
            wandb.log_image("validation_cameras", [plot], step=step)


STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopSignals(Callback):
    """The first of `STOPPING` lets the step end, so that the checkpoint is exact; the second stops at once.

    Schedulers of clusters send them before they take a machine away. Lightning's own answer to SIGUSR1 under SLURM, a
    checkpoint in the middle of a step, does not come to it.

    A validation follows only where one is due: it can take longer than the step, and whoever stops is in a hurry.
    """

    def __init__(self) -> None:
        self.received = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                signal.signal(number, self._receive)  # at the end Lightning restores those of before

    def _receive(self, number: int, frame: object) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True
        Console(stderr=True).print("Stopping when this step is done; once more stops at once.", highlight=False)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: VideoClip, batch_idx: int
    ) -> None:
        batches = trainer.accumulate_grad_batches
        if (batch_idx + 1) % batches:
            return
        # One process' signal stops all of them at the same step: a collective call, and cheap on one device.
        if trainer.strategy.reduce_boolean_decision(self.received, all=False):
            self.received = trainer.should_stop = True
            if trainer.global_step * batches % trainer.val_check_interval:
                trainer.limit_val_batches = 0


class RunProgress(Callback):
    """A bar on a terminal; elsewhere a line now and then. Shows step, loss, PSNR and speed.

    Args:
        seconds: between two lines.
    """

    def __init__(self, seconds: float = 15.0) -> None:
        self._seconds, self._console = seconds, Console(stderr=True)
        self._bar: Progress | None = None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._started = self._said = time.monotonic()
        self._first = trainer.global_step
        if trainer.is_global_zero and self._console.is_terminal:
            columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task("", total=1.0)
            self._bar.start()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if not trainer.is_global_zero:
            return
        if self._bar is not None:
            self._bar.update(self._task, completed=_share_done(trainer), description=self._text(trainer))
        elif time.monotonic() - self._said >= self._seconds:
            self._said = time.monotonic()
            self._console.print(f"{_share_done(trainer):4.0%} {self._text(trainer)}", highlight=False)

    def _text(self, trainer: Trainer) -> str:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        speed = (trainer.global_step - self._first) / max(1e-9, time.monotonic() - self._started)
        shown = [f"step {trainer.global_step}", f"loss {values.get('train/loss', math.nan):.4f}"]
        shown.append(f"PSNR {values.get('train/psnr', math.nan):.1f} dB")
        if "validation/psnr" in values:
            shown.append(f"(validation {values['validation/psnr']:.1f} dB)")
        return ", ".join([*shown, f"{speed:.1f} steps/s"])

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.stop()


def _share_done(trainer: Trainer) -> float:
    """From 0 to 1, by steps or by time, whichever ends first."""
    shares = [trainer.global_step / trainer.max_steps] if trainer.max_steps > 0 else []
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer):
            elapsed, remaining = callback.time_elapsed(), callback.time_remaining()
            shares += [] if remaining is None else [elapsed / max(1e-9, elapsed + remaining)]
    return min(1.0, max(shares, default=0.0))
