"""The settings of a run: what one YAML in `configs/` may contain."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from video_ae.errors import UserError
from video_ae.losses.base import LossTerm


def _at_least(smallest: int, group: str, values: dict[str, Any], *names: str) -> None:
    for name in names:
        value = values[name]
        if not value >= smallest:  # NaN is refused as well
            raise UserError(f"{group}.{name} is {value}, and at least {smallest} is needed: give a larger number.")


@dataclass
class DataSettings:
    """Which clips a run trains and validates on.

    Args:
        root: a folder of videos, one in RealEstate10K's layout, or what `video-ae prepare` wrote (a folder, or an
            address such as s3://bucket/packed).
        validation_root: the same for validation; without it, clips of `root` that another seed draws.
        size: (width, height) of the frames in pixels, cropped at their centre.
        length: frames in a clip.
        reuse: how often each training clip comes: for models that solve a clip's cameras, once for all.
        mix: further roots and how often a clip comes from each, where `root` counts 1.
        gap: smallest and largest step between a clip's frames, in frames.
        gap_seconds: the same in seconds, for videos that have times; folders of images keep `gap`.
        reverse: play half of the clips backwards.
        overlap: share of the first frame that is also visible in a clip's last frame, at least, for the first clip and
            from clip `overlap_clips` on; null asks for none. Needs videos that `video-ae prepare` measured.
        overlap_clips: how many clips the way from one to the other takes.
        augment: change brightness, contrast, saturation and hue of training clips, and mirror half of them.
        batch_size: clips in a step, for each device.
        workers: processes that load data, for each device; 0 loads in the training process.
        decoder: auto, torchcodec, pyav or decord.
        max_frames_in_memory: longer videos are cut around their middle until all together have so many frames.
        validation_clips: how many fixed clips validation looks at.

    Raises:
        UserError: a number cannot work.
    """

    root: str = "data/walkthroughs/train"
    validation_root: str | None = None
    size: tuple[int, int] = (64, 48)
    length: int = 6
    reuse: int = 1
    mix: dict[str, float] | None = None
    gap: tuple[int, int] = (1, 2)
    gap_seconds: tuple[float, float] | None = None
    reverse: bool = True
    overlap: tuple[float, float] | None = None
    overlap_clips: int = 10_000
    augment: bool = False
    batch_size: int = 4
    workers: int = 0
    decoder: Literal["auto", "torchcodec", "pyav", "decord"] = "auto"
    max_frames_in_memory: int = 20_000
    validation_clips: int = 8

    def __post_init__(self) -> None:
        values = vars(self) | {"size": min(self.size), "gap": self.gap[0]}
        _at_least(1, "data", values, "size", "length", "gap", "batch_size", "max_frames_in_memory")
        _at_least(1, "data", values, "validation_clips", "reuse")
        _at_least(0, "data", values, "workers")


@dataclass
class OptimizerSettings:
    """Adam (Kingma and Ba 2015) with decoupled weight decay, warm-up and gradient clipping.

    Args:
        lr: learning rate after the warm-up.
        betas: decay of the running means of the gradient and of its square.
        weight_decay: decoupled from the gradient (Loshchilov and Hutter 2019).
        warmup_steps: the rate grows from zero over so many steps.
        decay_steps: the rate falls along a cosine to a twentieth at this step; null keeps it.
        halve_at: instead of the cosine, the rate is halved at each of these steps (rising).
        clip_norm: longer gradients are scaled to this norm.
        skip_norm: after the warm-up, a step with a longer gradient is left out (E-RayZer, 2026); null takes all.

    Raises:
        UserError: a number cannot work.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    warmup_steps: int = 50
    decay_steps: int | None = None
    halve_at: tuple[int, ...] = ()
    clip_norm: float = 1.0
    skip_norm: float | None = 5.0

    def __post_init__(self) -> None:
        _at_least(0, "optimizer", vars(self), "lr", "weight_decay", "warmup_steps")
        for name in ("clip_norm", "skip_norm"):
            if (length := getattr(self, name)) is not None and not length > 0:
                raise UserError(f"optimizer.{name} is {length}, and a length above 0 is needed, such as 1.0.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(
                f"optimizer.betas is {list(self.betas)}, and two shares are needed, 0 or more and below 1, such as "
                "[0.9, 0.99]."
            )
        self.halve_at = tuple(self.halve_at)
        if self.halve_at and self.decay_steps is not None:
            raise UserError(
                "optimizer.decay_steps and optimizer.halve_at are two ways to lower the learning rate: give one."
            )
        if any(later <= earlier for earlier, later in pairwise((0, *self.halve_at))):
            raise UserError(
                f"optimizer.halve_at is {list(self.halve_at)}, and rising steps above 0 are needed, such as [80, 90]."
            )


