"""Checkpoints in the authors' layout: converted exactly, refused in one sentence otherwise."""

from functools import cache

import pytest
import torch

from video_ae.errors import UserError
from video_ae.models.open import build_model, load_model
from video_ae.models.video_autoencoder import convert_checkpoint as convert_paper
from video_ae.models.video_autoencoder.convert_checkpoint import PARTS, convert_checkpoint, read_authors_checkpoint
from video_ae.models.video_autoencoder.model import PaperVideoAutoencoder

_SMALL = {"width": 8, "image_size": [16, 16]}


@pytest.fixture(autouse=True)
def small_model(monkeypatch):
    """The published layout at an eighth of its widths."""
    monkeypatch.setattr(convert_paper, "build_model", lambda settings: build_model(settings | {"init_args": _SMALL}))


@cache
def _model() -> PaperVideoAutoencoder:
    torch.manual_seed(1)
    return PaperVideoAutoencoder(width=8, image_size=(16, 16)).eval()


def _authors(model: torch.nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    """Four state dicts, as `DataParallel` names them."""
    return {part: torch.nn.DataParallel(getattr(model, part)).state_dict() for part in PARTS}


def test_conversion_changes_no_weight(tmp_path):
    torch.save(_authors(_model()), tmp_path / "checkpoint.tar")
    convert_checkpoint(tmp_path / "checkpoint.tar", tmp_path / "ours")
    loaded = load_model(tmp_path / "ours")
    assert isinstance(loaded, PaperVideoAutoencoder)
    assert not loaded.training
    state = loaded.state_dict()
    assert state.keys() == _model().state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in _model().state_dict().items())
    with pytest.raises(UserError, match="choose another name"):
        convert_checkpoint(tmp_path / "checkpoint.tar", tmp_path / "ours")


def test_authors_names_are_what_is_expected():
    with torch.device("meta"):
        state = _authors(PaperVideoAutoencoder())
    keys = set(state["encoder_3d"]) | set(state["encoder_traj"])
    assert state["decoder"]["module.conv3.weight"].shape == (512, 2048, 1, 1)
    assert "module.feature_extraction.7.0.downsample.1.running_var" in keys
    assert "module.conv1.0.weight" in keys


class _Code:
    def __reduce__(self):
        return (print, ("this must not be run",))


def _small() -> dict:
    return _authors(PaperVideoAutoencoder(width=4, image_size=(16, 16)))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda c: c | {"optimizer": {}}, r"encoder_3d, encoder_traj, rotate, decoder"),
        (lambda c: {k: v for k, v in c.items() if k != "rotate"}, "exactly"),
        (lambda c: [1, 2], "it holds list"),
        (lambda c: c | {"decoder": {"conv3.weight": torch.zeros(1)}}, "begin with 'module.'"),
        (lambda c: c | {"decoder": 3}, "no state dict"),
        (lambda c: c | {"decoder": _Code()}, "holds more than tensors"),
    ],
)
def test_foreign_files_are_refused(spoil, sentence, tmp_path, capsys):
    torch.save(spoil(_small()), tmp_path / "checkpoint.tar")
    with pytest.raises(UserError, match=sentence) as caught:
        read_authors_checkpoint(tmp_path / "checkpoint.tar")
    assert "\n" not in str(caught.value)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("kept", [0, 100, 30_000])
def test_truncated_files_are_refused(kept, tmp_path):
    torch.save(_small(), tmp_path / "whole.tar")
    (tmp_path / "cut.tar").write_bytes((tmp_path / "whole.tar").read_bytes()[:kept])
    with pytest.raises(UserError, match=r"damaged or no checkpoint|or is no checkpoint") as caught:
        read_authors_checkpoint(tmp_path / "cut.tar")
    assert "\n" not in str(caught.value)


def test_other_sizes_and_broken_numbers_are_refused(tmp_path):
    torch.save(_small(), tmp_path / "small.tar")
    with pytest.raises(UserError, match="tensors differ, the first is decoder"):
        convert_checkpoint(tmp_path / "small.tar", tmp_path / "out")
    broken = _authors(PaperVideoAutoencoder(width=8, image_size=(16, 16)))
    broken["decoder"]["module.conv3.bias"][0] = float("nan")
    torch.save(broken, tmp_path / "broken.tar")
    with pytest.raises(UserError, match=r"not finite, first in decoder\.conv3\.bias"):
        convert_checkpoint(tmp_path / "broken.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="There is no checkpoint"):
        read_authors_checkpoint(tmp_path / "none.tar")
