"""The canary: a short seeded training, after which the model must know where the camera went and what lies between.

It dies where the camera is not learnt, which a falling loss does not show: the same questions are put to three broken
models, and each must fail.
"""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from video_ae.camera.base import CameraEncoder
from video_ae.datasets.open import open_dataset
from video_ae.evaluation.baselines import blend, standing_still, straight_line
from video_ae.evaluation.metrics.images import psnr
from video_ae.evaluation.metrics.pose_errors import absolute_trajectory_error, pair_errors, pairs_apart
from video_ae.geometry.se3 import rigid, so3_exp
from video_ae.models.open import build_model, load_model
from video_ae.training.config import parse_run
from video_ae.training.train import train
from video_ae.types import Cameras

ROOT = Path(__file__).parents[1]
WALKS = ROOT / "data" / "walkthroughs"
FRAMES, GAP = 16, 5


def questions(model, clips=(0,)):
    """What the canary asks, as shares of what the best method scores that learns nothing: 1 is no better."""
    shares = {"rotation": 0.0, "trajectory": 0.0, "pictures": 0.0}
    dataset = open_dataset(WALKS / "test")
    for number in clips:
        clip = dataset.load(number, indices=range(FRAMES), size=(96, 72))
        true = clip.cameras.world_from_camera.double()
        found = model.find_cameras(clip).cameras.world_from_camera.double()
        for name, share in (
            ("rotation", turned(found, true) / turned(standing_still(clip).cameras.world_from_camera, true)),
            ("trajectory", strayed(found, true) / strayed(straight_line(clip).cameras.world_from_camera, true)),
            ("pictures", missed(model, clip)),
        ):
            shares[name] += share / len(clips)
    return shares


def turned(found, true):
    return pair_errors(found, true, pairs_apart(FRAMES, GAP)).mean_rotation


def strayed(found, true):
    return absolute_trajectory_error(found[:, :3, 3], true[:, :3, 3]).rmse_over_extent


def missed(model, clip):
    """Squared error of a held-out middle frame over that of blending its contexts."""
    contexts, target = clip.select([4, 8]), clip.select([6])
    scores = [
        psnr(image[None], target.frames).item()
        for image in (model.synthesize(contexts, target).rgb[0], blend(contexts, target).image)
    ]
    return 10 ** ((scores[1] - scores[0]) / 10)


def lives(shares):
    return shares["rotation"] < 0.2 and shares["trajectory"] < 0.5 and shares["pictures"] < 0.7


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Thirty steps on the sample clips, cameras found by the model itself."""
    out = tmp_path_factory.mktemp("canary") / "run"
    run = train(
        parse_run(
            [
                "--config", str(ROOT / "configs" / "quickstart.yaml"), f"--data.root={WALKS / 'train'}",
                "--data.validation_root=null", "--data.max_frames_in_memory=400", "--trainer.max_steps=30",
                "--trainer.max_time=null", "--trainer.validate_every=30", "--data.validation_clips=1",
                "--trainer.accelerator=cpu", "--out", str(out),
            ]
        )
    )  # fmt: skip
    return load_model(run)


def test_the_canary_lives(trained):
    shares = questions(trained, clips=(0, 1))
    assert lives(shares), shares


class Standing(CameraEncoder):
    """A camera encoder that has collapsed: what the sound one answers, with poses of its own."""

    def __init__(self, sound, poses):
        super().__init__()
        self.sound, self.poses = sound, poses

    def solve(self, frames, *told):
        estimate = self.sound.solve(frames, *told)
        return replace(estimate, cameras=Cameras(self.poses(len(frames)), estimate.cameras.intrinsics))


def all_alike(frames):
    return torch.eye(4).repeat(frames, 1, 1)


def counting(frames):
    """Poses that encode nothing but time: forward, turning a little."""
    number = torch.arange(frames, dtype=torch.float32)[:, None]
    return rigid(so3_exp(number * torch.tensor([0.0, 0.01, 0.0])), number * torch.tensor([0.0, 0.0, 0.1]))


@pytest.mark.parametrize("poses", [all_alike, counting])
def test_it_dies_of_a_camera_that_has_collapsed(trained, poses):
    broken = deepcopy(trained)
    broken.camera = Standing(trained.camera, poses)
    shares = questions(broken)
    assert not lives(shares), shares


def test_it_dies_of_a_model_that_has_not_learnt_the_camera():
    """The 2021 model at its random start, whose regressor answers hardly any motion."""
    torch.manual_seed(0)
    model = build_model(
        {
            "class_path": "PaperVideoAutoencoder",
            "init_args": {"width": 8, "image_size": [64, 48]},
        }
    )
    shares = questions(model.eval())
    assert not lives(shares)
    assert shares["rotation"] > 0.5
