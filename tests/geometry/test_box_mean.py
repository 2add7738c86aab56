"""Means over the surroundings of pixels: the compiled loop beside torch's pooling."""

import pytest
import torch

from video_ae.geometry import box_mean


@pytest.mark.parametrize("radius", [0, 1, 4])
@pytest.mark.parametrize("shape", [(2, 9, 14), (1, 3, 2), (1, 1, 1)])
def test_the_compiled_loop_is_the_tensor_operation(shape, radius):
    maps = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(maps, [radius] * 4)
    inside = torch.nn.functional.pad(torch.ones_like(maps), [radius] * 4)
    sums = [torch.nn.functional.avg_pool2d(one, 2 * radius + 1, 1) for one in (padded, inside)]
    expected = sums[0] / sums[1]
    torch.testing.assert_close(box_mean.box_mean(maps, radius), expected)
    means = torch.empty_like(maps)
    box_mean.mean_maps(maps.numpy(), radius, means.numpy(), 0, len(maps))
    torch.testing.assert_close(means, expected)


def test_maps_of_other_precision_are_left_to_torch():
    maps = torch.rand(1, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(box_mean.box_mean(maps, 1)[0, 0, 0], maps[0, :2, :2].mean())
