"""`video_ae.reconstruct` in Python: the same results as the command, in memory."""

import gc
import math
import subprocess
import sys
import tempfile
import urllib.request
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
from video_ae.formats.ply import read_ply
from video_ae.models.base import Options
from video_ae.pipelines.reconstruct import reconstruct_video, render_path
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.source import FramesInMemory
from video_ae.types import Cameras, VideoClip
from video_ae.videos.open import open_video

COUNT = 7


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    write_walk(root, COUNT)
    return root


@pytest.fixture(scope="module")
def walk(inputs):
    return video_ae.reconstruct(str(inputs / "walk.mp4"), str(inputs / "weights.safetensors"), refine=0)


@pytest.fixture(scope="module")
def folder(inputs, tmp_path_factory):
    """What the command writes."""
    out = tmp_path_factory.mktemp("command") / "walk"
    return reconstruct_video(inputs / "walk.mp4", out, inputs / "weights.safetensors", refine=0, export=["points"])


def test_cameras_and_points_are_those_of_the_command(walk, folder):
    saved = read_cameras_json(folder / "cameras.json")
    assert torch.equal(walk.cameras.world_from_camera, saved.cameras.world_from_camera)
    assert torch.equal(walk.cameras.intrinsics, saved.cameras.intrinsics)
    assert torch.equal(walk.confidence, saved.confidence)
    assert walk.focal == pytest.approx(0.8)
    assert torch.equal(walk.points().points, read_ply(folder / "points.ply").points)
    assert walk.notes == ("The walls are made up.",)
    assert (len(walk), walk.keyframes, len(walk.structures)) == (COUNT, (0, 5), 2)
    assert "7 frames" in repr(walk)


def test_a_frame_s_camera_shows_what_the_command_rendered(walk, folder):
    views = walk.render(walk.cameras.select([3]))
    assert views.rgb.shape == (1, 3, SIZE[1], SIZE[0])
    saved = open_video(folder / "reconstruction.mp4").read([3])[0, :, :, SIZE[0] :]
    assert (255 * views.rgb[0] - saved).abs().mean() < 6  # the file went through H.264
    known = views.inverse_depth[views.inverse_depth.isfinite()]
    assert len(known) > 1000
    assert 0.4 < known.min() < known.max() < 1.8  # the walls
    torch.testing.assert_close(views.depth, walk.depth_maps()[[3]], atol=1e-5, rtol=0, equal_nan=True)
    assert walk.render(walk.cameras.select([0, 1]), size=24).rgb.shape == (2, 3, 24, 32)


def test_paths_by_name_and_camera_by_camera(walk):
    orbit = walk.render_path("orbit", frames=5, size=24)
    assert (orbit.dtype, tuple(orbit.shape)) == (torch.uint8, (5, 3, 24, 32))
    assert torch.equal(orbit, walk.render_path(walk.path("orbit", 5), size=24))
    assert (orbit[1].int() - orbit[3].int()).abs().float().mean() > 1


def test_the_overview_is_that_of_the_command(walk, folder):
    picture = walk.overview()
    colours = picture.convert("RGB").resize((200, 200)).getcolors(40_000)
    assert len(colours) > 500
    with Image.open(folder / "overview.png") as saved:
        assert saved.size == picture.size
        difference = np.asarray(saved.convert("L")).astype(int) - np.asarray(picture.convert("L"))
        assert np.abs(difference).mean() < 2


def test_what_is_saved_can_be_rendered_later_and_is_not_overwritten(walk, folder, tmp_path):
    saved = walk.save(tmp_path / "saved", export=["points"])
    assert {path.name for path in saved.iterdir()} == {path.name for path in folder.iterdir()}
    assert (saved / "cameras.json").read_bytes() == (folder / "cameras.json").read_bytes()
    assert (saved / "points.ply").read_bytes() == (folder / "points.ply").read_bytes()
    render_path(saved, "orbit", tmp_path / "orbit.mp4", frames=2)
    with pytest.raises(UserError, match="not empty"):
        walk.save(saved)
    walk.save(saved, export=["none"], overwrite=True)


