"""Differences of colours between rendered and true frames."""

import torch
from jaxtyping import Float
from kornia.metrics import ssim
from torch import Tensor

from video_ae.losses.base import LossTerm
from video_ae.types import ModelOutput, VideoClip


class L1(LossTerm):
    """Mean absolute difference of RGB values."""

    def forward(self, output: ModelOutput, clip: VideoClip) -> Float[Tensor, ""]:
        return (output.frames - clip.frames[:, output.targets]).abs().mean()


class SquaredError(LossTerm):
    """Mean squared difference of RGB values."""

    def forward(self, output: ModelOutput, clip: VideoClip) -> Float[Tensor, ""]:
        return (output.frames - clip.frames[:, output.targets]).square().mean()


class StructuralDissimilarity(LossTerm):
    """(1 - SSIM) / 2, mean over pixels (Wang et al. 2004), with a Gaussian window of 11 pixels (kornia)."""

    def forward(self, output: ModelOutput, clip: VideoClip) -> Float[Tensor, ""]:
        target = clip.frames[:, output.targets]
        similarity = ssim(output.frames.flatten(0, 1), target.flatten(0, 1), window_size=11)
        return ((1 - similarity) / 2).mean()


class Gradient(LossTerm):
    """Mean absolute difference of the horizontal and vertical image gradients: keeps edges sharp."""

    def forward(self, output: ModelOutput, clip: VideoClip) -> Float[Tensor, ""]:
        difference = output.frames - clip.frames[:, output.targets]
        return torch.diff(difference, dim=-1).abs().mean() + torch.diff(difference, dim=-2).abs().mean()
