"""Views of frames that the structure has not seen, and what reaches them."""

from dataclasses import replace

import pytest
import torch
from evaluation_fakes import FakeSource

from video_ae.errors import UserError
from video_ae.evaluation.evaluate import evaluate_views
from video_ae.evaluation.protocols.held_out_protocol import (
    MAIN,
    held_out_frames,
    held_out_methods,
    hold_out,
    run_held_out_protocol,
)
from video_ae.evaluation.tables import markdown_tables
from video_ae.geometry.se3 import se3_exp
from video_ae.models.base import Options, VideoModel
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.types import CameraEstimate, Cameras, MultiplaneVolume, Scene


class OneWall(VideoModel):
    """A wall far away that looks like the first frame, and cameras that pass it whatever the frames show."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.renderer = FrustumRenderer()

    forward = encode_scene = synthesize = lambda *given: pytest.fail("not asked for")

    def find_cameras(self, clip, options=Options()):
        count = len(clip)
        twist = torch.zeros(count, 6)
        twist[:, 3] = 0.02 * torch.arange(count)
        cameras = Cameras(se3_exp(twist), torch.tensor([0.8, 1.0, 0.5, 0.5]).expand(count, 4))
        covariance = torch.eye(6).expand(count, 6, 6)
        return CameraEstimate(cameras, torch.ones(count, 4, 4), torch.ones(count), covariance)

    def encode_structures(self, clip, estimate, options=Options()):
        image = clip.frames[0].float() / 255
        density = torch.zeros(2, *image.shape[1:])
        density[1] = 8.0
        planes = torch.tensor([2.0, 1.0])
        wall = MultiplaneVolume(density, image[:, None].repeat(1, 2, 1, 1), planes, estimate.cameras.select([0]))
        return Scene(clip, estimate, (0,), (wall,))

    def render(self, scene, cameras, size=None):
        return self.renderer(scene.volume(0)[None], cameras[None], size[1], size[0])[0]


def run(source, methods):
    return run_held_out_protocol(source, OneWall().eval(), methods, 4)


def test_which_frames_are_held_out():
    assert held_out_frames(25, 4) == [2, 6, 10, 14, 18, 22]
    assert held_out_frames(5, 8) == []
    assert held_out_frames(6, 2) == [1, 3]


def test_pixels_of_held_out_frames_reach_no_image():
    clip = FakeSource((9,)).clips[0]
    changed = clip.frames.clone()
    changed[[2, 6]] = 0.0
    given = [hold_out(one, 4, OneWall(), Options()) for one in (clip, replace(clip, frames=changed))]
    assert given[0].held_out == [2, 6]
    for name, method in held_out_methods(refine_steps=5).items():
        with torch.no_grad():
            first, second = (method(one) for one in given)
        assert first.shape == (2, 3, 16, 20), name
        torch.testing.assert_close(first, second, msg=name)


def test_scores_of_the_truth_and_of_copies():
    methods = {"oracle": lambda given: given.clip.frames[given.held_out], **held_out_methods(refine_steps=5)}
    result = run(FakeSource((9, 13)), methods)
    row = result.result.clips["clip0"]
    assert row["psnr"] == 100
    assert row["gradient_energy"] == pytest.approx(1)
    assert (row["frames"], result.result.clips["clip1"]["frames"]) == (2, 3)
    noise = result.baselines["frame before"].clips["clip0"]["psnr"]
    assert noise == pytest.approx(7.8, abs=0.5)  # two independent uniform values: a mean squared error of 1 / 6
    assert result.baselines["blend of both neighbours"].clips["clip0"]["gradient_energy"] == pytest.approx(0.5, abs=0.1)
    assert MAIN in result.baselines
    assert "views a CPU second" in markdown_tables(result.to_dict())


def test_a_clip_that_is_too_short_fails_and_is_said():
    row = run(FakeSource((3,)), held_out_methods(refine_steps=5)).result.clips["clip0"]
    assert "give a longer one" in row["failure"]
    assert row["psnr"] is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"protocol": "held-out", "every": 1}, "none is left"),
        ({"protocol": "held-out", "gaps": [2]}, "has no gaps"),
        ({"every": 4}, "alone"),
    ],
)
def test_impossible_questions(given, message, tmp_path):
    with pytest.raises(UserError, match=message):
        evaluate_views(tmp_path, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()
