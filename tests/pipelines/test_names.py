"""Files whose names mean something to a library: dollar signs, colons, letters that a terminal does not have."""

import io
import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from wave_walk import write_walk

from video_ae import cli
from video_ae.pipelines.audio import write_video_with_sound
from video_ae.pipelines.reconstruct import reconstruct_video
from video_ae.scene import overview
from video_ae.videos.open import DECODERS, open_video
from video_ae.videos.writer import write_video


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """A folder with walk.mp4 and the weights of a model that makes things up."""
    root = tmp_path_factory.mktemp("walk")
    write_walk(root, 4)
    return root


def reconstructed(source: Path, walk: Path, out: Path) -> Path:
    return reconstruct_video(source, out, walk / "weights.safetensors", refine=0, export=("tum",))


def test_dollar_signs_are_no_mathematics(walk, tmp_path):
    """matplotlib 3.11 typesets what stands between two of them, and raises where that is no mathematics."""
    pixels = []
    for name in ("sale_$5_to_$x^.mp4", "$x$.mp4", "x.mp4"):
        (tmp_path / name).write_bytes((walk / "walk.mp4").read_bytes())
        out = reconstructed(tmp_path / name, walk, tmp_path / Path(name).stem)
        assert json.loads((out / "summary.json").read_text())["notes"] == ["The walls are made up."]
        with Image.open(out / "overview.png") as image:
            pixels.append(image.convert("L").crop((0, 10, 700, 45)).tobytes())
    assert sum(value < 128 for value in pixels[1]) > sum(value < 128 for value in pixels[2]), "the dollars are shown"


def test_what_was_found_is_kept_where_it_cannot_be_drawn(walk, tmp_path, monkeypatch):
    def fail(figure, *_):
        raise RuntimeError("no\nglyphs")

    monkeypatch.setattr(overview, "_title", fail)
    out = reconstructed(walk / "walk.mp4", walk, tmp_path / "out")
    assert {"cameras.json", "novel_view.mp4", "scene", "cameras_tum.txt"} <= {path.name for path in out.iterdir()}
    assert not (out / "overview.png").exists()
    notes = json.loads((out / "summary.json").read_text())["notes"]
    assert notes[1] == "overview.png could not be drawn (RuntimeError: no glyphs)"


@pytest.mark.parametrize("name", ["12:30 walk.mp4", "http:walk.mp4", "file:walk.mp4", "a:b/walk.mp4"])
def test_a_colon_is_no_address(name, tmp_path, monkeypatch):
    """FFmpeg takes what stands before the first colon of a relative path for a protocol."""
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    write_video(path, torch.rand(4, 3, 48, 64))
    black, times = torch.zeros(4, 3, 48, 64).byte(), torch.arange(4).double() / 30
    assert write_video_with_sound(path.with_stem("copy"), black, times, path) is False
    for decoder in DECODERS:
        assert len(open_video(path, decoder).read([0, 3])) == 2
    assert len(open_video(path.with_stem("copy"))) == 4


def test_bytes_that_are_no_letters(walk, tmp_path):
    """A zip that was packed on a machine of another encoding: Python has these bytes as lone surrogates."""
    folder = tmp_path / os.fsdecode(b"d\xe9pot")
    folder.mkdir()
    source = folder / os.fsdecode(b"ros\xe9.mp4")
    source.write_bytes((walk / "walk.mp4").read_bytes())
    out = reconstruct_video(source, tmp_path / "out", walk / "weights.safetensors", refine=0, export=("tum", "html"))
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["settings"]["source"], summary["notes"]) == (str(source), ["The walls are made up."])
    assert "ros\\udce9" in (out / "scene.html").read_text(encoding="utf-8")


def test_a_terminal_without_a_letter_shows_its_number(tmp_path, monkeypatch):
    """As Windows with its output redirected: the results are there, and so is the sentence that says where."""
    out = tmp_path / "走"
    out.mkdir()
    summary = {"confidence": {"mean": 0.5}, "notes": ["blur in frame 3…"]}
    (out / "summary.json").write_text(json.dumps(summary))
    monkeypatch.setattr("video_ae.pipelines.reconstruct.reconstruct_video", lambda **given: out)
    shown = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, encoding="cp1252", write_through=True))
    assert cli.main(["reconstruct", "a.mp4", "--out", str(out)]) == 0
    said = shown.getvalue().decode("cp1252")
    assert "\\u8d70: overview.png shows" in said
    assert "blur in frame 3…" in said
