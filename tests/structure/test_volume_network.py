import pytest
import torch
import torch.nn.functional as F
from torch import nn

from video_ae.structure.volume_network import (
    PlanewiseConv3d,
    VolumeNetwork,
    plane_by_plane,
    resize_planes,
    voxel_by_voxel,
)
from video_ae.threads import same_threads


def same_with_gradients(one, other, volume, parameters):
    """Whether two functions of a volume agree, and what flows back through them to it and to the parameters."""
    results = []
    for function in (one, other):
        given = volume.clone().requires_grad_()
        output = function(given)
        weights = torch.linspace(-1, 1, output.numel()).view_as(output)
        results.append([output, *torch.autograd.grad((output * weights).sum(), [given, *parameters])])
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1, 1), (4, 3, 5), (7, 6, 4)])
def test_a_planewise_convolution_is_a_convolution(stride, size):
    torch.manual_seed(0)
    layer = PlanewiseConv3d(3, 5, stride)

    def usual(volume):
        return F.conv3d(volume, layer.weight, layer.bias, stride, 1)

    assert same_with_gradients(layer, usual, torch.randn(2, 3, *size), list(layer.parameters()))
    assert layer(torch.randn(2, 3, *size)).is_contiguous()


@pytest.mark.parametrize(
    ("fast", "kernel"),
    [(voxel_by_voxel, 1), (plane_by_plane, 1), (plane_by_plane, (1, 3, 3))],
    ids=["voxels", "planes", "planes, 3x3"],
)
def test_a_network_is_the_same_by_voxels_and_by_planes(fast, kernel):
    torch.manual_seed(0)
    padding = (0, 1, 1) if kernel != 1 else 0
    network = nn.Sequential(nn.Conv3d(3, 4, kernel, padding=padding), nn.LeakyReLU(0.1, True), nn.Conv3d(4, 1, 1))
    volume = torch.randn(2, 3, 4, 5, 6)
    assert same_with_gradients(lambda given: fast(network, given), network, volume, list(network.parameters()))


def test_resized_planes_are_a_trilinear_interpolation():
    volume = torch.rand(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(volume, (4, 9, 13), mode="trilinear", align_corners=False)
    torch.testing.assert_close(resize_planes(volume, 9, 13), expected)


def test_the_number_of_threads_changes_no_bit():
    torch.manual_seed(0)
    network, volume = VolumeNetwork(35, 8), torch.randn(1, 35, 29, 16, 21)
    outputs = []
    for threads in (1, 2, 3):
        with same_threads(), torch.no_grad():
            torch.set_num_threads(threads)
            outputs.append(network(volume))
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
