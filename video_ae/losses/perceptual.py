"""The difference of rendered and true frames in the features of a classification network."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import l1_loss

from video_ae.errors import UserError
from video_ae.geometry.resize import resize_maps
from video_ae.losses.base import LossTerm
from video_ae.losses.vgg import HOW_TO_GET_THEM, Vgg16, find_vgg16
from video_ae.types import ModelOutput, VideoClip

_SIZE = (224, 224)


class Vgg16Perceptual(LossTerm):
    """Sum over VGG16's relu1_2, relu2_2, relu3_3 and relu4_3 of the mean absolute difference, of frames normalised
    by ImageNet's mean and deviation and resized to 224 x 224: as the Video Autoencoder (arXiv 2110.02951) trains.

    Args:
        weight: factor of the term in the sum of a run's terms.
        weights_file: VGG16 weights; null looks where `video_ae.losses.vgg` says.
        missing: without weights, "refuse" raises a UserError, "leave_out" makes the term 0.

    Raises:
        UserError: there are no weights, and they are not left out.
    """

    def __init__(
        self, weight: float = 0.1, weights_file: str | None = None, missing: Literal["refuse", "leave_out"] = "refuse"
    ):
        super().__init__(weight)
        found = find_vgg16(weights_file)
        if found is None and missing == "refuse":
            raise UserError(
                f"The perceptual loss needs VGG16's weights, and none were found: {HOW_TO_GET_THEM}, "
                "or set `missing: leave_out` to train without the term."
            )
        self.network = None if found is None else Vgg16(found, layers=4)

    def forward(self, output: ModelOutput, clip: VideoClip) -> Float[Tensor, ""]:
        if self.network is None:
            return output.frames.new_zeros(())
        with torch.no_grad():
            true = _features(self.network, clip.frames[:, output.targets])
        return torch.stack(list(map(l1_loss, _features(self.network, output.frames), true))).sum()


def _features(network: Vgg16, frames: Tensor) -> list[Tensor]:
    return network(resize_maps(network.normalise(frames.flatten(0, 1)), _SIZE))
