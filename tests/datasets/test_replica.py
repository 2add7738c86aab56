"""Replica's layout as NICE-SLAM distributes it, written here, in our convention."""

import json
from pathlib import Path

import pytest
import torch
from posed_world import COUNT, HEIGHT, WIDTH, dot_error, poses, write_images

from video_ae.datasets.open import open_dataset
from video_ae.datasets.replica import Replica
from video_ae.errors import UserError
from video_ae.geometry.se3 import invert

FX, FY, CX, CY = 66.0, 64.0, 39.0, 28.0  # the first pixel's middle at 0
CAMERA = {"w": WIDTH, "h": HEIGHT, "fx": FX, "fy": FY, "cx": CX, "cy": CY, "scale": 6553.5}


def write_scene(scene: Path) -> None:
    files = [scene / "results" / f"frame{number:06d}.jpg" for number in range(COUNT)]
    write_images(files, (FX, FY, CX + 0.5, CY + 0.5))
    write_images([scene / "results" / f"depth{number:06d}.png" for number in range(COUNT)], (9, 9, 40, 30))
    write_poses(scene, poses())


def write_poses(scene: Path, matrices: torch.Tensor) -> None:
    lines = [" ".join(f"{value:.18e}" for value in matrix.flatten().tolist()) for matrix in matrices]
    (scene / "traj.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("office0", "room0", "room1"):
        write_scene(tmp_path / name)
    (tmp_path / "cam_params.json").write_text(json.dumps({"camera": CAMERA}))
    (tmp_path / "room0_mesh.ply").write_text("ply")
    return tmp_path


@pytest.mark.parametrize(
    ("size", "fit"), [(None, "stretch"), ((48, 48), "stretch"), ((48, 48), "crop"), (40, "stretch")]
)
def test_the_cameras_project_the_point_onto_the_dot(root: Path, size, fit) -> None:
    source = open_dataset(root)
    assert isinstance(source, Replica)
    assert source.names == ["office0", "room0", "room1"]
    assert source.frame_count(0) == COUNT, "depth is no picture"
    assert dot_error(source.load(0, size=size, fit=fit)) < 1, "a dot is drawn at whole pixels"


@pytest.mark.parametrize(
    "wrong",
    [lambda: invert(poses()), lambda: poses() * torch.tensor([1.0, -1, -1, 1]), lambda: poses().flip(0)],
)
def test_another_convention_would_be_seen(root: Path, wrong) -> None:
    write_poses(root / "office0", wrong())
    assert not dot_error(open_dataset(root).load(0)) < 3


def test_the_camera_stands_beside_or_in_a_scene(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [FX / WIDTH, FY / HEIGHT, (CX + 0.5) / WIDTH, (CY + 0.5) / HEIGHT]
    assert open_dataset(root / "room0").load(0).cameras.intrinsics[0].tolist() == pytest.approx(expected)
    monkeypatch.chdir(root / "room0")
    assert open_dataset(".").names == ["room0"], "beside it, though its name does not say where"
    (root / "room1" / "cam_params.json").write_text(json.dumps({"camera": {**CAMERA, "fx": 99}}))
    focal = [open_dataset(root).load(number).cameras.intrinsics[0, 0].item() * WIDTH for number in (1, 2)]
    assert focal == pytest.approx([FX, 99]), "its own goes first"


def test_pictures_may_be_scaled(root: Path) -> None:
    double = {name: 2 * value for name, value in CAMERA.items()} | {"cx": 2 * CX + 0.5, "cy": 2 * CY + 0.5}
    (root / "cam_params.json").write_text(json.dumps({"camera": double}))
    assert dot_error(open_dataset(root).load(0)) < 1
    (root / "cam_params.json").write_text(json.dumps({"camera": {**CAMERA, "h": 2 * HEIGHT}}))
    with pytest.raises(UserError, match=r"80x60.*80x120"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("traj.txt", "1 2 3\n", r"traj\.txt', line 1: 3 values, but 16"),
        ("traj.txt", "a b c d e f g h i j k l m n o p\n", r"line 1: these are not all numbers"),
        ("traj.txt", "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n", "1 lines, but there are 5 images"),
        ("traj.txt", "1 0 0 0 0 1 0 0 0 0 1 0 5 0 0 1\n" * COUNT, "last row"),
        ("traj.txt", "0 1 0 0 1 0 0 0 0 0 1 0 0 0 0 1\n" * COUNT, "rotation"),
        ("results/frame000002.jpg", None, "5 lines, but there are 4 images"),
        ("results/frame000002.jpg", "text", "cannot be read as an image"),
        ("cam_params.json", "{", r"JSONDecodeError.*is expected"),
        ("cam_params.json", '{"camera": {"w": 80}}', r"KeyError.*'h'"),
        ("cam_params.json", "[]", "TypeError"),
        ("cam_params.json", json.dumps({"camera": {**CAMERA, "fx": -1}}), "no positive number"),
    ],
)
def test_damaged_scenes_are_set_aside(root: Path, file: str, text: str | None, sentence: str) -> None:
    (root / "room0" / file).unlink(missing_ok=True)
    if text is not None:
        (root / "room0" / file).write_text(text)
    source = open_dataset(root)
    assert source.names == ["office0", "room1"]
    with pytest.raises(UserError, match=sentence):
        raise UserError(source.skipped["room0"])


def test_without_a_camera(root: Path) -> None:
    (root / "cam_params.json").unlink()
    with pytest.raises(UserError, match=r"no cam_params\.json"):
        open_dataset(root)
