"""The denoising autoencoder: corrupted frame -> code -> clean frame (Vincent et al. 2008)."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.lecture.base import Denoiser
from video_ae.lecture.layers import Activation, Layers
from video_ae.lecture.plain import PlainAutoencoder
from video_ae.types import ModelOutput, VideoClip


class DenoisingAutoencoder(PlainAutoencoder, Denoiser):
    """A `PlainAutoencoder` that is trained on corrupted frames, while the loss compares with the clean ones.

    In evaluation frames are taken as they are.

    Args:
        noise: standard deviation of Gaussian noise added to every colour value.
        masked: share of the pixels that are set to black.
        layers, image_size, code_size, width, activation: as in PlainAutoencoder.
    """

    def __init__(
        self,
        noise: float = 0.2,
        masked: float = 0.2,
        layers: Layers = "convolutional",
        image_size: tuple[int, int] = (64, 48),
        code_size: int = 64,
        width: int = 16,
        activation: Activation = "sigmoid",
    ):
        super().__init__(layers, image_size, code_size, width, activation)
        self.noise, self.masked = noise, masked

    def corrupt(self, frames: Float[Tensor, "*batch 3 height width"]) -> Float[Tensor, "*batch 3 height width"]:
        """x~ = mask (x + noise): not clamped, so that the noise has zero mean.

        Args:
            frames: clean ones, RGB in [0, 1].
        """
        noisy = frames + self.noise * torch.randn_like(frames)
        return noisy * (torch.rand_like(frames[..., :1, :, :]) >= self.masked)

    def forward(self, clip: VideoClip) -> ModelOutput:
        """All frames of a clip.

        Args:
            clip: a batch of clips of clean frames.

        Returns:
            Every frame at the clip's own size. extras: "code", and in training "corrupted": the input of the encoder.
        """
        if not self.training:
            return super().forward(clip)
        corrupted = self.corrupt(clip.frames.flatten(0, 1))
        codes = self.encode_frames(corrupted)
        return self._reconstruct(clip, self.decode_codes(codes), code=codes, corrupted=corrupted)
