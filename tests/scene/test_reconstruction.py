"""`video_ae.reconstruct` in Python: the same results as the command, in memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from wave_walk import SIZE, write_walk

import video_ae
from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.formats.ply import read_ply
from video_ae.pipelines.reconstruct import reconstruct_video
from video_ae.pipelines.render import render_path
from video_ae.types import Cameras
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
    assert torch.equal(walk.points.points, read_ply(folder / "points.ply").points)
    assert walk.notes == ("The walls are made up.",)
    assert (len(walk), walk.keyframes, len(walk.structure)) == (COUNT, (0, 5), 2)
    assert "7 frames" in repr(walk)


def test_a_frame_s_camera_shows_what_the_command_rendered(walk, folder):
    views = walk.render(walk.cameras.select([3]))
    assert views.frames.shape == (1, 3, SIZE[1], SIZE[0])
    saved = open_video(folder / "reconstruction.mp4").read([3])[0, :, :, SIZE[0] :]
    assert (255 * views.frames[0] - saved).abs().mean() < 6  # the file went through H.264
    known = views.inverse_depth[views.inverse_depth.isfinite()]
    assert len(known) > 1000
    assert 0.4 < known.min() < known.max() < 1.8  # the walls
    assert walk.render(walk.cameras.select([0, 1]), size=24).frames.shape == (2, 3, 24, 32)


def test_paths_by_name_and_camera_by_camera(walk):
    orbit = walk.render_path("orbit", frames=5, size=24)
    assert (orbit.dtype, tuple(orbit.shape)) == (torch.uint8, (5, 3, 24, 32))
    assert torch.equal(orbit, walk.render_path(walk.path("orbit", 5), size=24))
    assert (orbit[1].int() - orbit[3].int()).abs().float().mean() > 1


def test_show_is_the_overview(walk, folder):
    picture = walk.show()
    colours = picture.convert("RGB").resize((200, 200)).getcolors(40_000)
    assert len(colours) > 500
    from PIL import Image

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
    with pytest.raises(AttributeError, match="nothing_like_it"):
        video_ae.nothing_like_it  # noqa: B018


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
