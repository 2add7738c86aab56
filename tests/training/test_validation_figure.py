"""The validation figure has a column for what a model has, and no others."""

import io

import pytest
import torch
from PIL import Image

from video_ae.training.validation_figure import validation_figure
from video_ae.types import ModelOutput, VideoClip


def _clip() -> VideoClip:
    torch.manual_seed(0)
    return VideoClip(torch.rand(2, 3, 3, 12, 16), torch.arange(3).expand(2, 3), torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("targets", "has_disparity", "columns"),
    [([0, 1, 2], False, 2), ([1], False, 3), ([1], True, 4)],
    ids=["all frames are rendered", "a context is left", "with depth"],
)
def test_columns_that_would_be_empty_are_left_out(targets, has_disparity, columns):
    clip = _clip()
    disparity = torch.rand(2, len(targets), 12, 16) if has_disparity else None
    out = ModelOutput(clip.frames[:, targets], torch.tensor(targets), disparity)
    content = io.BytesIO()
    validation_figure(clip, out).savefig(content)
    assert Image.open(content).width == pytest.approx(2.4 * 90 * columns, abs=2)
