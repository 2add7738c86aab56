"""The variational autoencoder: frame -> distribution of codes -> frame (Kingma and Welling 2014)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.lecture.base import Sampler
from video_ae.lecture.layers import Activation, Layers
from video_ae.lecture.plain import PlainAutoencoder
from video_ae.types import ModelOutput, VideoClip

Codes = Float[Tensor, "frame latent"]


class VariationalAutoencoder(PlainAutoencoder, Sampler):
    """q(z | x) = N(mean(x), exp(log_variance(x))), prior p(z) = N(0, 1), p(x | z) = N(decoder(z), v).

    In training z = mean + exp(log_variance / 2) e with e from N(0, 1), the reparameterisation that lets gradients
    through; in evaluation z is the mean. Train it on `SquaredError` and `KLDivergence`, whose weight is beta.

    Args:
        latent_size: numbers in z.
        code_size: numbers between the shared layers and the two heads.
        layers, image_size, width, activation: as in PlainAutoencoder.
    """

    def __init__(
        self,
        latent_size: int = 16,
        layers: Layers = "convolutional",
        image_size: tuple[int, int] = (64, 48),
        code_size: int = 128,
        width: int = 16,
        activation: Activation = "sigmoid",
    ):
        super().__init__(layers, image_size, code_size, width, activation)
        self.latent_size = latent_size
        self.to_mean, self.to_log_variance = nn.Linear(code_size, latent_size), nn.Linear(code_size, latent_size)
        self.from_latent = nn.Linear(latent_size, code_size)

    def posterior(self, frames: Float[Tensor, "frame 3 height width"]) -> tuple[Codes, Codes]:
        """Mean and log-variance of q(z | x); the log-variance is clamped to [-12, 12].

        Args:
            frames: RGB in [0, 1], of any size.
        """
        code = nn.functional.leaky_relu(super().encode_frames(frames), 0.1)
        return self.to_mean(code), self.to_log_variance(code).clamp(-12, 12)

    def encode_frames(self, frames: Float[Tensor, "frame 3 height width"]) -> Codes:
        """The means of q(z | x).

        Args:
            frames: RGB in [0, 1], of any size.
        """
        return self.posterior(frames)[0]

    def decode_codes(self, codes: Codes) -> Float[Tensor, "frame 3 height width"]:
        return super().decode_codes(nn.functional.leaky_relu(self.from_latent(codes), 0.1))

    def sample(self, count: int) -> Float[Tensor, "{count} 3 height width"]:
        weight = self.from_latent.weight
        return self.decode_codes(torch.randn(count, self.latent_size, device=weight.device, dtype=weight.dtype))

    def forward(self, clip: VideoClip) -> ModelOutput:
        """All frames of a clip.

        Args:
            clip: a batch of clips.

        Returns:
            Every frame at the clip's own size. extras: "code" (z), "latent_mean" and "latent_log_variance", each
            [batch, frame, latent].
        """
        mean, log_variance = self.posterior(clip.frames.flatten(0, 1))
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean) if self.training else mean
        return self._reconstruct(clip, self.decode_codes(z), code=z, latent_mean=mean, latent_log_variance=log_variance)
