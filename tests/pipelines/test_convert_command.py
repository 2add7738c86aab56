"""`video-ae convert-checkpoint`, and the commands that use its result; bad files are one sentence and leave nothing."""

import io
import json
import tarfile
from pathlib import Path

import pytest
import torch

import video_ae
from video_ae import cli
from video_ae.models.open import build_model
from video_ae.models.video_autoencoder import convert_checkpoint as convert_paper
from video_ae.models.video_autoencoder.convert_checkpoint import PARTS
from video_ae.models.video_autoencoder.model import PaperVideoAutoencoder
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

_SMALL = {"width": 8, "image_size": [32, 32]}


def _authors(width: int = 8) -> dict[str, dict[str, torch.Tensor]]:
    """Four state dicts, as `DataParallel` names them."""
    torch.manual_seed(1)
    model = PaperVideoAutoencoder(width=width, image_size=(32, 32))
    return {part: torch.nn.DataParallel(getattr(model, part)).state_dict() for part in PARTS}


def _command(line: str) -> None:
    assert cli.main(line.split()) == 0


@pytest.fixture
def small_model(monkeypatch):
    """The published layout at an eighth of its widths."""
    monkeypatch.setattr(convert_paper, "build_model", lambda settings: build_model(settings | {"init_args": _SMALL}))


def test_converted_weights_reconstruct_and_are_evaluated(small_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    waves = torch.linspace(0, 9, 64) + torch.arange(14)[:, None, None, None] / 3
    write_video(Path("videos/walk.mp4"), (0.5 + 0.4 * waves.sin()).expand(14, 3, 48, 64), 25.0)
    torch.save(_authors(), "authors.tar")
    _command("convert-checkpoint authors.tar --out ours")
    assert {path.name for path in Path("ours").iterdir()} == {"weights.safetensors", "model.yaml"}
    _command("reconstruct videos/walk.mp4 --weights ours --out walk --device cpu --frames 4")
    assert len(open_video(Path("walk/reconstruction.mp4"))) == 4
    _command("render walk --path input --out again.mp4")
    _command("evaluate paper --weights ours --data videos --out scores --device cpu")
    scores = json.loads(Path("scores/results.json").read_text())
    assert scores["method"] == "paper"
    assert scores["mean"]["psnr"] > 0


def test_published_size_has_the_promised_functions(tmp_path):
    """At 256 px, without computing: tensors on the meta device have shapes only."""
    torch.save(_authors(64), tmp_path / "authors.tar")
    assert cli.main(["convert-checkpoint", str(tmp_path / "authors.tar"), "--out", str(tmp_path / "ours")]) == 0
    model = video_ae.load(tmp_path / "ours")
    assert isinstance(model, PaperVideoAutoencoder)
    assert not model.training
    assert model.image_size == (256, 256)
    model = model.to("meta")
    frames = torch.empty(2, 3, 256, 256, device="meta")
    structure = model.encode_structure(frames)
    assert structure.shape == (2, 32, 32, 64, 64)
    camera = model.encode_camera(frames, frames)
    assert camera.shape == (2, 3, 4)
    warped = model.warp(structure, camera)
    assert warped.shape == (2, 64, 32, 64, 64)
    assert model.decode(warped).shape == (2, 3, 256, 256)


@torch.no_grad()
def test_decoded_pictures_are_not_clamped():
    model = PaperVideoAutoencoder(width=8, image_size=(32, 32)).eval()
    model.decoder.upconv_final.bias.copy_(torch.tensor([-3.0, 0, 4]))
    decoded = model.decode(model.warp(torch.zeros(1, 4, 32, 8, 8), torch.eye(4)[None, :3]))
    assert decoded[:, 0].max() < -1
    assert decoded[:, 2].min() > 2


class _Code:
    def __reduce__(self):
        return (print, ("this must not be run",))


def _tar(path: Path) -> None:
    """What `.tar` usually means, and what these checkpoints are not."""
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("notes.txt"), io.BytesIO())


def _cut(path: Path) -> None:
    torch.save(_authors(4), path)
    path.write_bytes(path.read_bytes()[:-2000])


def _without_a_tensor() -> dict:
    checkpoint = _authors()
    del checkpoint["rotate"]["module.conv3d_2.bias"]
    return checkpoint


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_cut, "is damaged or no checkpoint"),
        (lambda path: path.write_bytes(b""), "or no checkpoint"),
        (lambda path: path.write_text("<html>404</html>"), "is no checkpoint"),
        (_tar, "no checkpoint"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: None, "There is no checkpoint"),
        (lambda path: torch.save(_authors() | {"decoder": _Code()}, path), "holds more than tensors"),
        (lambda path: torch.save(_Code(), path), "holds more than tensors"),
        (lambda path: torch.save(torch.nn.Linear(2, 2), path), "holds more than tensors"),
        (lambda path: torch.save(torch.nn.Linear(2, 2).state_dict(), path), "it holds weight, bias, and exactly"),
        (lambda path: torch.save(_without_a_tensor(), path), "the first is rotate.conv3d_2.bias (missing, expected"),
        (lambda path: torch.save(_authors(4), path), "does not fit the published"),
    ],
    ids=[
        "cut",
        "empty",
        "html",
        "tar",
        "folder",
        "none",
        "code-inside",
        "code",
        "module",
        "foreign",
        "missing",
        "shape",
    ],
)
def test_bad_files_are_one_sentence_and_leave_nothing(make, says, small_model, tmp_path, capfd):
    make(tmp_path / "authors.tar")
    before = sorted(tmp_path.iterdir())
    code = cli.main(["convert-checkpoint", str(tmp_path / "authors.tar"), "--out", str(tmp_path / "a" / "b")])
    printed = capfd.readouterr()
    assert (code, printed.err.count("\n"), printed.out) == (2, 1, "")
    assert says in printed.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("out", "says"),
    [("full", "choose another name"), ("file", "choose another name"), ("file/out", "cannot be written")],
)
def test_an_out_that_is_in_the_way_stays_as_it_is(out, says, small_model, tmp_path, capfd):
    torch.save(_authors(), tmp_path / "authors.tar")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("dear")
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["convert-checkpoint", str(tmp_path / "authors.tar"), "--out", str(tmp_path / out)]) == 2
    text = capfd.readouterr().err
    assert says in text
    assert text.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert ((tmp_path / "full" / "diary.txt").read_text(), (tmp_path / "file").read_text()) == ("dear", "mine")
