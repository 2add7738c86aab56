"""The viewer without a browser: what it reads, where it serves, and a folder that changes under it."""

import io
import json
import shutil
import socket
import urllib.request
import zipfile

import pytest
import torch

pytest.importorskip("viser")

from video_ae.cli.main import main
from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.formats.ply import read_ply
from video_ae.videos.open import open_video
from video_ae.viewer.contents import confidence_colours, describe_contents, download, load_contents, shown_points
from video_ae.viewer.page import open_page, welcome
from video_ae.viewer.serve import Viewer
from video_ae.viewer.views import view_of_camera

NO_ONE = r"refused|timed out|unreachable"


@pytest.fixture(scope="module")
def contents(walk):
    return load_contents(walk)


def test_cameras_frames_and_points_are_those_of_the_folder(contents, walk):
    saved = read_cameras_json(walk / "cameras.json")
    torch.testing.assert_close(contents.reconstruction.cameras.world_from_camera, saved.cameras.world_from_camera)
    assert contents.reconstruction.trajectory.image_size == saved.image_size
    assert torch.equal(contents.points.points, read_ply(walk / "points.ply").points)
    both = open_video(walk / "reconstruction.mp4").read(range(8))
    assert torch.equal(contents.frames, both[..., :64])
    assert contents.reconstruction.frame_rate == 10.0
    assert "8 frames" in describe_contents(contents)
    assert "The walls are made up." in describe_contents(contents)


def test_looking_through_a_camera_shows_what_was_rendered_for_it(contents, walk):
    picture = contents.render(view_of_camera(contents.reconstruction.cameras, 3, 64 / 48), (64, 48))
    saved = open_video(walk / "reconstruction.mp4").read([3])[0, :, :, 64:].permute(1, 2, 0)
    seen = torch.from_numpy(picture).int()
    kept = (seen.amin(-1) < 200) & (saved.amax(-1) > 40)  # elsewhere nothing was seen: black there, grey here
    assert kept.float().mean() > 0.7
    assert (seen - saved.int()).abs()[kept].float().mean() < 8  # the file went through H.264


def test_where_nothing_was_seen_the_page_shines_through(contents):
    view = view_of_camera(contents.reconstruction.cameras, 0, 64 / 48)
    away = type(view)((0.0, 0.0, 1.0, 0.0), view.position, view.fov, view.aspect)  # turned around
    assert contents.render(away, (16, 12)).min() > 200


def test_points_without_a_file_are_made_anew(walk, tmp_path, contents):
    shutil.copytree(walk, tmp_path / "walk")
    (tmp_path / "walk" / "points.ply").unlink()
    again = load_contents(tmp_path / "walk")
    assert len(again.points) == pytest.approx(len(contents.points), rel=0.1)  # codes were rounded to float16


def test_points_by_confidence(contents):
    half = contents.points.confidence.median().item()
    points, colours = shown_points(contents.points, "confidence", half)
    assert 0 < len(points) < len(contents.points)
    assert torch.equal(colours, confidence_colours(contents.points.confidence[contents.points.confidence >= half]))
    low, high = confidence_colours(torch.tensor([0.0, 1.0])).int()
    assert high.sum() > low.sum() + 100
    assert torch.equal(shown_points(contents.points, "image", 0.0)[1], contents.points.colors)


def test_downloads_are_what_the_exporters_write(contents, walk, tmp_path):
    (tmp_path / "points.ply").write_bytes(download("points.ply", contents))
    assert (tmp_path / "points.ply").read_bytes() == (walk / "points.ply").read_bytes()
    assert json.loads(download("cameras.json", contents)) == json.loads((walk / "cameras.json").read_text())
    assert download("scene.html", contents).startswith(b"<!doctype html>")
    with zipfile.ZipFile(io.BytesIO(download("colmap.zip", contents))) as archive:
        names = set(archive.namelist())
    assert {"colmap/sparse/0/cameras.bin", "colmap/sparse/0/images.txt", "colmap/images/000007.jpg"} <= names
    assert not (walk / "colmap").exists()


def test_colmap_without_its_video_is_one_sentence(walk, tmp_path):
    shutil.copytree(walk, tmp_path / "walk")
    summary = json.loads((walk / "summary.json").read_text())
    summary["settings"]["source"] = str(tmp_path / "gone.mp4")
    (tmp_path / "walk" / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(UserError, match="gone"):
        download("colmap.zip", load_contents(tmp_path / "walk"))


def test_it_serves_a_page_on_this_machine_only(walk):
    viewer = Viewer(walk, port=0)
    try:
        assert viewer.host == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{viewer.port}", timeout=10) as answer:
            assert b"<html" in answer.read().lower()
        other = socket.gethostbyname(socket.gethostname())
        if not other.startswith("127."):
            with (
                pytest.raises(OSError, match=NO_ONE),
                socket.create_connection((other, viewer.port), timeout=2),
            ):
                pass
    finally:
        viewer.close()
    with (
        pytest.raises(OSError, match=NO_ONE),
        socket.create_connection(("127.0.0.1", viewer.port), timeout=2),
    ):
        pass


def test_a_new_reconstruction_is_shown_and_a_damaged_one_is_not(reconstructions, tmp_path, capsys):
    folder = reconstructions(tmp_path / "walk", frames=4)
    viewer = Viewer(folder, port=0)
    try:
        viewer._stopped.set()  # check only when asked to
        assert not viewer.reload()
        reconstructions(folder, frames=6, overwrite=True)
        viewer.reload()
        assert len(viewer._contents) == 6
        scene = folder / "scene" / "scene.safetensors"
        scene.write_bytes(scene.read_bytes()[:1000])
        (folder / "summary.json").write_text((folder / "summary.json").read_text() + "\n")
        assert not viewer.reload()
        assert len(viewer._contents) == 6
        assert "not shown" in capsys.readouterr().err
        shutil.rmtree(folder)
        assert not viewer.reload()
        kept = viewer._contents
        assert kept.render(view_of_camera(kept.reconstruction.cameras, 0, 1.0), (8, 8)).max() > 0
    finally:
        viewer.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing"], "is no folder"),
        (["."], "holds no reconstruction"),
        (["walk", "--port", "PORT"], "is in use: choose another one. (option --port)"),
        (["walk", "--port", "99999"], "99999 is not possible"),
        (["walk", "--host", "no.such.host.invalid", "--port", "0"], "no host"),
        (["walk", "--device", "toaster"], "toaster"),
    ],
)
def test_bad_requests_are_one_sentence(arguments, sentence, walk, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walk").symlink_to(walk)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["view", *(port if word == "PORT" else word for word in arguments)]) == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert "\n" not in said


def test_the_welcome_says_how_to_come_and_who_can(monkeypatch):
    text = welcome("127.0.0.1", 8081, "walk is shown")
    assert "http://127.0.0.1:8081" in text
    assert "ssh -L 8081:127.0.0.1:8081" in text
    assert "no password" not in text
    assert "no password" in welcome("0.0.0.0", 8081, "walk is shown")


def test_nobody_can_publish_the_page():
    page = open_page("127.0.0.1", 0, "title")
    try:
        assert page.request_share_url() is None
    finally:
        page.stop()
