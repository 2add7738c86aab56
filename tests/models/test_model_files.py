import gc
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import video_ae
from video_ae.errors import UserError
from video_ae.formats.weights import read_weights, write_weights
from video_ae.models.open import build_model, load_model, save_weights

TINY = {"class_path": "tiny_model.TinyAutoencoder", "init_args": {"channels": 6}}


@pytest.fixture
def file(tmp_path):
    save_weights(build_model(TINY), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


@pytest.mark.parametrize("whole_folder", [True, False])
def test_saved_and_loaded_is_the_same_model(file, whole_folder):
    model = load_model(file.parent if whole_folder else file)
    torch.manual_seed(1)
    other = build_model(TINY)
    assert model.settings == {"class_path": TINY["class_path"], "init_args": {"channels": 6, "noise": 0.05}}
    assert not model.training
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in other.state_dict().items()}
    save_weights(model, file.with_name("again.safetensors"))
    again = load_model(file.with_name("again.safetensors"))
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


def test_load_of_the_package(file):
    assert video_ae.load(file.parent).settings == load_model(file).settings
    assert not video_ae.load(str(file)).training
    with pytest.raises(UserError, match="There are no weights"):
        video_ae.load(file.parent / "nowhere")


def test_the_shipped_weights_load():
    model = video_ae.load()
    assert model.settings["class_path"] == "PerspectiveAutoencoder"
    assert not model.training


def test_loading_again_and_again_leaves_nothing_in_memory(tmp_path):
    tensors = {str(number): torch.zeros(1000) for number in range(20)}
    write_weights(tmp_path / "w.safetensors", TINY, tensors)

    def objects_after(times: int) -> int:
        for _ in range(times):
            read_weights(tmp_path / "w.safetensors")
        gc.collect()
        return sys.getallocatedblocks()

    before = objects_after(3)
    assert objects_after(50) - before < 200  # safe_open's get_tensor leaves two each: 2000


def test_one_file_is_enough(file):
    file.with_name("model.yaml").unlink()
    assert load_model(file).settings["init_args"]["channels"] == 6


def test_a_failed_write_leaves_the_old_file_and_nothing_else(file, monkeypatch):
    before = file.read_bytes()

    def half(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("video_ae.formats.weights.save_file", half)
    with pytest.raises(OSError, match="disk full"):
        save_weights(build_model(TINY), file)
    assert file.read_bytes() == before
    assert {path.name for path in file.parent.iterdir()} == {"weights.safetensors", "model.yaml"}


def damaged(kind, file):
    path = file.with_name("damaged.safetensors")
    if kind == "truncated":
        path.write_bytes(file.read_bytes()[:-40])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "a pickle":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind == "no model named":
        save_file({"weight": torch.zeros(3)}, path)
    elif kind == "missing":
        pass
    else:
        model = build_model(TINY)
        model.settings = {"class_path": kind, "init_args": {"channels": 9}}
        save_weights(model, path)
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated", "not a complete safetensors file"),
        ("empty", "not a complete safetensors file"),
        ("a pickle", "not a complete safetensors file"),
        ("no model named", "does not say which model"),
        ("missing", "no weights at"),
        ("elsewhere.Model", "this installation does not have"),
        ("pathlib.Path", "not a model of video-ae"),
        ("tiny_model.TinyAutoencoder", "another version"),
    ],
)
def test_wrong_weights_are_one_sentence(file, kind, says):
    with pytest.raises(UserError, match=says) as caught:
        load_model(damaged(kind, file))
    assert "\n" not in str(caught.value)


def test_folder_without_weights(tmp_path):
    with pytest.raises(UserError, match=r"no weights\.safetensors"):
        load_model(tmp_path)
