"""The contract of every loss term in this folder: one term a file."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from video_ae.types import ModelOutput, VideoClip


class LossTerm(nn.Module, ABC):
    """A scalar that measures how far an output is from its clip, times `weight`.

    The frames to compare with are `clip.frames[:, output.targets]`.

    Args:
        weight: factor of the term in the sum of a run's terms.
    """

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    @abstractmethod
    def forward(self, output: ModelOutput, clip: VideoClip) -> Float[Tensor, ""]:
        """The unweighted term.

        Args:
            output: what the model made of the clip.
            clip: a batch of true clips.
        """
