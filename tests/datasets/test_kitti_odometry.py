"""KITTI odometry's layout, written here, in our convention."""

from pathlib import Path

import pytest
import torch
from posed_world import COUNT, HEIGHT, WIDTH, dot_error, poses, write_images

from video_ae.datasets.kitti_odometry import KittiOdometry
from video_ae.datasets.open import open_dataset
from video_ae.datasets.training_clips import MemoryVideos
from video_ae.errors import UserError
from video_ae.formats.kitti import read_kitti_projection
from video_ae.geometry.se3 import invert, rigid

FX, FY, CX, CY = 66.0, 64.0, 39.0, 28.0  # the first pixel's middle at 0
ASIDE = torch.tensor([0.5, -0.1, 0.2])  # of points, from camera 0 to camera 2: more than KITTI's, to be seen
TWO_FROM_ZERO = rigid(torch.eye(3), ASIDE)
# As published, of sequence 00.
REAL_P2 = (
    "7.188560000000e+02 0.000000000000e+00 6.071928000000e+02 4.538225000000e+01 0.000000000000e+00 7.188560000000e+02 "
    "1.852157000000e+02 -1.130887000000e-01 0.000000000000e+00 0.000000000000e+00 1.000000000000e+00 3.779761000000e-03"
)


def row(matrix: torch.Tensor) -> str:
    return " ".join(f"{value:.9e}" for value in matrix.flatten().tolist())


def write_sequence(root: Path, name: str, image: str = "image_2") -> None:
    folder = root / "sequences" / name
    files = [folder / image / f"{number:06d}.png" for number in range(COUNT)]
    write_images(files, (FX, FY, CX + 0.5, CY + 0.5))
    matrix = torch.tensor([[FX, 0, CX], [0, FY, CY], [0, 0, 1]])
    zero = row(torch.cat([matrix, torch.zeros(3, 1)], 1))
    two = row(torch.cat([matrix, (matrix @ ASIDE)[:, None]], 1))
    (folder / "calib.txt").write_text(f"P0: {zero}\nP1: {zero}\nP2: {two}\nP3: {zero}\nTr: {zero}\n")
    (folder / "times.txt").write_text("".join(f"{0.1 * number:e}\n" for number in range(COUNT)))
    (root / "poses").mkdir(exist_ok=True)
    write_poses(root, name, poses() @ TWO_FROM_ZERO if image == "image_2" else poses())


def write_poses(root: Path, name: str, world_from_zero: torch.Tensor) -> None:
    (root / "poses" / f"{name}.txt").write_text("".join(row(pose[:3]) + "\n" for pose in world_from_zero))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_sequence(tmp_path, "00")
    write_sequence(tmp_path, "01", "image_0")
    return tmp_path


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("size", "fit"), [(None, "stretch"), ((48, 48), "stretch"), ((48, 48), "crop"), (40, "stretch")]
)
def test_the_cameras_project_the_point_onto_the_dot(root: Path, number: int, size, fit) -> None:
    source = open_dataset(root)
    assert isinstance(source, KittiOdometry)
    assert source.names == ["00", "01"]
    assert dot_error(source.load(number, size=size, fit=fit)) < 1, "a dot is drawn at whole pixels"


@pytest.mark.parametrize(
    "wrong",
    [
        poses,  # those of camera 2, as if P2 had no fourth column
        lambda: poses() @ invert(TWO_FROM_ZERO),  # the fourth column the other way round
        lambda: invert(poses() @ TWO_FROM_ZERO),
        lambda: (poses() @ TWO_FROM_ZERO).flip(0),
    ],
)
def test_another_convention_would_be_seen(root: Path, wrong) -> None:
    write_poses(root, "00", wrong())
    assert not dot_error(open_dataset(root).load(0)) < 3


def test_intrinsics_and_the_published_projection(root: Path, tmp_path: Path) -> None:
    expected = [FX / WIDTH, FY / HEIGHT, (CX + 0.5) / WIDTH, (CY + 0.5) / HEIGHT]
    assert open_dataset(root).load(0).cameras.intrinsics[2].tolist() == pytest.approx(expected)
    (tmp_path / "calib.txt").write_text(f"P2: {REAL_P2}\n")
    intrinsics, two_from_zero = read_kitti_projection(tmp_path / "calib.txt", 2)
    assert intrinsics.tolist() == pytest.approx([718.856, 718.856, 607.6928, 185.7157])
    assert two_from_zero[:3, 3].tolist() == pytest.approx([0.0599, -0.0011, 0.0038], abs=1e-4)  # 6 cm, as published


def test_times_may_be_missing(root: Path) -> None:
    assert open_dataset(root).load(0, [1, 3]).times.tolist() == pytest.approx([0.1, 0.3])
    (root / "sequences" / "00" / "times.txt").unlink()
    assert open_dataset(root).load(0).times.isnan().all()


def test_colour_goes_first(root: Path) -> None:
    write_images([root / "sequences/01/image_2/000000.png"], (FX, FY, CX, CY))
    assert "5 lines, but there are 1 images" in open_dataset(root).skipped["01"]


def test_without_poses_the_frames_are_there_to_train_on(root: Path) -> None:
    (root / "poses" / "01.txt").rename(root / "poses" / "99.txt")
    source = open_dataset(root)
    assert source.load(0).cameras is not None
    assert source.load(1).cameras is None
    assert MemoryVideos(source, (32, 24), length=3).names == ["00", "01"]


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("poses/00.txt", "1 0 0 0 0 1 0 0 0 0 1\n", r"00\.txt', line 1: 11 values, but 12"),
        ("poses/00.txt", "these are no poses at all but twelve words in one line\n", "not all numbers"),
        ("poses/00.txt", "1 0 0 0 0 1 0 0 0 0 1 0\n", "1 lines, but there are 5 images"),
        ("poses/00.txt", "2 0 0 0 0 1 0 0 0 0 1 0\n" * COUNT, "rotation"),
        ("sequences/00/times.txt", "0\n1\n", "2 lines, but there are 5 images"),
        ("sequences/00/calib.txt", "P0: 1\n", "no line `P2:`"),
        ("sequences/00/calib.txt", "P2: 1 2 3\n", r"calib\.txt', line 1: 3 values, but 12"),
        ("sequences/00/calib.txt", "P2: 9 1 4 0 0 9 3 0 0 0 1 0\n", "rectified"),
        ("sequences/00/image_2/000003.png", None, "5 lines, but there are 4 images"),
        ("sequences/00/image_2/000003.png", "text", "cannot be read as an image"),
    ],
)
def test_damaged_sequences_are_set_aside(root: Path, file: str, text: str | None, sentence: str) -> None:
    (root / file).unlink()
    if text is not None:
        (root / file).write_text(text)
    source = open_dataset(root)
    assert source.names == ["01"]
    with pytest.raises(UserError, match=sentence):
        raise UserError(source.skipped["00"])


def test_a_sequence_without_pictures(root: Path) -> None:
    (root / "sequences/00/image_2").rename(root / "sequences/00/image_3")
    assert "neither image_2 nor image_0" in open_dataset(root).skipped["00"]
