"""Signs of collapse during training: each begins on a broken model, none on a sound one, and a run says so."""

import csv

import pytest
import torch
from tiny_model import TinyAutoencoder

from video_ae.geometry.se3 import rigid, so3_exp
from video_ae.models.base import Autoencoder
from video_ae.training.collapse_signs import signs_of_collapse
from video_ae.training.config import parse_run
from video_ae.training.train import train
from video_ae.types import CameraEstimate, Cameras, ModelOutput, VideoClip

BROKEN = ["copies_context", "flat_structure", "poses_alike", "runaway_focal", "poses_encode_time"]


def make_clips(frames=7):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, frames, 3, 12, 16, generator=generator)
    numbers = torch.arange(frames).repeat(2, 1)
    return VideoClip(pictures, numbers, numbers.double() / 10)


class Oracle(Autoencoder):
    """Renders the held-out frames themselves; its camera follows the pictures, so that it comes back when they do.

    `broken` names what is wrong with it.
    """

    def __init__(self, broken=()):
        super().__init__()
        self.broken = broken

    def forward(self, clip):
        batch, count = clip.frames.shape[:2]
        targets = torch.arange(1, count, 2)
        frames = clip.frames[:, targets - 1] if "copies_context" in self.broken else clip.frames[:, targets]
        height, width = clip.frames.shape[-2:]
        ramp = torch.linspace(0.5, 2, width).expand(batch, len(targets), height, width)
        disparity = torch.ones_like(ramp) if "flat_structure" in self.broken else ramp
        brightness = clip.frames.mean((-1, -2))  # batch frame 3
        place = brightness - brightness[:, :1]
        if "poses_encode_time" in self.broken:
            place = torch.arange(count)[None, :, None] * torch.ones(batch, 1, 3)
        poses = rigid(so3_exp(place), place)
        if "poses_alike" in self.broken:
            poses = torch.eye(4).expand(batch, count, 4, 4)
        focal = 9.0 if "runaway_focal" in self.broken else 0.9
        cameras = Cameras(poses, torch.tensor([focal, focal, 0.5, 0.5]).expand(batch, count, 4))
        ones = torch.ones(batch, count)
        estimate = CameraEstimate(cameras, ones[..., None, None], ones, torch.eye(6).expand(batch, count, 6, 6))
        return ModelOutput(frames, targets, disparity, estimate)


def triggered(model):
    clip = make_clips()
    found = signs_of_collapse(model, clip, model(clip))
    assert set(found) == set(BROKEN)
    return {name for name, finding in found.items() if finding.triggered}


def test_a_sound_model_has_none():
    assert triggered(Oracle()) == set()


@pytest.mark.parametrize("sign", BROKEN)
def test_each_sign_begins_on_its_broken_model(sign):
    assert triggered(Oracle((sign,))) == {sign}


def test_a_model_without_camera_is_asked_nothing_about_it():
    clip, model = make_clips(), TinyAutoencoder()
    assert set(signs_of_collapse(model, clip, model(clip))) == {"copies_context", "flat_structure"}


def test_a_run_says_it_once_and_logs_the_values(arguments, monkeypatch, capfd):
    answer = Oracle(("flat_structure",))
    monkeypatch.setattr(TinyAutoencoder, "forward", tiny_forward(answer, TinyAutoencoder.forward))
    run = train(parse_run(arguments))
    said = capfd.readouterr().err
    assert said.count("sign of collapse") == 1
    assert "flat structure" in said
    with open(run / "metrics" / "version_0" / "metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row.get("signs/flat_structure")]
    assert [float(row["signs/flat_structure"]) for row in rows] == [0.0, 0.0]


def tiny_forward(answer, learns):
    """The tiny model learns as ever, and answers in validation as the oracle does."""

    def forward(self, clip):
        return learns(self, clip) if self.training else answer(clip)

    return forward
