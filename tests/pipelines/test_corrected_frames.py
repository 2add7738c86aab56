"""Frames that are corrected for a lens, for a rolling shutter and for what moves, from the video to the exports."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_scene_model import FakeSceneModel
from PIL import Image
from wave_walk import SIZE, write_walk

import video_ae
from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.geometry.rolling_shutter import as_global_shutter, image_motion
from video_ae.models.base import Options
from video_ae.pipelines.reconstruct import _task, reconstruct_video
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.source import read_source
from video_ae.scene.undistort import UndistortedReader, undistorted
from video_ae.types import LensOffset
from video_ae.videos.open import open_video

COUNT = 13


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """weights and an mp4."""
    root = tmp_path_factory.mktemp("inputs")
    write_walk(root, COUNT)
    return root


def test_frames_of_a_calibrated_lens_are_undistorted_everywhere(inputs, tmp_path):
    """The cameras are those of a pinhole, and so are the images beside them, also when they are exported later."""
    width, height = SIZE
    camera = {"w": width, "h": height, "fl_x": 0.9 * width, "fl_y": 0.9 * width, "k1": -0.3}
    (tmp_path / "lens.json").write_text(json.dumps(camera))
    out = tmp_path / "out"
    given = {"refine": 0, "export": ("none",), "camera": tmp_path / "lens.json"}
    reconstruct_video(inputs / "walk.mp4", out, inputs / "weights.safetensors", **given)
    settings = json.loads((out / "summary.json").read_text())["settings"]
    assert settings["focal"] == pytest.approx(0.9)
    assert settings["camera"]["radial"][0] == -0.3
    saved = Reconstruction.load(out)
    expected = undistorted(open_video(inputs / "walk.mp4"), tmp_path / "lens.json").read([3])
    assert torch.equal(saved.source.open().read([3]), expected)
    assert (expected.float() - open_video(inputs / "walk.mp4").read([3]).float()).abs().mean() > 2
    with pytest.raises(UserError, match="beside a camera"):
        reconstruct_video(inputs / "walk.mp4", tmp_path / "no", inputs / "weights.safetensors", focal=0.9, **given)
    assert not (tmp_path / "no").exists()


def test_a_calibration_that_was_changed_begins_anew(inputs, tmp_path):
    """The folder of a COLMAP model holds no images, by which folders are otherwise told apart."""
    asked = {"weights": None, "camera": tmp_path / "model"}
    (tmp_path / "model").mkdir()
    tasks = []
    for focal in (50, 60, 60):
        (tmp_path / "model" / "cameras.txt").write_text(f"1 SIMPLE_PINHOLE 64 48 {focal} 32 24")
        tasks.append(_task(inputs / "walk.mp4", asked))
    assert tasks[0] != tasks[1] == tasks[2]


def test_the_search_for_a_lens_says_that_it_has_ended(inputs):
    reader, heard = open_video(inputs / "walk.mp4"), []
    options = Options(progress=lambda stage, done: heard.append((stage, done)))
    FakeSceneModel().without_lens(reader, read_source(reader, 1, 3), options)
    assert heard == [("lens", 0.0), ("lens", 1.0)]


def test_a_lens_that_is_found_is_corrected_and_said(inputs, tmp_path, monkeypatch):
    """The model is asked again about the corrected frames, and is content with them."""
    asked = []

    def find_lens(model, clip, options):
        asked.append(clip.frames)
        return LensOffset(-0.1, (0.02, 0.0), 0.8) if len(asked) == 1 else None

    monkeypatch.setattr(FakeSceneModel, "find_lens", find_lens)
    given = {"refine": 0, "export": ("none",)}
    out = reconstruct_video(inputs / "walk.mp4", tmp_path / "out", inputs / "weights.safetensors", **given)
    assert len(asked) == 2
    assert not torch.equal(*asked)
    summary = json.loads((out / "summary.json").read_text())
    assert any(note.startswith("lens: ") and "52.0 % of the width" in note for note in summary["notes"])
    assert summary["settings"]["camera"]["radial"] == [-0.1]
    assert isinstance(Reconstruction.load(out).source.open(), UndistortedReader)
    pinhole = {"camera": Path("pinhole"), **given}
    out = reconstruct_video(inputs / "walk.mp4", tmp_path / "as-is", inputs / "weights.safetensors", **pinhole)
    assert len(asked) == 2
    assert json.loads((out / "summary.json").read_text())["settings"]["camera"] is None


def test_frames_of_a_rolling_shutter_are_straightened_everywhere(inputs, tmp_path, monkeypatch):
    """In memory, after loading, and in what is exported; the files say so."""
    found = FakeSceneModel.find_cameras
    monkeypatch.setattr(FakeSceneModel, "find_cameras", lambda *words: replace(found(*words), readout=0.5))
    made = video_ae.reconstruct(inputs / "walk.mp4", inputs / "weights.safetensors", refine=0)
    saved = Reconstruction.load(made.save(tmp_path / "out", export=("nerfstudio",)))
    raw = open_video(inputs / "walk.mp4").read([6])
    motion = image_motion(made.scene.camera)[[6]]
    for one in (made, saved):
        straight = one.source_video().read([6])
        assert torch.equal(straight, as_global_shutter(raw, motion, 0.5))
        assert (straight.float() - raw.float()).abs().mean() > 0.5
    image = torch.from_numpy(np.array(Image.open(sorted((tmp_path / "out" / "images").iterdir())[6])))
    assert (image.permute(2, 0, 1).float() - straight[0]).abs().mean() < 4  # a JPEG
    assert saved.scene.camera.readout == 0.5
    assert read_cameras_json(tmp_path / "out" / "cameras.json").readout == 0.5


def test_what_moves_is_masked_for_other_programs(inputs, tmp_path, monkeypatch):
    """White where the scene is still; nerfstudio is told the files, COLMAP and Brush look for them by name."""
    found = FakeSceneModel.find_cameras
    static = torch.ones(COUNT, 4, 6)
    static[:, :, :2] = 0
    monkeypatch.setattr(FakeSceneModel, "find_cameras", lambda *words: replace(found(*words), static=static))
    made = video_ae.reconstruct(inputs / "walk.mp4", inputs / "weights.safetensors", refine=0)
    out = made.save(tmp_path / "out", export=("nerfstudio", "colmap"))
    assert torch.equal(Reconstruction.load(out).scene.camera.static, static)
    frames = json.loads((out / "transforms.json").read_text())["frames"]
    assert [Path(frame["mask_path"]).name for frame in frames] == [
        f"{Path(frame['file_path']).name}.png" for frame in frames
    ]
    names = {f"{path.name}.png" for path in (out / "colmap" / "images").iterdir()}
    assert {path.name for path in (out / "colmap" / "masks").iterdir()} == names
    mask = np.array(Image.open(out / frames[0]["mask_path"]))
    assert mask.shape == SIZE[::-1]
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[:, : SIZE[0] // 4] == 0).all()
    assert (mask[:, SIZE[0] // 2 :] == 255).all()
