"""The Kullback-Leibler divergence of a variational autoencoder's posterior from its prior."""

from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.losses.base import LossTerm
from video_ae.types import ModelOutput, VideoClip


def normal_divergence(
    mean: Float[Tensor, "*batch code"], log_variance: Float[Tensor, "*batch code"]
) -> Float[Tensor, "*batch"]:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats, summed over the code (Kingma and Welling 2014, appendix B):

    1/2 sum(mean^2 + variance - log variance - 1).

    Args:
        mean: of each element of the code.
        log_variance: natural logarithm of its variance.

    >>> import torch
    >>> normal_divergence(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)).tolist()
    [0.5]
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(-1)


class KLDivergence(LossTerm):
    """`normal_divergence`, mean over frames, divided by the number of colour values in a frame.

    Beside `SquaredError` of weight 1 / (2 v) this is, at weight beta = 1, the negative evidence lower bound per colour
    value of a Gaussian decoder of variance v, up to a constant; other betas as in Higgins et al. 2017 (beta-VAE). It
    reads the extras "latent_mean" and "latent_log_variance".

    Args:
        weight: beta.

    Raises:
        UserError: the model has no latent distribution.
    """

    def forward(self, output: ModelOutput, clip: VideoClip) -> Float[Tensor, ""]:
        extras = output.extras
        if "latent_mean" not in extras or "latent_log_variance" not in extras:
            raise UserError("KLDivergence needs a model with a latent distribution: use VariationalAutoencoder.")
        divergence = normal_divergence(extras["latent_mean"], extras["latent_log_variance"])
        return divergence.mean() / clip.frames[0, 0].numel()
