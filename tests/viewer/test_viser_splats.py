"""Gaussians as viser's float16 holds them."""

import numpy as np
import pytest
import torch

from video_ae.formats.ply import GaussianCloud
from video_ae.geometry.se3 import so3_exp

pytest.importorskip("viser")


def cloud(scale: torch.Tensor) -> GaussianCloud:
    draw = torch.Generator().manual_seed(5)
    count = len(scale)
    rotation = so3_exp(3 * torch.randn(count, 3, generator=draw, dtype=torch.float64)).float()
    centres = torch.randn(count, 3, generator=draw)
    return GaussianCloud(centres, torch.rand(count, 3, generator=draw), torch.full((count,), 0.5), scale, rotation)


def received(given: GaussianCloud) -> torch.Tensor:
    """Covariances in the world as the browser has them."""
    from video_ae.viewer.viser_splats import fit_for_viser

    sent = fit_for_viser(given)
    return torch.from_numpy(sent.covariances.numpy().astype(np.float16).astype(np.float64)) * sent.unit**2


def covariances(given: GaussianCloud) -> torch.Tensor:
    half = given.rotation * given.scale[:, None]
    return (half @ half.mT).double()


@pytest.mark.parametrize("size", [1e-4, 1.0, 3000.0])
def test_common_gaussians_arrive(size):
    given = cloud(size * torch.tensor([1.0, 0.5, 0.1]).expand(500, 3))
    torch.testing.assert_close(received(given), covariances(given), rtol=0, atol=1e-3 * size**2)


@pytest.mark.parametrize("size", [1e-4, 1.0, 3000.0])
def test_flat_and_thin_ones_keep_positive_eigenvalues(size):
    given = cloud(size * torch.tensor([1.0, 0.5, 1e-4]).expand(2000, 3))
    plain = covariances(given).to(torch.float16).double()
    assert not (torch.linalg.eigvalsh(plain.nan_to_num(posinf=0)) > 0).all()  # sent as they are, they would not
    values = torch.linalg.eigvalsh(received(given))
    assert (values > 0).all()
    assert (values[:, 0].sqrt() < 0.06 * size).all()  # and stay flat


def test_one_giant_changes_nothing_for_the_others():
    scale = torch.tensor([0.01, 0.01, 0.002]).repeat(3000, 1)
    scale[7] = 70000.0
    found = received(cloud(scale))
    assert found.isfinite().all()
    torch.testing.assert_close(found[8:], covariances(cloud(scale))[8:], rtol=0, atol=1e-6)


def test_no_gaussians():
    assert len(received(cloud(torch.zeros(0, 3)))) == 0