def test_what_is_saved_is_loaded_again(walk, tmp_path):
    again = Reconstruction.load(walk.save(tmp_path / "walk", export=["none"]), device="cpu")
    assert torch.equal(again.cameras.world_from_camera, walk.cameras.world_from_camera)
    assert (again.name, again.keyframes, again.notes) == (walk.name, walk.keyframes, walk.notes)
    assert (again.source.image_size, again.frame_rate) == (SIZE, 25.0)
    assert (again.frames - walk.frames).abs().mean() < 0.03  # from reconstruction.mp4
    views, before = (one.render(one.path("orbit", 2)) for one in (again, walk))
    torch.testing.assert_close(views.rgb, before.rgb, atol=2e-3, rtol=0)  # codes are kept in 16 bits
    assert again.source_reader((24, 18))(3).shape == (3, 18, 24)
    twice = again.save(tmp_path / "twice", export=["none"])
    assert (twice / "cameras.json").read_bytes() == (tmp_path / "walk" / "cameras.json").read_bytes()


def test_a_moved_video_is_named(walk, inputs, tmp_path):
    folder = walk.save(tmp_path / "walk", export=["none"])
    summary = (folder / "summary.json").read_text()
    (folder / "summary.json").write_text(summary.replace("walk.mp4", "moved.mp4"))
    with pytest.raises(UserError, match="say where it is") as error:
        Reconstruction.load(folder, "cpu").export(tmp_path / "out", ["nerfstudio"])
    assert error.value.argument == "source"
    assert list((tmp_path / "out").iterdir()) == []
    found = Reconstruction.load(folder, "cpu", source=inputs / "walk.mp4")
    written = found.export(tmp_path / "out", ["nerfstudio"])
    assert {path.name for path in written} == {"transforms.json", "images", "points.ply"}


def test_artefacts_are_computed_once(walk, monkeypatch):
    assert walk.points() is walk.points()
    assert walk.gaussians() is walk.gaussians()
    walk.depth_maps()
    monkeypatch.setattr("video_ae.scene.renderable_video.render_chunks", None)  # nothing is rendered any more
    assert walk.depth_maps().shape == (COUNT, SIZE[1], SIZE[0])
    assert walk.render_frames([2]).rgb.shape == (1, 3, SIZE[1], SIZE[0])


@pytest.fixture(scope="module")
def model(inputs):
    return video_ae.load(inputs / "weights.safetensors")


