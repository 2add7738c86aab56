"""A running mean of the weights: what is validated and kept forgets a single bad step."""

from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from video_ae.models.base import Autoencoder
from video_ae.training.module import TrainingModule


class WeightMean(WeightAveraging):
    """Exponential moving mean of parameters and buffers (Polyak and Juditsky 1992), kept by Lightning.

    Its memory grows with the steps, so that the random weights of the start are forgotten soon. Validation sees the
    mean; the steps themselves do not.

    decay: how much of the mean stays at each step; 0.98 remembers about 50 steps.
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
