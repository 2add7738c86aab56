"""Images shown larger or smaller."""

import pytest
import torch

from video_ae.geometry.zoom import magnified, shown_part


def test_magnified_images_show_everything_larger():
    ramp = torch.arange(12.0).expand(2, 1, 6, 12) + 0.5
    shown = magnified(ramp, torch.tensor([2.0, 0.5]))[:, 0, 0]
    torch.testing.assert_close(shown[0], 6 + (ramp[0, 0, 0] - 6) / 2)
    torch.testing.assert_close(shown[1], (6 + 2 * (ramp[1, 0, 0] - 6)).clamp(0.5, 11.5))  # the border is repeated
    assert magnified(ramp.byte(), torch.tensor([2.0, 0.5])).dtype == torch.uint8


def test_what_lies_beyond_the_border_is_known():
    shown = shown_part(torch.tensor([1.5, 0.5]), (100, 60))
    assert shown[0].all()
    assert shown[1].mean().item() == pytest.approx(0.25 * 0.96**2, rel=0.05)
    assert shown[1, 30, 50] == 1
    assert shown[1, 30, 20] == shown[1, 10, 50] == 0