FORMS = {
    "tensor": lambda frames: frames.float() / 255,
    "bytes": lambda frames: frames,
    "array": lambda frames: frames.permute(0, 2, 3, 1).numpy(),
    "images": lambda frames: [Image.fromarray(one.permute(1, 2, 0).contiguous().numpy()) for one in frames],
    "arrays": lambda frames: list(frames.permute(0, 2, 3, 1).numpy()),
    "clip": lambda frames: VideoClip(frames / 255, torch.arange(len(frames)), torch.arange(len(frames)) / 25, name="a"),
    "folder": None,
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_a_video_give_the_same(model, inputs, walk, form, tmp_path):
    frames = open_video(inputs / "walk.mp4").read(range(COUNT))
    for number, image in enumerate(FORMS["images"](frames)):
        image.save(tmp_path / f"{number}.png")
    video = tmp_path if form == "folder" else FORMS[form](frames)
    made = model.reconstruct(video, refine_iterations=0)
    assert torch.equal(made.cameras.world_from_camera, walk.cameras.world_from_camera)
    assert torch.equal(made.frames, walk.frames)
    assert torch.equal(made.structures[0].features, walk.structures[0].features)
    assert len(model.reconstruct(video, stride=2, frames=3, refine_iterations=0)) == 3


def test_frames_in_memory_are_saved_and_exported(model, inputs, tmp_path):
    frames = open_video(inputs / "walk.mp4").read(range(3))
    folder = model.reconstruct(frames, refine_iterations=0).save(tmp_path / "walk", export=["nerfstudio", "colmap"])
    assert len(list((folder / "images").iterdir())) == 3
    with pytest.raises(UserError, match="does not say which video"):
        Reconstruction.load(folder, "cpu").export(tmp_path / "out", ["colmap"])


def test_focal_field_of_view_and_calibration_matrix_agree(model, inputs):
    path, width = inputs / "walk.mp4", SIZE[0]
    K = torch.tensor([[1.1 * width, 0, width / 2], [0, 1.1 * width, SIZE[1] / 2], [0, 0, 1]])
    ways = [{"focal": 1.1}, {"fov_degrees": 2 * math.degrees(math.atan(0.5 / 1.1))}, {"K": K}, {"K": K.numpy()}]
    for way in ways:
        made = model.reconstruct(path, frames=2, refine_iterations=0, **way)
        assert made.focal == pytest.approx(1.1, abs=1e-6)
    assert video_ae.reconstruct(path, inputs / "weights.safetensors", frames=2, refine=0, **ways[1]).focal == (
        pytest.approx(1.1, abs=1e-6)
    )


def test_progress_is_reported_and_nothing_is_printed(inputs, tmp_path, capsys):
    heard = []
    walk = video_ae.reconstruct(
        inputs / "walk.mp4",
        inputs / "weights.safetensors",
        frames=3,
        refine=0,
        progress=lambda stage, done: heard.append((stage, done)),
    )
    assert ("reading the video", 1) in heard
    assert ("finding cameras", 1.0) in heard
    walk.save(tmp_path / "out", export=["none"], progress=lambda stage, done: heard.append((stage, done)))
    assert ("writing", 1.0) in heard
    heard.clear()
    walk.save(tmp_path / "more", export=["kitti", "tum"], progress=lambda stage, done: heard.append((stage, done)))
    assert [done for stage, done in heard if stage == "exports"] == [0, 0.5, 1]
    assert all(0 <= done <= 1 for _, done in heard)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda walk, inputs: video_ae.reconstruct("missing.mp4"), "does not exist"),
        (lambda walk, inputs: video_ae.reconstruct(inputs / "walk.mp4", stride=20), "leaves one frame"),
        (lambda walk, inputs: video_ae.reconstruct(inputs / "walk.mp4", refine=-1), "refinement"),
        (lambda walk, inputs: walk.path("loop"), "input, orbit"),
        (lambda walk, inputs: walk.render(walk.cameras, size=3), "16 or more"),
        (lambda walk, inputs: walk.save(inputs / "new", export=["blender"]), "no export 'blender'"),
        (lambda walk, inputs: walk.render(Cameras(torch.eye(4)[None, None], torch.ones(1, 1, 4))), "select"),
        (lambda walk, inputs: walk.model.reconstruct(torch.zeros(3, 16, 16, 3)), r"\[3, 16, 16, 3\]"),
        (lambda walk, inputs: walk.model.reconstruct(np.zeros((3, 3, 16, 16))), r"\[3, 3, 16, 16\]"),
        (lambda walk, inputs: walk.model.reconstruct(torch.full((3, 3, 16, 16), 255.0)), "bytes or floats"),
        (lambda walk, inputs: walk.model.reconstruct([np.zeros((4, 4, 3)), np.zeros((5, 4, 3))]), "differ in size"),
        (lambda walk, inputs: walk.model.reconstruct([]), "a list"),
        (lambda walk, inputs: walk.model.reconstruct((1, 2)), "a tuple"),
        (lambda walk, inputs: walk.model.reconstruct(walk.frames, focal=1.0, fov_degrees=50.0), "more than once"),
        (lambda walk, inputs: walk.model.reconstruct(walk.frames, fov_degrees=190.0), "190.0 degrees"),
        (lambda walk, inputs: walk.model.reconstruct(walk.frames, K=torch.eye(4)), r"\[4, 4\]"),
        (lambda walk, inputs: Reconstruction.load(inputs), "holds no reconstruction"),
    ],
)
def test_mistakes_are_one_sentence(walk, inputs, call, sentence):
    with pytest.raises(UserError, match=sentence):
        call(walk, inputs)
    assert not (inputs / "new").exists()


