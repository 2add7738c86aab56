"""From a video to a folder of results and on to new videos, with a model that makes things up."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from fake_scene_model import FakeSceneModel
from PIL import Image
from wave_walk import SIZE, waves, write_walk

from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.formats.ply import read_ply
from video_ae.formats.scene import read_scene
from video_ae.formats.tum import read_tum
from video_ae.geometry.se3 import invert
from video_ae.models.open import load_video_model
from video_ae.pipelines.reconstruct import reconstruct_video, render_path
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


def test_a_rendering_never_takes_the_place_of_the_video(inputs, tmp_path):
    shutil.copy(inputs / "walk.mp4", tmp_path / "walk.mp4")
    given = {"refine": 0, "frames": 2, "export": ("none",)}
    out = reconstruct_video(tmp_path / "walk.mp4", tmp_path / "out", inputs / "weights.safetensors", **given)
    with pytest.raises(UserError, match="is what the result is made from"):
        render_path(out, "orbit", tmp_path / "walk.mp4", frames=2, overwrite=True)
    assert (tmp_path / "walk.mp4").read_bytes() == (inputs / "walk.mp4").read_bytes()
