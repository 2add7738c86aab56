"""Denoising: corruption goes in, the clean frame comes out."""

import pytest
import torch
from moving_shapes import make_clip, moving_discs, train

from video_ae.losses.photometric import SquaredError
from video_ae.models.denoising_autoencoder import DenoisingAutoencoder
from video_ae.models.plain_autoencoder import PlainAutoencoder


@pytest.mark.parametrize(("noise", "masked"), [(0.3, 0.0), (0.0, 0.4)])
def test_better_on_corrupted_input_than_the_plain_one_trained_alike(noise, masked):
    known, unseen = moving_discs(256, 1), moving_discs(64, 1, seed=1)
    errors = {}
    for kind in ("plain", "denoising"):
        torch.manual_seed(0)
        size = {"image_size": (16, 16), "code_size": 128, "width": 8}
        model = DenoisingAutoencoder(noise, masked, **size) if kind == "denoising" else PlainAutoencoder(**size)
        train(model, known, 200, SquaredError())
        torch.manual_seed(1)
        corrupted = DenoisingAutoencoder(noise, masked, **size).corrupt(unseen.frames)
        errors[kind] = SquaredError()(model(make_clip(corrupted)), unseen).item()
    assert errors["denoising"] < 0.85 * errors["plain"]


def test_corruption_has_the_stated_strength():
    torch.manual_seed(0)
    frames = torch.full((4, 3, 64, 64), 0.5)
    model = DenoisingAutoencoder(noise=0.2, masked=0.25, image_size=(16, 16), width=4)
    corrupted = model.corrupt(frames)
    black = (corrupted == 0).all(1)
    assert black.float().mean().item() == pytest.approx(0.25, abs=0.02)
    left = corrupted.movedim(1, -1)[~black]
    assert left.mean().item() == pytest.approx(0.5, abs=0.01)
    assert left.std().item() == pytest.approx(0.2, abs=0.01)


def test_only_training_corrupts():
    clip = make_clip(torch.rand(1, 2, 3, 16, 16))
    model = DenoisingAutoencoder(image_size=(16, 16), width=4, code_size=8)
    assert not torch.equal(model(clip).extras["corrupted"], clip.frames)
    model.eval()
    assert "corrupted" not in model(clip).extras
    assert torch.equal(model(clip).frames, model(clip).frames)
