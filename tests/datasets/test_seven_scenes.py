"""7-Scenes' layout, written here, in our convention."""

from pathlib import Path

import pytest
import torch
from posed_world import COUNT, dot_error, poses, write_images

from video_ae.datasets.open import open_dataset
from video_ae.datasets.seven_scenes import SevenScenes
from video_ae.errors import UserError
from video_ae.geometry.se3 import invert


def write_sequence(folder: Path) -> None:
    """Pictures an eighth as large, with what else lies beside them."""
    write_images([folder / f"frame-{number:06d}.color.png" for number in range(COUNT)], (525 / 8, 525 / 8, 40, 30))
    write_images([folder / f"frame-{number:06d}.depth.png" for number in range(COUNT)], (9, 9, 40, 30))
    write_poses(folder, poses())


def write_poses(folder: Path, matrices: torch.Tensor) -> None:
    for number, matrix in enumerate(matrices.tolist()):
        rows = ["\t ".join(f"{value:.7e}" for value in row) + "\t " for row in matrix]
        (folder / f"frame-{number:06d}.pose.txt").write_text("\n".join(rows) + "\n")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    for number in (1, 2, 10):
        write_sequence(tmp_path / "chess" / f"seq-{number:02d}")
    (tmp_path / "chess" / "TestSplit.txt").write_text("sequence2\n")
    return tmp_path / "chess"


@pytest.mark.parametrize(
    ("size", "fit"), [(None, "stretch"), ((48, 48), "stretch"), ((48, 48), "crop"), (40, "stretch")]
)
def test_the_cameras_project_the_point_onto_the_dot(scene: Path, size, fit) -> None:
    source = open_dataset(scene)
    assert isinstance(source, SevenScenes)
    assert source.names == ["chess/seq-01", "chess/seq-02", "chess/seq-10"]
    assert source.frame_count(0) == COUNT, "depth is no picture"
    assert dot_error(source.load(0, size=size, fit=fit)) < 1, "a dot is drawn at whole pixels"


@pytest.mark.parametrize(
    "wrong",
    [lambda: invert(poses()), lambda: poses() * torch.tensor([1.0, -1, -1, 1]), lambda: poses().flip(0)],
)
def test_another_convention_would_be_seen(scene: Path, wrong) -> None:
    write_poses(scene / "seq-01", wrong())
    assert not dot_error(open_dataset(scene).load(0)) < 3


def test_the_root_is_scenes_or_a_scene_or_a_sequence(scene: Path) -> None:
    write_sequence(scene.parent / "stairs" / "seq-01")
    assert open_dataset(scene.parent).names[-2:] == ["chess/seq-10", "stairs/seq-01"]
    assert open_dataset(scene / "seq-02").names == ["seq-02"]


def test_pictures_without_a_pose_are_left_out(scene: Path) -> None:
    (scene / "seq-01" / "frame-000002.pose.txt").unlink()
    source = open_dataset(scene)
    assert source.frame_count(0) == COUNT - 1
    assert dot_error(source.load(0)) < 1


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("frame-000001.pose.txt", "no pose here\n", r"pose\.txt', line 1: 3 values, but 4"),
        ("frame-000001.pose.txt", "this is no pose\n", r"pose\.txt', line 1: these are not all numbers"),
        ("frame-000001.pose.txt", "1 0 0 0\n0 1 0 0\n", "2 rows"),
        ("frame-000001.pose.txt", "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 2 1\n", "last row"),
        ("frame-000001.color.png", None, "does not exist"),
        ("frame-000000.color.png", "text", "cannot be read as an image"),
    ],
)
def test_damaged_sequences_are_set_aside(scene: Path, file: str, text: str | None, sentence: str) -> None:
    (scene / "seq-02" / file).unlink()
    if text is not None:
        (scene / "seq-02" / file).write_text(text)
    source = open_dataset(scene)
    assert source.names == ["chess/seq-01", "chess/seq-10"]
    with pytest.raises(UserError, match=sentence):
        raise UserError(source.skipped["chess/seq-02"])