@dataclass
class TrainerSettings:
    """How long and where a run trains: handed to Lightning's Trainer.

    Args:
        max_steps: end after so many steps; -1 for no limit.
        max_time: end after DD:HH:MM:SS.
        accelerator: auto, cpu, gpu, ...
        devices: how many of them, on each machine.
        num_nodes: machines.
        strategy: auto, ddp, ...
        precision: 32-true, 16-mixed or bf16-mixed.
        threads: that each process computes on; the last bits of a training depend on it. null: as many as the run began
            with, and at first OMP_NUM_THREADS or a thread for each core.
        accumulate: batches that one step takes, one after the other: more clips than fit into memory at once.
        validate_every: steps between two validations, with figures.
        checkpoint_every: steps between two checkpoints.
        log_every: steps between two lines of metrics.
        averaging: validate and keep a running mean of the weights, of which so much stays at each step (0.98 averages
            over about 50 steps); null keeps the weights of the last step.

    What Lightning itself refuses is found when a run starts.

    Raises:
        UserError: a number cannot work.
    """

    max_steps: int = 1000
    max_time: str | None = None
    accelerator: str = "auto"
    devices: int | Literal["auto"] = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    threads: int | None = None
    accumulate: int = 1
    validate_every: int = 200
    checkpoint_every: int = 100
    log_every: int = 10
    averaging: float | None = None

    def __post_init__(self) -> None:
        if self.averaging is not None and not 0 < self.averaging < 1:
            raise UserError(
                f"trainer.averaging is {self.averaging}, and null or a share between 0 and 1 is needed, such as 0.98."
            )
        counted = ("validate_every", "checkpoint_every", "log_every", "num_nodes", "accumulate")
        _at_least(1, "trainer", vars(self), *counted)
        if self.threads is not None:
            _at_least(1, "trainer", vars(self), "threads")


@dataclass
class RunSettings:
    """One run.

    Args:
        model: `{"class_path", "init_args"}` of an autoencoder.
        losses: name -> term; the loss is their weighted sum.
        data: which clips the run trains and validates on.
        optimizer: Adam with decoupled weight decay, warm-up and gradient clipping.
        trainer: how long and where the run trains.
        seed: of weights, samples and random numbers in the model.
        out: the folder of the run.
        wandb: whether and how metrics also go to Weights & Biases.
        resume: continue the run in `out` exactly from its last checkpoint.
        overwrite: replace the run in `out`.
        view: show the run on a web page while it goes on (the command line does, with `video_ae.viewer.training_view`).
        host: address that the page is served on.
        token: in the page's address, as of `video_ae.viewer.serve.Viewer`.
        text: all of the above but `resume` and what follows it as YAML, written into the run's folder.
    """

    model: dict[str, Any]
    losses: dict[str, LossTerm]
    data: DataSettings = field(default_factory=DataSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    seed: int = 0
    out: str = "runs/run"
    wandb: Literal["disabled", "offline", "online"] = "disabled"
    resume: bool = False
    overwrite: bool = False
    view: bool = False
    host: str = "127.0.0.1"
    token: str = "auto"
    text: str = ""


def file_to_resume(run: Path, name: str) -> Path:
    """The path of a file without which a run cannot be resumed.

    Args:
        run: its folder.
        name: of the file in it.

    Raises:
        UserError: the file is not there.
    """
    if not (run / name).is_file():
        raise UserError(f"There is no run to resume in {str(run)!r}, since {name} is not there: start it anew.")
    return run / name
