"""The checkpoints of a run: each complete or not at all, and the one before kept in case the last one is damaged."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from rich.console import Console

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically
from video_ae.formats.versions import check_version
from video_ae.formats.weights import WEIGHTS
from video_ae.models.open import save_weights
from video_ae.training.averaging import WeightMean
from video_ae.training.module import TrainingModule

LAST = "checkpoints/last.ckpt"
PREVIOUS = "checkpoints/previous.ckpt"
VERSION = 1
_NEW, _FORM = "checkpoints/.new.ckpt", "video_ae_checkpoint"


class WholeCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint complete or not at all.

    Lightning copies onto a file where temporary files lie on another file system
    (findings/lightning_checkpoint_is_copied_into_place.sh).
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes one file.

        Args:
            checkpoint: its content.
            path: the file.
            storage_options: must be None, as for Lightning.
        """
        save, versioned = super().save_checkpoint, {**checkpoint, _FORM: VERSION}
        write_atomically(path, lambda temporary: save(versioned, temporary, storage_options))

    def load_checkpoint(self, path: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """Reads one file; those of before there was a version are of the first.

        Args:
            path: the file.
            *args, **options: as for Lightning.

        Raises:
            UserError: it is of a newer video-ae.
        """
        checkpoint = super().load_checkpoint(path, *args, **options)
        check_version(int(checkpoint.get(_FORM, 1)), VERSION, path)
        return checkpoint


class LastCheckpoint(Checkpoint):
    """Writes checkpoints/last.ckpt and the weights every `every` steps and at the end, each complete or not at all.

    The checkpoint before stays as checkpoints/previous.ckpt.
    It derives from Lightning's `Checkpoint` because those come after all other callbacks: a stop that another callback
    asks for at this step is seen here.

    Weights that are not finite are never written over good ones: the run ends there with a `UserError`.

    Args:
        run: the folder of the run.
        every: steps between two checkpoints.
    """

    def __init__(self, run: Path, every: int) -> None:
        self._run, self._every, self._written = run, every, -1

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            trainer.should_stop = False  # the step ends first: whoever asked for a stop asks again after its last batch
            return
        step = trainer.global_step
        ends = trainer.should_stop or step == trainer.max_steps
        if (step % self._every == 0 or ends) and step != self._written:
            self._written = step
            self._write(trainer, module)

    def _write(self, trainer: Trainer, module: LightningModule) -> None:
        if not all(bool(parameter.isfinite().all()) for parameter in module.parameters()):
            raise UserError(
                f"At step {trainer.global_step} there are weights that are not finite, and no checkpoint is made of "
                "them: resume from the one before with a smaller optimizer.lr."
            )
        new = self._run / _NEW
        trainer.save_checkpoint(new)  # by all processes
        if not trainer.is_global_zero:
            return
        last = self._run / LAST
        if last.is_file():
            last.replace(self._run / PREVIOUS)
        new.replace(last)
        assert isinstance(module, TrainingModule)
        mean = next((each for each in trainer.callbacks if isinstance(each, WeightMean)), None)  # type: ignore[attr-defined]
        save_weights(mean.model() if mean else module.model, self._run / WEIGHTS)


def checkpoint_to_resume(run: Path) -> Path:
    """The last checkpoint of a run, or the one before where that is damaged or missing, which is said.

    Args:
        run: its folder.

    Raises:
        UserError: neither is there and whole.
    """
    last, previous = run / LAST, run / PREVIOUS
    if is_whole(last):
        return last
    if is_whole(previous):
        state = "damaged" if last.is_file() else "missing"
        Console(stderr=True).print(f"{LAST} is {state}: the run goes on from the checkpoint before.", highlight=False)
        return previous
    if last.is_file():
        raise UserError(f"The checkpoint {str(last)!r} is damaged, and there is none before it: start the run anew.")
    raise UserError(f"There is no run to resume in {str(run)!r}, since {LAST} is not there: start it anew.")


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint is there and as it was written: torch writes zip archives, which hold checksums.

    Args:
        checkpoint: its path.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):  # as a changed byte in a header ends
        return False
