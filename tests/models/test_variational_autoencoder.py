"""Variational: a posterior that samples, a prior that the data's codes fill."""

import torch
from moving_shapes import make_clip, moving_discs, train

from video_ae.losses.kl_divergence import KLDivergence
from video_ae.losses.photometric import SquaredError
from video_ae.models.plain_autoencoder import PlainAutoencoder
from video_ae.models.variational_autoencoder import VariationalAutoencoder

_SIZE = {"image_size": (16, 16), "code_size": 64, "width": 8}


def _distance_to_data(samples: torch.Tensor, data: torch.Tensor) -> float:
    """Mean over the samples of the distance to the nearest picture of the data."""
    return torch.cdist(samples.flatten(1), data.flatten(1)).min(1).values.mean().item()


def test_prior_samples_are_closer_to_the_data_than_samples_of_a_plain_latent():
    coloured = moving_discs(512, 1).frames
    known = make_clip(0.1 + 0.8 * (coloured.amax(2, keepdim=True) > 0.35).float().expand_as(coloured))  # white discs
    data = known.frames[:, 0]
    torch.manual_seed(0)
    variational = VariationalAutoencoder(latent_size=16, **_SIZE)
    squared, divergence = SquaredError(), KLDivergence()
    train(variational, known, 300, lambda out, clip: squared(out, clip) / (2 * 0.05) + divergence(out, clip), lr=5e-3)
    torch.manual_seed(0)
    plain = PlainAutoencoder(**(_SIZE | {"code_size": 16}))
    train(plain, known, 300, squared, lr=5e-3)
    torch.manual_seed(1)
    with torch.no_grad():
        codes = plain.encode_frames(data)
        drawn = codes.mean(0) + codes.std(0) * torch.randn(
            200, 16
        )  # the plain one's codes as a Gaussian: a fair chance
        ours, theirs = variational.sample(200), plain.decode_codes(drawn)
    assert _distance_to_data(ours, data) < 0.95 * _distance_to_data(theirs, data)
    assert ours.std(0).mean() > 0.25 * data.std(0).mean()  # and they differ from each other


def test_training_samples_and_evaluation_does_not():
    clip = make_clip(torch.rand(1, 2, 3, 16, 16))
    model = VariationalAutoencoder(latent_size=4, **_SIZE)
    assert not torch.equal(model(clip).frames, model(clip).frames)
    model.eval()
    out = model(clip)
    assert torch.equal(out.frames, model(clip).frames)
    assert torch.equal(out.extras["code"], out.extras["latent_mean"])


def test_reparameterised_codes_have_the_posteriors_moments():
    torch.manual_seed(0)
    model = VariationalAutoencoder(latent_size=3, **_SIZE)
    with torch.no_grad():
        model.to_log_variance.bias.copy_(torch.tensor([-2.0, 0.0, 1.0]))
    out = model(make_clip(torch.rand(1, 1, 3, 16, 16).expand(1, 4000, 3, 16, 16)))
    codes, mean, log_variance = (out.extras[n][0] for n in ("code", "latent_mean", "latent_log_variance"))
    torch.testing.assert_close(codes.mean(0), mean[0], atol=0.1, rtol=0)
    torch.testing.assert_close(codes.var(0).log(), log_variance[0], atol=0.1, rtol=0)


def test_gradients_pass_through_the_sample():
    model = VariationalAutoencoder(latent_size=4, **_SIZE)
    model(make_clip(torch.rand(1, 1, 3, 16, 16))).frames.sum().backward()
    assert model.to_log_variance.weight.grad.abs().sum() > 0
