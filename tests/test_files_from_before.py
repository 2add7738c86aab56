"""Files that an earlier version wrote (tests/golden/README.md) are read as they were."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from video_ae.cli import main
from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.formats.scene import read_scene
from video_ae.models.open import load_model
from video_ae.registry import PARTS, RENAMED, find_class, full_path
from video_ae.training.checkpoints import WholeCheckpoints
from video_ae.training.config import parse_run

ROOT = Path(__file__).parents[1]
BEFORE = ROOT / "tests" / "golden" / "before"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function from a folder's name to a copy of it that may be written to."""
    monkeypatch.chdir(ROOT)  # the files name each other from here
    return lambda name: Path(shutil.copytree(BEFORE / name, tmp_path / name))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (ROOT / "video_ae" / "weights" / "default.safetensors", "PerspectiveAutoencoder"),
        (ROOT / "data" / "baselines" / "paper_small", "PaperVideoAutoencoder"),
        (ROOT / "data" / "baselines" / "walkthroughs_only", "PerspectiveAutoencoder"),
        (BEFORE / "run", "PerspectiveAutoencoder"),
        (BEFORE / "deep_voxels" / "scene", "PaperVideoAutoencoder"),
        (BEFORE / "plain", "PlainAutoencoder"),
        (BEFORE / "denoising", "DenoisingAutoencoder"),
        (BEFORE / "variational", "VariationalAutoencoder"),
        (BEFORE / "recurrent", "RecurrentAutoencoder"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_weights(path: Path, name: str) -> None:
    model = load_model(path)
    assert type(model).__name__ == name
    assert model.settings["class_path"] == name


def test_weights_are_written_with_short_names() -> None:
    settings = load_model(BEFORE / "run").settings
    assert settings["init_args"]["camera"]["class_path"] == "CameraSolver"
    assert settings["init_args"]["structure"]["class_path"] == "PlaneSweepEncoder"


def test_a_configuration_with_earlier_names_says_what_they_are_called_now(caplog: pytest.LogCaptureFixture) -> None:
    run = parse_run(["--config", str(BEFORE / "run" / "config.yaml")])
    assert run.data.size == (40, 30)
    assert "AlignmentEncoder is called CameraSolver now" in caplog.text
    written = yaml.safe_load(run.text)
    assert written["model"]["class_path"] == "PerspectiveAutoencoder"
    assert written["model"]["init_args"]["training_camera"]["class_path"] == "CameraSolver"
    assert parse_run(["--config", str(BEFORE / "run" / "config.yaml"), "--out", "x"]).model == run.model


def test_an_earlier_name_on_the_command_line() -> None:
    arguments = ["--losses.l1=L1", "--model=video_ae.models.plain_autoencoder.PlainAutoencoder"]
    assert parse_run(arguments).model["class_path"].endswith("lecture.plain.PlainAutoencoder")


def test_a_run_goes_on(copy) -> None:
    run = copy("run")
    before = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert main(["train", "--resume", "--out", str(run), "--trainer.max_steps=3"]) == 0
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == before + 1
    assert load_model(run).settings["init_args"]["planes"] == 6


def test_packed_shards() -> None:
    source = open_dataset(BEFORE / "packed")
    clip = source.load(0, [0, 5])
    assert (len(source), source.frame_count(0), clip.frames.shape[0]) == (1, 16, 2)
    assert clip.frames.std() > 0.05


@pytest.mark.parametrize("name", ["reconstruction", "deep_voxels"])
def test_reconstructions_are_rendered_and_exported(name: str, copy, tmp_path: Path) -> None:
    folder = copy(name)
    assert main(["render", str(folder), "--path", "orbit", "--frames", "2", "--out", str(tmp_path / "orbit.mp4")]) == 0
    assert main(["export", str(folder), "--to", "tum", "points"]) == 0
    assert len((folder / "cameras_tum.txt").read_text().splitlines()) == 1 + 6


def test_cameras_of_before_there_was_a_version_are_read() -> None:
    path = BEFORE / "reconstruction" / "cameras.json"
    assert "version" not in json.loads(path.read_text())
    assert len(read_cameras_json(path).indices) == 6


NEWER = {
    "reconstruction/cameras.json": ('"convention"', '"version": 2, "convention"', read_cameras_json),
    "reconstruction/scene/scene.json": ("video-ae scene 1", "video-ae scene 2", lambda path: read_scene(path.parent)),
    "packed/packed.json": ('"format": 1', '"format": 2', lambda path: open_dataset(path.parent)),
}


@pytest.mark.parametrize("name", NEWER)
def test_files_of_a_newer_version_are_named(name: str, copy) -> None:
    folder, _, file = name.partition("/")
    path = copy(folder) / file
    before, after, read = NEWER[name]
    read(path)
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(UserError, match=r"a newer video-ae \(its form is 2, this one reads up to 1\)"):
        read(path)


def test_a_checkpoint_of_a_newer_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "new.ckpt"
    torch.save({"video_ae_checkpoint": 2}, path)
    with pytest.raises(UserError, match="a newer video-ae"):
        WholeCheckpoints().load_checkpoint(path, weights_only=True)
    WholeCheckpoints().save_checkpoint({"global_step": 3}, path)
    assert WholeCheckpoints().load_checkpoint(path, weights_only=True) == {"global_step": 3, "video_ae_checkpoint": 1}


def test_every_name_stands_for_a_class() -> None:
    for name in [*PARTS, *RENAMED]:
        assert find_class(name).__module__ == full_path(name).rpartition(".")[0]
