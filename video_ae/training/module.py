"""One training step: forward, loss, gradients, optimizer."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn

from video_ae.errors import UserError
from video_ae.evaluation.metrics.images import psnr
from video_ae.losses.base import LossTerm
from video_ae.models.base import Autoencoder
from video_ae.training.settings import OptimizerSettings
from video_ae.types import ModelOutput, VideoClip

SKIPS_IN_A_ROW = 20  # then the threshold does not fit this model: the (clipped) step is taken
BAD_STEPS_IN_A_ROW = 50


class TrainingModule(LightningModule):
    """clip -> model -> weighted sum of loss terms -> Adam.

    Each step's random numbers are a function of (seed, samples seen), so a resumed run draws what an uninterrupted one
    would have drawn.

    Args:
        model: the autoencoder to train.
        losses: name -> term.
        optimizer: learning rate, weight decay, clipping.
        seed: of the random numbers in the model.
    """

    def __init__(
        self, model: Autoencoder, losses: dict[str, LossTerm], optimizer: OptimizerSettings, seed: int = 0
    ) -> None:
        super().__init__()
        self.model, self.losses = model, nn.ModuleDict(losses)
        self.optimizer_settings, self.seed = optimizer, seed
        self.samples_seen = 0  # by all devices together: the next step's samples start here
        self.skipped = self.skipped_in_a_row = self.bad_in_a_row = 0
        self._latest: tuple[str, dict[str, Tensor]] = "", {}  # clips and values of the last batch

    def _measured(self, clip: VideoClip, group: str) -> tuple[ModelOutput, Tensor, dict[str, Tensor]]:
        """The model's output, its loss (the weighted sum of the terms), and the values to log (terms unweighted)."""
        output = self.model(clip)
        terms = {name: term(output, clip) for name, term in self.losses.items()}
        total = sum(self.losses[name].weight * value for name, value in terms.items())
        assert isinstance(total, Tensor), "a run needs a loss term"
        target = clip.frames[:, output.targets].flatten(0, 1)
        quality = psnr(output.frames.detach().flatten(0, 1).clamp(0, 1).float(), target).mean()
        values = {**terms, "loss": total, "psnr": quality}
        return output, total, {f"{group}/{name}": value.detach() for name, value in values.items()}

    def on_train_batch_start(self, batch: VideoClip, batch_idx: int) -> None:
        torch.manual_seed((self.seed * 1_000_003 + self.samples_seen) * 1009 + self.global_rank)

    def training_step(self, clip: VideoClip, batch_idx: int) -> Tensor:
        _, total, values = self._measured(clip, "train")
        self._latest = clip.name, values
        self.samples_seen += len(clip.frames) * self.trainer.world_size
        self.log_dict(values, batch_size=len(clip.frames))
        return total

    def validation_step(self, clip: VideoClip, batch_idx: int) -> dict[str, Any]:
        output, _, values = self._measured(clip, "validation")
        self.log_dict(values, batch_size=len(clip.frames), on_step=False, on_epoch=True, sync_dist=True)
        return {"output": output}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        settings = self.optimizer_settings
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        finite = bool(norm.isfinite())
        self.bad_in_a_row = 0 if finite else self.bad_in_a_row + 1
        if self.bad_in_a_row >= BAD_STEPS_IN_A_ROW:
            clips, values = self._latest
            terms = ", ".join(name.partition("/")[2] for name in values if not values[name].isfinite()) or "no term"
            raise UserError(
                f"The last {BAD_STEPS_IN_A_ROW} steps had gradients that are not finite, so the weights are as they "
                f"were before them (last clips: {clips or 'without a name'}; not finite: {terms}): resume with a "
                "smaller optimizer.lr, or without those clips."
            )
        too_long = settings.skip_norm is not None and float(norm) > settings.skip_norm
        too_long = too_long and self.global_step >= settings.warmup_steps and self.skipped_in_a_row < SKIPS_IN_A_ROW
        if too_long or not finite:
            for parameter in self.model.parameters():
                parameter.grad = None  # Adam leaves parameters without gradient, and their means, as they are
            self.skipped += 1
            self.skipped_in_a_row += 1
        else:
            self.skipped_in_a_row = 0
        self.log_dict({"train/gradient_norm": norm, "train/skipped_steps": float(self.skipped)}, batch_size=1)

    def configure_optimizers(self) -> Any:
        settings = self.optimizer_settings
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, settings.lr, settings.betas, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(settings, step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["samples_seen"] = self.samples_seen
        checkpoint["skips"] = [self.skipped, self.skipped_in_a_row, self.bad_in_a_row]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.samples_seen = checkpoint["samples_seen"]
        self.skipped, self.skipped_in_a_row, self.bad_in_a_row = checkpoint["skips"]
        averaged = any(isinstance(callback, WeightAveraging) for callback in self.trainer.callbacks)  # type: ignore[attr-defined]
        if "current_model_state" in checkpoint and not averaged:  # where "state_dict" is the mean of another training
            checkpoint["state_dict"] = checkpoint["current_model_state"]


def learning_rate_factor(settings: OptimizerSettings, step: int) -> float:
    """What the learning rate is multiplied with at a step: linear warm-up, then the cosine or the halvings, if any.

    Args:
        settings: which schedule.
        step: from 0.

    >>> settings = OptimizerSettings(warmup_steps=4, decay_steps=12)
    >>> [round(learning_rate_factor(settings, step), 3) for step in (0, 3, 4, 8, 12, 99)]
    [0.25, 1.0, 1.0, 0.525, 0.05, 0.05]
    >>> settings = OptimizerSettings(warmup_steps=0, halve_at=(4, 6))
    >>> [learning_rate_factor(settings, step) for step in (0, 3, 4, 5, 6, 99)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.decay_steps is None:
        return 0.5 ** sum(step >= halving for halving in settings.halve_at)
    span = max(1, settings.decay_steps - settings.warmup_steps)
    progress = min(1.0, (step - settings.warmup_steps) / span)
    return 0.05 + 0.95 * (1 + math.cos(math.pi * progress)) / 2
