"""Denoising: corruption goes in, the clean frame comes out."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from moving_shapes import make_clip, moving_discs, train

from video_ae.lecture.denoising import DenoisingAutoencoder
from video_ae.lecture.plain import PlainAutoencoder
from video_ae.losses.photometric import SquaredError
from video_ae.types import ModelOutput, VideoClip

# The code can carry these small pictures, so that what is left of an error is what the model did to the corruption.
_SIZE = {"layers": "fully_convolutional", "image_size": (16, 16), "code_size": 128, "width": 8}


def _asks_for_the_corrupted_frame(out: ModelOutput, clip: VideoClip) -> torch.Tensor:
    """The loss of a broken twin: as if the clean frame were not at hand."""
    return (out.frames.flatten(0, 1) - out.extras["corrupted"]).square().mean()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("noise", "masked"), [(0.3, 0.0), (0.0, 0.4)])
def test_better_on_corrupted_input_than_the_plain_one_trained_alike(noise, masked, seed):
    """Mean squared errors against the clean frames of unseen discs, in units of the plain model's.

    Seeds 0 to 3 gave 0.25 to 0.47 for the model, and 1.5 or more for the twin that learns to return what it was shown.
    """
    known, unseen = moving_discs(256, 1), moving_discs(64, 1, seed=1)
    denoising = partial(DenoisingAutoencoder, noise, masked, **_SIZE)
    torch.manual_seed(9 + seed)
    corrupted = denoising().corrupt(unseen.frames)

    def error(build: Callable[[], PlainAutoencoder], loss: Callable[..., torch.Tensor]) -> float:
        torch.manual_seed(seed)
        model = build()
        train(model, known, 200, loss, batch=16, lr=1e-2)
        with torch.no_grad():
            return SquaredError()(model(make_clip(corrupted)), unseen).item()

    plain = error(partial(PlainAutoencoder, **_SIZE), SquaredError())
    assert error(denoising, SquaredError()) < 0.65 * plain
    assert error(denoising, _asks_for_the_corrupted_frame) > 1.1 * plain


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
