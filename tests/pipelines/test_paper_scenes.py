"""The 2021 model through the real commands: train, reconstruct, render; its scenes survive the disk."""

from pathlib import Path

import pytest
import torch
from wave_walk import waves

from video_ae import cli
from video_ae.errors import UserError
from video_ae.formats.scene import read_scene, write_scene
from video_ae.geometry.se3 import se3_exp
from video_ae.models.video_autoencoder.model import PaperVideoAutoencoder
from video_ae.types import Cameras, DeepVoxels, Scene, VideoClip
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

CONFIG = Path(__file__).parents[2] / "configs" / "paper_small.yaml"
COUNT = 14  # two keyframes: one is encoded every twelfth frame


def _command(line: str) -> None:
    assert cli.main(line.split()) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """videos/walk.mp4; run: two steps of `paper_small`; walk: what that model reconstructs."""
    folder = tmp_path_factory.mktemp("paper")
    (folder / "videos").mkdir()
    write_video(folder / "videos" / "walk.mp4", waves(COUNT), 25.0)
    _command(
        f"train --config {CONFIG} --out {folder}/run --data.root={folder}/videos --data.validation_root=null "
        "--data.size=[32,16] --model.image_size=[32,16] --model.width=4 --data.validation_clips=1 "
        "--trainer.max_steps=2 --trainer.validate_every=2 --trainer.accelerator=cpu"
    )
    _command(f"reconstruct {folder}/videos/walk.mp4 --weights {folder}/run --out {folder}/walk --device cpu")
    return folder


def _far_from_each_other(one: torch.Tensor, other: torch.Tensor) -> float:
    """Mean difference of two pictures (0 .. 255), in units of how much the first varies."""
    return ((one.float() - other.float()).abs().mean() / one.float().std()).item()


def test_render_shows_what_reconstruct_showed(folder):
    _command(f"render {folder}/walk --path input --out {folder}/input.mp4")
    before, after = open_video(folder / "walk" / "reconstruction.mp4"), open_video(folder / "input.mp4")
    assert len(after) == COUNT
    for frame in (3, COUNT - 1):
        seen = before.read([frame])[0, :, :, 64:].float()
        assert _far_from_each_other(seen, after.read([frame])[0]) < 0.1  # both went through H.264


def test_render_goes_along_new_paths(folder):
    _command(f"render {folder}/walk --path orbit --out {folder}/orbit.mp4 --frames 4")
    assert len(open_video(folder / "orbit.mp4")) == 4


@pytest.fixture(scope="module")
def scene() -> tuple[PaperVideoAutoencoder, Scene]:
    torch.manual_seed(0)
    model = PaperVideoAutoencoder(width=4, image_size=(32, 32)).eval()
    torch.nn.init.normal_(model.encoder_traj.pose_pred.bias, std=20.0)  # self-motions that can be seen
    with torch.no_grad():
        model.decoder.upconv_final.weight.mul_(30)  # pictures, too
    clip = VideoClip(torch.rand(COUNT, 3, 32, 32), torch.arange(COUNT), torch.arange(COUNT) / 10, name="noise")
    return model, model.encode_scene(clip)


def test_saved_scene_renders_the_same(scene, tmp_path):
    model, before = scene
    write_scene(tmp_path, before, (32, 32))
    after, _ = read_scene(tmp_path)
    assert after.volumes == ()
    assert after.keyframes == before.keyframes == (0, 12)
    for one, other in zip(after.structures, before.structures, strict=True):
        assert isinstance(one, DeepVoxels)
        torch.testing.assert_close(one.self_motion, other.self_motion)
    moved = before.cameras.world_from_camera @ se3_exp(0.05 * torch.randn(COUNT, 6))  # also off the input path
    cameras = Cameras(moved, before.cameras.intrinsics)
    shown, again = model.render(before, cameras).rgb, model.render(after, cameras).rgb
    assert shown.std() > 0.05
    torch.testing.assert_close(again, shown, atol=2e-3, rtol=0)  # codes are kept in 16 bits


def test_scenes_without_their_codes_are_refused(scene, tmp_path):
    write_scene(tmp_path, scene[1], (32, 32))
    text = (tmp_path / "scene.json").read_text()
    assert '"deep voxels"' in text
    (tmp_path / "scene.json").write_text(text.replace("deep voxels", "clouds"))
    with pytest.raises(UserError, match="is damaged"):
        read_scene(tmp_path)
    (tmp_path / "scene.json").write_text(text.replace("deep voxels", "frustum voxels"))
    with pytest.raises(UserError, match="is damaged"):
        read_scene(tmp_path)
