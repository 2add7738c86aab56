"""Cubic convolution beside torch's."""

import numpy as np
import pytest
import torch

from video_ae.geometry import bicubic

SIZE = (7, 5)  # width, height


@pytest.fixture
def coordinates():
    """Anywhere in the image, also between its border and the centres of its outer pixels."""
    return torch.rand(2, 30, 4, 2, generator=torch.Generator().manual_seed(0))


def test_with_torchs_slope_it_is_torchs_inside_the_image(coordinates, monkeypatch):
    monkeypatch.setattr(bicubic, "SLOPE", -0.75)
    images = torch.rand(2, 3, SIZE[1], SIZE[0], generator=torch.Generator().manual_seed(1))
    found = bicubic.sample_bicubic(images, coordinates)
    torchs = torch.nn.functional.grid_sample(
        images, 2 * coordinates - 1, mode="bicubic", padding_mode="border", align_corners=False
    )
    pixel = coordinates * torch.tensor(SIZE) - 0.5
    inside = ((pixel >= 0) & (pixel <= torch.tensor(SIZE) - 1)).all(-1)
    assert inside.float().mean() > 0.5
    torch.testing.assert_close(found.movedim(1, -1)[inside], torchs.movedim(1, -1)[inside])


def test_the_compiled_loop_is_the_tensor_operation(coordinates):
    image = torch.randint(256, (SIZE[1], SIZE[0], 3), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    expected = bicubic.sample_bicubic(image.permute(2, 0, 1)[None].float(), coordinates[:1])[0].flatten(1).T
    pixels = (coordinates[0].flatten(0, 1) * torch.tensor(SIZE) - 0.5).numpy().astype(np.float32)
    frames, columns = bicubic.with_border([image.permute(2, 0, 1)]).numpy().reshape(1, -1), np.empty(16, np.float32)
    found = [bicubic.bicubic_color(frames, 0, SIZE, x, y, columns) for x, y in pixels]
    torch.testing.assert_close(torch.tensor(found), expected, atol=2e-3, rtol=1e-4)


def test_outside_of_the_image_its_border_goes_on():
    image = torch.arange(4.0).expand(1, 1, 4, 4)
    beyond = torch.tensor([[[[-3.0, 0.5], [4.0, 0.5]]]])
    assert bicubic.sample_bicubic(image, beyond).flatten().tolist() == pytest.approx([0.0, 3.0], abs=0.3)
