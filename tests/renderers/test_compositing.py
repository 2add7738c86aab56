"""Absorption along rays."""

import torch
from torch.autograd import gradcheck

from video_ae.renderers.compositing import absorption_weights, march


def test_weights_and_what_passes_add_up_to_one():
    opacity = torch.rand(5, 7)
    total = absorption_weights(opacity).sum(-1)
    torch.testing.assert_close(total, 1 - (1 - opacity).prod(-1))


def test_an_opaque_sample_hides_what_lies_behind_it():
    weights = absorption_weights(torch.tensor([0.0, 0.25, 1.0, 0.9]))
    assert weights.tolist() == [0.0, 0.25, 0.75, 0.0]


def test_halving_the_steps_changes_nothing_in_a_uniform_medium():
    """Opacities 1 - exp(-density * length) compose: two half steps absorb what one step does."""
    whole = 1 - torch.exp(-torch.full((3,), 0.7))
    half = 1 - torch.exp(-torch.full((6,), 0.35))
    seen, total = march(whole, torch.ones(3, 2))
    finer, total_finer = march(half, torch.ones(6, 2))
    torch.testing.assert_close(seen, finer)
    torch.testing.assert_close(total, total_finer)


def test_gradients_hold_behind_opaque_samples_too():
    opacity = torch.tensor([0.2, 0.999, 0.5], dtype=torch.float64, requires_grad=True)
    features = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(march, (opacity, features))
    opaque = torch.tensor([1.0, 0.5, 1.0], requires_grad=True)
    march(opaque, torch.rand(3, 2))[0].sum().backward()
    assert opaque.grad.isfinite().all()
