"""The lecture's backpropagation, by hand in NumPy, against autograd: docs/backpropagation.md explains each line."""

import numpy as np
import pytest
import torch

from video_ae.lecture.layers import DenseLayers

_ETA = 0.3


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


@pytest.fixture
def network() -> DenseLayers:
    torch.manual_seed(0)
    return DenseLayers((4, 3), 5).double()


def _by_hand(network: DenseLayers, x: np.ndarray):
    """Deltas and gradients of half the squared error of one picture x [values]."""
    w1, b1 = network.encoder.weight.detach().numpy(), network.encoder.bias.detach().numpy()
    w2, b2 = network.decoder.weight.detach().numpy(), network.decoder.bias.detach().numpy()
    h = _sigmoid(w1 @ x + b1)
    shown = _sigmoid(w2 @ h + b2)
    delta2 = (shown - x) * shown * (1 - shown)  # s' = s (1 - s)
    delta1 = (w2.T @ delta2) * h * (1 - h)
    gradients = {
        "encoder.weight": np.outer(delta1, x),
        "encoder.bias": delta1,
        "decoder.weight": np.outer(delta2, h),
        "decoder.bias": delta2,
    }
    return delta1, delta2, gradients


def _loss(network: DenseLayers, x: torch.Tensor, factor: float) -> torch.Tensor:
    return factor * (network.decode(network.encode(x)) - x).square().sum()


def test_lectures_gradients_are_those_of_half_the_squared_error(network):
    x = torch.rand(1, 3, 3, 4, dtype=torch.float64)
    _loss(network, x, 0.5).backward()
    _, _, gradients = _by_hand(network, x.flatten().numpy())
    for name, parameter in network.named_parameters():
        np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=1e-6, atol=1e-12, err_msg=name)


def test_deltas_are_the_gradients_before_the_activations(network):
    x = torch.rand(1, 3, 3, 4, dtype=torch.float64)
    sums = {}
    for name in ("encoder", "decoder"):

        def keep(module, inputs, output, name=name):
            output.retain_grad()
            sums[name] = output

        getattr(network, name).register_forward_hook(keep)
    _loss(network, x, 0.5).backward()
    delta1, delta2, _ = _by_hand(network, x.flatten().numpy())
    np.testing.assert_allclose(delta1, sums["encoder"].grad[0].numpy(), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(delta2, sums["decoder"].grad[0].numpy(), rtol=1e-6, atol=1e-12)


def test_stated_loss_has_twice_these_gradients(network):
    x = torch.rand(1, 3, 3, 4, dtype=torch.float64)
    _loss(network, x, 1.0).backward()
    _, _, gradients = _by_hand(network, x.flatten().numpy())
    for name, parameter in network.named_parameters():
        np.testing.assert_allclose(2 * gradients[name], parameter.grad.numpy(), rtol=1e-6, atol=1e-12, err_msg=name)


def test_one_step_of_gradient_descent(network):
    x = torch.rand(1, 3, 3, 4, dtype=torch.float64)
    _, _, gradients = _by_hand(network, x.flatten().numpy())
    expected = {n: p.detach().numpy().copy() - _ETA * gradients[n] for n, p in network.named_parameters()}
    before = _loss(network, x, 0.5)
    before.backward()
    torch.optim.SGD(network.parameters(), lr=_ETA).step()
    for name, parameter in network.named_parameters():
        np.testing.assert_allclose(expected[name], parameter.detach().numpy(), rtol=1e-6, atol=1e-12, err_msg=name)
    assert _loss(network, x, 0.5) < before
