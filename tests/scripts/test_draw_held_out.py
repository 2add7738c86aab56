"""Pictures of the held-out protocol: which frame is shown, and where its error stands."""

import sys
from pathlib import Path

import numpy as np
import torch

from video_ae.evaluation.protocols.base import Prediction
from video_ae.types import VideoClip

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import draw_held_out as tool


def test_the_held_out_frame_nearest_to_the_middle_is_kept_of_every_method():
    clip = VideoClip(torch.rand(12, 3, 4, 6), torch.arange(12), torch.arange(12.0))
    kept = tool.MiddleFrames()
    for label in ("one", "other"):
        for frame in (2, 6, 10):
            kept(label, "walk", frame, clip, Prediction(clip.frames[frame]))
    assert kept.truths["walk"][0] == 6
    assert all(torch.equal(image, clip.frames[6]) for image in kept.images["walk"].values())
    assert list(kept.images["walk"]) == ["one", "other"]


def test_errors_stand_below_the_images_and_the_truth_has_none():
    truth = torch.full((3, 40, 200), 0.5)
    sheet = np.asarray(tool.draw(truth, {"truth": truth, "darker": truth - 0.1}))
    assert sheet.shape == (tool.CAPTION + 2 * 40 + tool.GAP, 3 * 200 + 2 * tool.GAP, 3)
    images, errors = sheet[tool.CAPTION :][:40], sheet[-40:]
    second, third = (slice(n * (200 + tool.GAP), n * (200 + tool.GAP) + 200) for n in (1, 2))
    np.testing.assert_allclose(images[:, second], 0.5 * 255, atol=1)
    assert (errors[:, second] == 0).all()
    np.testing.assert_allclose(errors[:, third], 0.1 * tool.ERROR_GAIN * 255, atol=1)
