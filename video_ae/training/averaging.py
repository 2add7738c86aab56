"""The mean of the weights over the last steps."""

from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from video_ae.models.base import Autoencoder
from video_ae.training.module import TrainingModule


class WeightMean(WeightAveraging):
    """Exponential moving mean of parameters and buffers (Polyak and Juditsky 1992), kept by Lightning.

    It averages over more and more steps, so that the random weights of the start soon lose their influence. Validation
    uses the mean; the steps themselves do not.

    Args:
        decay: how much of the mean stays at each step; 0.98 averages over about 50 steps.
    """

    def __init__(self, decay: float) -> None:
        def mean(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
            if not averaged.is_floating_point():  # counters, as of batch normalisation
                return current
            count = float(steps)
            return averaged.lerp(current, 1 - min(decay, (1 + count) / (10 + count)))

        super().__init__(avg_fn=mean)

    def model(self) -> Autoencoder:
        """The autoencoder with the mean of the weights."""
        assert self._average_model is not None, "there is a mean only while a run goes on"
        module = self._average_model.module
        assert isinstance(module, TrainingModule)
        return module.model