def test_offering_it_costs_nothing():
    script = "import sys, video_ae; dir(video_ae); assert 'torch' not in sys.modules; print(video_ae.reconstruct)"
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "function reconstruct" in result.stdout
    assert set(video_ae.__all__) <= set(dir(video_ae))
    assert all(getattr(video_ae, name) is not None for name in video_ae.__all__)
    assert video_ae.Reconstruction is Reconstruction
    with pytest.raises(AttributeError, match="nothing_like_it"):
        video_ae.nothing_like_it  # noqa: B018


def test_the_viewer_shows_it_and_is_asked_for_in_one_sentence(walk, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    viewer = walk.view(port=0)
    try:
        with urllib.request.urlopen(f"http://{viewer.host}:{viewer.port}") as page:
            assert page.status == 200
        assert len(list(tmp_path.glob("video-ae-*/view/summary.json"))) == 1
    finally:
        viewer.close()
    del viewer
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(UserError, match="needs viser"):
        walk.view()


NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"


def test_the_notebook_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat

    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    done = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(shown) == 2  # the overview and a new view
    assert not any(output.output_type == "error" for output in outputs)


def test_new_views_have_the_size_of_the_video_and_are_made_one_at_a_time(tmp_path):
    """The model gets 192 pixels of 300; views take their colours from all of them, as long as the video is there."""
    reads = []

    class Counting(FramesInMemory):
        def decode(self, numbers):
            reads.extend(numbers)
            return super().decode(numbers)

    stripes = (torch.arange(400) // 2 % 2 * 255).to(torch.uint8).expand(9, 3, 300, 400)  # 192 pixels cannot hold them
    made = FakeSceneModel(speed=0.0).reconstruct(Counting(stripes))
    assert made.image_size == (256, 192)
    renderer = ImageBasedRenderer.of(made)
    assert renderer.size == (400, 300)
    assert ImageBasedRenderer.of(made, 100).size == (134, 100)
    reads.clear()
    views = renderer.images(made.cameras)
    view = next(views)
    assert len(set(reads)) < len(made)
    assert view.shape == (3, 300, 400)
    assert view[:, 100:200, 100:300].float().std() > 100  # of 127.5 in the frames
    gone = replace(made, source=replace(made.source, open=unavailable))
    small = ImageBasedRenderer.of(gone)
    assert small.size == (256, 192)
    assert next(small.images(made.cameras))[:, 50:150, 50:200].float().std() < 85


def unavailable():
    raise UserError("gone")


def test_what_a_file_says_of_its_focal_length_is_passed_on_as_a_guess(tmp_path):
    """...unless the focal length is given, and never in place of it."""
    asked = []

    class Asking(FakeSceneModel):
        def find_cameras(self, clip, options=Options()):
            asked.append((options.focal, options.expected_focal))
            return super().find_cameras(clip, options)

    header = Image.Exif()
    header.get_ifd(0x8769)[0xA405] = 30  # mm on film
    for number in range(3):
        Image.new("RGB", (120, 80), (number * 80,) * 3).save(tmp_path / f"{number}.jpg", exif=header)
    made = [Asking().reconstruct(tmp_path), Asking().reconstruct(tmp_path, focal=0.7)]
    assert asked == [(None, pytest.approx(30 / 36, rel=1e-3)), (0.7, None)]
    assert made[0].source.settings["focal_in_metadata"] == asked[0][1]
    assert made[0].focal_deviation is None  # this model does not say
