"""From a video to a folder of results and on to new videos, with a model that makes things up."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_scene_model import FakeSceneModel
from PIL import Image
from wave_walk import SIZE, waves, write_walk

import video_ae
from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.formats.ply import read_ply
from video_ae.formats.scene import read_scene
from video_ae.formats.tum import read_tum
from video_ae.geometry.rolling_shutter import as_global_shutter, image_motion
from video_ae.geometry.se3 import invert
from video_ae.models.base import Options
from video_ae.models.open import load_video_model
from video_ae.pipelines.reconstruct import _task, reconstruct_video, render_path
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.source import read_source
from video_ae.scene.undistort import UndistortedReader, undistorted
from video_ae.types import LensOffset
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

ALWAYS = {"cameras.json", "reconstruction.mp4", "novel_view.mp4", "overview.png", "summary.json", "scene"}
FILES = ALWAYS | {
    "cameras_tum.txt",
    "cameras_kitti.txt",
    "points.ply",
    "gaussians.ply",
    "scene.html",
    "transforms.json",
    "images",
    "depth",
    "colmap",
}
COUNT = 13


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """weights, an mp4, and a folder of images."""
    root = tmp_path_factory.mktemp("inputs")
    write_walk(root, COUNT)
    (root / "images").mkdir()
    for number, picture in enumerate((waves(COUNT) * 255).to(torch.uint8)):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(root / "images" / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def done(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("done") / "deep" / "walk"
    return reconstruct_video(inputs / "walk.mp4", out, inputs / "weights.safetensors", refine=0)


def test_all_files_are_there_and_agree(done):
    assert {path.name for path in done.iterdir()} == FILES
    assert [path.name for path in done.parent.iterdir()] == ["walk"]
    track = read_cameras_json(done / "cameras.json")
    assert track.indices.tolist() == list(range(COUNT))
    assert track.image_size == SIZE
    assert track.cameras.intrinsics[0].tolist() == pytest.approx([0.8, 0.8 * 64 / 48, 0.5, 0.5])
    torch.testing.assert_close(track.times, torch.arange(COUNT).double() / 25, atol=1e-4, rtol=0)
    times, poses = read_tum(done / "cameras_tum.txt")
    torch.testing.assert_close(poses, track.cameras.world_from_camera, atol=1e-6, rtol=0)
    torch.testing.assert_close(times, track.times, atol=1e-6, rtol=0)
    summary = json.loads((done / "summary.json").read_text())
    assert summary["frames"] == COUNT
    assert summary["notes"] == ["The walls are made up."]
    assert summary["keyframes"] == [0, 5, 10]
    assert summary["confidence"]["mean"] == pytest.approx(track.confidence.mean().item())
    assert {"reading the video", "finding cameras", "rendering new views", "writing"} <= set(summary["seconds"])


def test_what_was_changed_to_show_the_frames_is_noted(inputs):
    reader = open_video(inputs / "walk.mp4")
    reader.notes = ("interlaced: ...",)
    model = load_video_model(inputs / "weights.safetensors", torch.device("cpu"))
    assert model.reconstruct(reader, refine_iterations=0).notes == ("The walls are made up.", "interlaced: ...")


def test_videos_and_picture_open_and_show_something(done):
    both = open_video(done / "reconstruction.mp4")
    assert (len(both), both.image_size) == (COUNT, (2 * SIZE[0], SIZE[1]))
    torch.testing.assert_close(both.times[1].item(), 0.04, atol=1e-3, rtol=0)
    shown = both.read([0])[0, :, :, : SIZE[0]] / 255
    assert (shown - waves(COUNT)[0]).abs().mean() < 0.05
    novel = open_video(done / "novel_view.mp4")
    assert len(novel) >= 48
    frames = novel.read([0, len(novel) // 2]).float()
    assert (frames[0] - frames[1]).abs().mean() > 2
    with Image.open(done / "overview.png") as image:
        assert image.width > 1000
        colours = image.convert("RGB").resize((200, 200)).getcolors(40_000)
    assert len(colours) > 500


def test_points_lie_on_the_walls(done):
    cloud = read_ply(done / "points.ply")
    track = read_cameras_json(done / "cameras.json")
    assert 1000 < len(cloud) <= 300_000
    camera = invert(track.cameras.world_from_camera[5]).float()  # the code that the fake model renders from
    depth = cloud.points @ camera[2, :3] + camera[2, 3]
    on_a_wall = ((depth - 2).abs() < 0.05) | ((depth - 1 / 1.6).abs() < 0.02)
    assert on_a_wall.float().mean() > 0.97
    assert cloud.confidence.min() > 0
    assert cloud.confidence.max() <= 1


def test_stride_frames_focal_and_a_folder_of_images(inputs, tmp_path):
    out = reconstruct_video(inputs / "images", tmp_path / "out", inputs / "weights.safetensors", 3, 4, 1.1, 0)
    content = json.loads((out / "cameras.json").read_text())
    assert [frame["index"] for frame in content["frames"]] == [0, 3, 6, 9]
    assert [frame["time_s"] for frame in content["frames"]] == [None] * 4
    assert content["intrinsics"]["fx"] == pytest.approx(1.1)
    assert content["frames"][0]["world_from_camera"] == torch.eye(4).tolist()
    assert {path.name for path in out.iterdir()} == FILES
    assert len(open_video(out / "reconstruction.mp4")) == 4


@pytest.mark.parametrize("path", ["input", "orbit", "spiral", "dolly"])
def test_paths_are_rendered_without_the_video(done, tmp_path, path):
    out = render_path(done, path, tmp_path / f"{path}.mp4", frames=9, size=32)
    video = open_video(out)
    assert (len(video), video.image_size) == (9, (42, 32))
    frames = video.read(range(9)).float()
    assert frames.std() > 20
    assert (frames[4] - frames[2]).abs().mean() > 0.5


def test_the_path_of_the_video_takes_as_long_as_the_video(inputs, tmp_path):
    """Also of a variable rate, and with more views than the video has frames."""
    times = torch.tensor([0.0, 0.1, 0.2, 0.5, 0.6, 0.9, 1.0], dtype=torch.float64)
    write_video(tmp_path / "uneven.mp4", waves(7), times=times)
    made = reconstruct_video(
        tmp_path / "uneven.mp4", tmp_path / "out", inputs / "weights.safetensors", refine=0, export=["none"]
    )
    few, many = (
        open_video(render_path(made, "input", tmp_path / f"{frames}.mp4", frames=frames, size=32)).times
        for frames in (4, 20)
    )
    assert few.tolist() == pytest.approx([0.0, 0.2, 0.6, 1.0], abs=1e-3)
    assert len(many) == 20
    assert many[-1].item() == pytest.approx(1.0, abs=1e-3)


def test_images_of_a_few_pixels_and_hours_apart(inputs, tmp_path):
    """A corner needs more pixels than these have, and no player has a whole rate for one frame an hour."""
    (tmp_path / "lapse").mkdir()
    for number, picture in enumerate((waves(4) * 255).to(torch.uint8)):
        small = Image.fromarray(picture[:, ::10, ::16].permute(1, 2, 0).contiguous().numpy())
        small.save(tmp_path / "lapse" / f"{1_700_000_000_000 + 3_600_000 * number}.png")
    made = reconstruct_video(
        tmp_path / "lapse", tmp_path / "out", inputs / "weights.safetensors", refine=0, export=["colmap"]
    )
    assert (made / "colmap" / "sparse" / "0" / "points3D.txt").is_file()
    assert open_video(made / "reconstruction.mp4").times.tolist() == pytest.approx([0, 3600, 7200, 10800])


def test_new_paths_take_their_colours_from_the_frames_where_these_are_there(done, tmp_path):
    alone = tmp_path / "alone"
    shutil.copytree(done / "scene", alone / "scene")

    def rendered(folder: Path, path: str, name: str) -> torch.Tensor:
        return open_video(render_path(folder, path, tmp_path / name, frames=4)).read(range(4)).float()

    colored, codes = rendered(done, "orbit", "colored.mp4"), rendered(alone, "orbit", "codes.mp4")
    assert (colored - codes).abs().mean() > 4
    shutil.copy(done / "novel_view.mp4", alone / "reconstruction.mp4")  # of another size and length
    assert torch.equal(rendered(alone, "orbit", "other.mp4"), codes)
    # Along the input path the frames would show nothing but themselves.
    assert torch.equal(rendered(done, "input", "a.mp4"), rendered(alone, "input", "b.mp4"))


def test_new_views_show_the_frames_colours(done):
    """The made-up model renders one frame, and its waves move from frame to frame."""
    scene, _ = read_scene(done / "scene")
    codes = FakeSceneModel().render(scene, scene.cameras.select([0]), SIZE)
    shown = open_video(done / "novel_view.mp4").read([0])[0].float() / 255  # it starts near the first frame
    inner = (slice(None), slice(8, -8), slice(8, -8))
    far = [(picture - waves(COUNT)[0])[inner].abs().mean().item() for picture in (shown, codes.rgb[0])]
    assert far[0] < 0.7 * far[1]


def test_saved_scene_renders_what_was_rendered_before(done, tmp_path):
    again = open_video(render_path(done, "input", tmp_path / "input.mp4")).read([7])[0].float()
    before = open_video(done / "reconstruction.mp4").read([7])[0, :, :, SIZE[0] :].float()
    assert (again - before).abs().mean() < 4  # both went through H.264


def test_earlier_results_are_refused_then_replaced(inputs, tmp_path):
    out, weights = tmp_path / "out", inputs / "weights.safetensors"
    reconstruct_video(inputs / "walk.mp4", out, weights, frames=3, refine=0)
    (out / "leftover.txt").write_text("")
    with pytest.raises(UserError, match="allow it to be replaced"):
        reconstruct_video(inputs / "walk.mp4", out, weights, frames=4, refine=0)
    assert len(read_cameras_json(out / "cameras.json").times) == 3
    reconstruct_video(inputs / "walk.mp4", out, weights, frames=4, refine=0, overwrite=True)
    assert len(read_cameras_json(out / "cameras.json").times) == 4
    assert {path.name for path in out.iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_foreign_folders_are_never_replaced(inputs, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear")
    with pytest.raises(UserError, match="no earlier result"):
        reconstruct_video(inputs / "walk.mp4", tmp_path / "mine", inputs / "weights.safetensors", overwrite=True)
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"source": "missing.mp4"}, "does not exist"),
        ({"weights": "missing"}, "no weights"),
        ({"stride": 0}, "stride 0"),
        ({"stride": 20}, "leaves one"),
        ({"frames": 1}, "too few"),
        ({"focal": math.nan}, "focal length"),
        ({"refine": -1}, "refinement"),
        ({"device": "toaster"}, "toaster"),
        ({"decoder": "vlc"}, "vlc"),
        ({"export": ["blender"]}, "no export 'blender'"),
        ({"export": ["none", "tum"]}, "stand alone"),
        ({"out": Path(__file__) / "out"}, "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(inputs, tmp_path, change, sentence):
    arguments = {"source": "walk.mp4", "weights": "weights.safetensors", "out": tmp_path / "a" / "b"} | change
    arguments |= {"source": inputs / arguments["source"], "weights": inputs / arguments["weights"]}
    with pytest.raises(UserError, match=sentence) as error:
        reconstruct_video(**arguments)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_error_half_way_leaves_nothing_behind(inputs, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr("video_ae.scene.result_files.write_scene", fail)
    with pytest.raises(RuntimeError):
        reconstruct_video(inputs / "walk.mp4", tmp_path / "a" / "b", inputs / "weights.safetensors", frames=3, refine=0)
    assert list(tmp_path.iterdir()) == []


def test_foreign_and_damaged_results_are_one_sentence(done, tmp_path):
    with pytest.raises(UserError, match="holds no reconstruction"):
        render_path(tmp_path, "orbit", tmp_path / "out.mp4")
    scene = tmp_path / "damaged" / "scene"
    scene.mkdir(parents=True)
    for name in ("scene.json", "scene.safetensors", "weights.safetensors"):
        (scene / name).write_bytes((done / "scene" / name).read_bytes())
    content = (scene / "scene.safetensors").read_bytes()
    (scene / "scene.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged"):
        render_path(tmp_path / "damaged", "orbit", tmp_path / "out.mp4")
    (scene / "scene.safetensors").write_bytes(content)
    (scene / "scene.json").write_text('{"format": "something else"}')
    with pytest.raises(UserError, match="damaged"):
        render_path(tmp_path / "damaged", "orbit", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"path": "loop"}, "input, orbit"),
        ({"out": "x.gif"}, "mp4"),
        ({"size": 3}, "give 16 or more"),
        ({"frames": 1}, "give 2 or more"),
    ],
)
def test_bad_render_requests(done, tmp_path, change, sentence):
    arguments = {"path": "orbit", "out": "x.mp4"} | change
    with pytest.raises(UserError, match=sentence):
        render_path(done, **(arguments | {"out": tmp_path / arguments["out"]}))


def test_render_does_not_overwrite_unasked(done, tmp_path):
    (tmp_path / "x.mp4").write_text("keep")
    with pytest.raises(UserError, match="allow it to be replaced") as error:
        render_path(done, "orbit", tmp_path / "x.mp4", frames=2)
    assert error.value.argument == "overwrite"
    render_path(done, "orbit", tmp_path / "x.mp4", frames=2, overwrite=True)
    assert len(open_video(tmp_path / "x.mp4")) == 2


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


def test_a_rendering_never_takes_the_place_of_the_video(inputs, tmp_path):
    shutil.copy(inputs / "walk.mp4", tmp_path / "walk.mp4")
    given = {"refine": 0, "frames": 2, "export": ("none",)}
    out = reconstruct_video(tmp_path / "walk.mp4", tmp_path / "out", inputs / "weights.safetensors", **given)
    with pytest.raises(UserError, match="is what the result is made from"):
        render_path(out, "orbit", tmp_path / "walk.mp4", frames=2, overwrite=True)
    assert (tmp_path / "walk.mp4").read_bytes() == (inputs / "walk.mp4").read_bytes()


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
