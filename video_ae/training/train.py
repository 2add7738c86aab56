"""One run: settings -> a folder with weights, checkpoints, figures and metrics."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import lightning.pytorch as pl
import torch
import yaml
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from video_ae.errors import UserError
from video_ae.formats.atomic import claim_folder, remove_from, remove_unfinished, write_text_atomically
from video_ae.formats.weights import SETTINGS, WEIGHTS
from video_ae.models.open import build_model
from video_ae.processes import end_with_launcher
from video_ae.threads import same_threads
from video_ae.training.averaging import WeightMean
from video_ae.training.callbacks import RunProgress, StopSignals, ValidationFigures
from video_ae.training.checkpoints import LastCheckpoint, WholeCheckpoints, checkpoint_to_resume
from video_ae.training.collapse_signs import CollapseSigns
from video_ae.training.compute_threads import ComputeThreads
from video_ae.training.data import ClipData
from video_ae.training.module import TrainingModule
from video_ae.training.settings import RunSettings

CONFIG = "config.yaml"
LAUNCHER = "VIDEO_AE_LAUNCHER"  # in the environment: the process that starts the others of its machine
HANDED_ON = ("accelerator", "devices", "num_nodes", "strategy", "precision", "max_steps", "max_time")  # to Lightning


def train(settings: RunSettings, watchers: Sequence[pl.Callback] = ()) -> Path:
    """Trains, and returns the run's folder.

    It contains config.yaml (the complete settings), weights.safetensors and model.yaml,
    checkpoints/{last,previous,best}.ckpt, pictures/step_N.png, metrics/version_K/metrics.csv (one K for each start) and
    a lock against other trainings.

    Args:
        settings: of the run.
        watchers: further callbacks.

    Raises:
        UserError: the settings cannot work; nothing has been written then.
        KeyboardInterrupt: it was stopped by Ctrl-C, SIGTERM or SIGUSR1: the checkpoint of the last step has been
            written, and `resume` continues as if nothing had happened.
    """
    if settings.resume and settings.overwrite:
        raise UserError("A run is either resumed or replaced: ask for one of them.", "overwrite")
    _check_wandb(settings)
    _end_with_first_rank()
    run = Path(settings.out)
    checkpoint = checkpoint_to_resume(run) if settings.resume else None
    first = getattr(rank_zero_only, "rank", 0) == 0  # other processes start when the folder is in use by this very run
    if first and not settings.resume:
        _check_out(run, settings.overwrite)
    for name in ("lightning.pytorch", "lightning.fabric"):  # notes on hardware and on choices made on purpose here
        logging.getLogger(name).setLevel(logging.WARNING)
    stop = StopSignals()
    trainer = build_trainer(settings, run, stop, watchers)
    torch.manual_seed(settings.seed)
    model = build_model(settings.model, "the configuration")
    data = ClipData(settings.data, settings.seed)
    module = TrainingModule(model, settings.losses, settings.optimizer, settings.seed)
    with _alone(run) if first else nullcontext(), same_threads():
        if first:
            if not settings.resume:
                remove_from(run, "checkpoints", "pictures", "metrics", "wandb", WEIGHTS, SETTINGS, CONFIG)
            write_text_atomically(run / CONFIG, settings.text)
        try:
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
        finally:
            if settings.wandb != "disabled":  # the next training of this process would write into the same run
                import wandb

                wandb.finish()
    if stop.received:
        raise KeyboardInterrupt(f"stopped; `video-ae train --resume --out {run}` continues exactly here.")
    return run


def _end_with_first_rank() -> None:
    """A rank would wait half an hour for what a killed one sends; torchrun ends those that it started itself."""
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:
        os.environ[LAUNCHER] = str(os.getpid())
    elif LAUNCHER in os.environ and not TorchElasticEnvironment.detect():
        end_with_launcher(int(os.environ[LAUNCHER]))


def build_trainer(
    settings: RunSettings, run: Path, stop: StopSignals, watchers: Sequence[pl.Callback] = ()
) -> pl.Trainer:
    """Lightning's Trainer with this project's callbacks and loggers. Writes nothing yet.

    Args:
        settings: of the run.
        run: its folder.
        stop: the callback that stops it at a signal.
        watchers: further callbacks.

    Raises:
        UserError: Lightning refuses a value, such as an accelerator that is not there.
    """
    values = settings.trainer
    best = ModelCheckpoint(
        run / "checkpoints", filename="best", monitor="validation/psnr", mode="max", enable_version_counter=False
    )
    averaging = [WeightMean(values.averaging)] if values.averaging is not None else []
    callbacks: list[pl.Callback] = [
        *averaging, ValidationFigures(run), CollapseSigns(), RunProgress(), stop, best,
        ComputeThreads(values.threads), LastCheckpoint(run, values.checkpoint_every), *watchers,
    ]  # fmt: skip
    loggers: list[Logger] = [CSVLogger(run, name="metrics")]
    if settings.wandb != "disabled":
        config = yaml.safe_load(settings.text)
        offline = settings.wandb == "offline"
        known = _wandb_id(run) if settings.resume else None
        loggers.append(WandbLogger(run.name, run, offline=offline, id=known, project="video-ae", config=config))
    try:
        return pl.Trainer(
            **{name: getattr(values, name) for name in HANDED_ON},
            max_epochs=-1,
            accumulate_grad_batches=values.accumulate,
            val_check_interval=values.validate_every * values.accumulate,  # Lightning counts batches there
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            log_every_n_steps=values.log_every,
            callbacks=callbacks,
            plugins=[WholeCheckpoints(), *_own_processes()],
            logger=loggers,
            default_root_dir=run,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"The trainer's settings do not work here: {reason}.") from error


def _own_processes() -> list[LightningEnvironment]:
    """Lightning's own launcher, in a job of SLURM whose tasks were not started by srun, as inside `salloc -n 4`.

    Lightning 2.6 takes the tasks that a job may start for processes that run, and refuses a single one.
    """
    started = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    alone = "SLURM_NTASKS" in os.environ and started == 1 and not TorchElasticEnvironment.detect()
    return [LightningEnvironment()] if alone else []


def _wandb_id(run: Path) -> str | None:
    """Of the run that the last training into this folder logged, by the name of wandb's own folder.

    That is run-DATE_TIME-ID, and of wandb 0.31 with "-1" behind it if another one of the same second is there.
    """
    folders = sorted((run / "wandb").glob("*run-*-*"), key=lambda path: path.stat().st_mtime)
    return folders[-1].name.partition("run-")[2].split("-")[1] if folders else None


def _check_wandb(settings: RunSettings) -> None:
    if settings.wandb != "online" or os.environ.get("WANDB_API_KEY"):
        return
    import wandb

    if not wandb.login(prompt=False):
        raise UserError(
            "Logging to Weights & Biases online needs a key: set WANDB_API_KEY or call `wandb login`, or log offline.",
            "wandb",
        )


def _check_out(run: Path, overwrite: bool) -> None:
    if run.is_dir() and any(run.iterdir()):
        if not overwrite:
            raise UserError(
                f"The folder {str(run)!r} is not empty: choose another one, resume the run in it, or allow it to be "
                "replaced.",
                "overwrite",
            )
        if not _is_run(run):
            raise UserError(f"Only earlier runs are replaced, and {str(run)!r} contains something else.")
    elif run.exists() and not run.is_dir():
        raise UserError(f"{str(run)!r} is a file, and a folder is needed: choose another name.", "out")
    parent = next(path for path in [run, *run.absolute().parents] if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"{str(run)!r} cannot be written: choose a folder that you may write to.", "out")


def _is_run(folder: Path) -> bool:
    """Whether the settings of a run lie in a folder; many programs have a config.yaml, and checkpoints beside it."""
    try:
        values = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return isinstance(values, dict) and {"model", "losses", "trainer"} <= values.keys()


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Locks the run's folder against other trainings, until this one ends in whatever way."""
    claim_folder(run, overwrite=True)
    try:
        lock = FileLock(run / ".lock", timeout=0).acquire()
    except Timeout as error:
        raise UserError(
            f"Another training is writing into {str(run)!r}: wait until it has ended, or choose another folder.", "out"
        ) from error
    with lock:
        remove_unfinished(run)  # of a training that was killed
        yield
