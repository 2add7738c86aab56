"""The TUM RGB-D benchmark's layout, written here, in our convention."""

from pathlib import Path

import pytest
import torch
from posed_world import COUNT, dot_error, poses, write_images

from video_ae.datasets.open import open_dataset
from video_ae.datasets.training_clips import MemoryVideos, RandomClips
from video_ae.datasets.tum_rgbd import PUBLISHED, SIZE, TumRgbd, intrinsics_of, nearest_in_time
from video_ae.errors import UserError
from video_ae.formats.lens import Lens
from video_ae.geometry.se3 import invert, quaternion_from_rotation

NAME = "rgbd_dataset_freiburg1_desk"
START, STEP = 1305031102.175304, 1 / 30  # seconds


def write_sequence(folder: Path, intrinsics=PUBLISHED["1"], late: float = 0.004) -> None:
    """Pictures an eighth as large as the benchmark's; poses come `late` seconds after them."""
    names = [f"rgb/{START + STEP * number:.6f}.png" for number in range(COUNT)]
    fx, fy, cx, cy = intrinsics
    write_images([folder / name for name in names], (fx / 8, fy / 8, (cx + 0.5) / 8, (cy + 0.5) / 8))
    lines = [f"{name[4:-4]} {name}" for name in names]
    (folder / "rgb.txt").write_text("# color images\n# timestamp filename\n" + "\n".join(lines) + "\n")
    write_truth(folder, poses(), late)


def write_truth(folder: Path, world_from_camera: torch.Tensor, late: float = 0.004, first: int = 3) -> None:
    """groundtruth.txt; between the pictures' poses stand others. first: number of the place of w, the last in TUM's."""
    lines = ["# ground truth trajectory", "# timestamp tx ty tz qx qy qz qw"]
    for number, pose in enumerate(world_from_camera.double()):
        quaternion = quaternion_from_rotation(pose[:3, :3]).roll(first - 3).tolist()
        values = " ".join(f"{value:.6f}" for value in [*pose[:3, 3].tolist(), *quaternion])
        lines.append(f"{START + STEP * number + late:.4f} {values}")
        lines.append(f"{START + STEP * (number + 0.5):.4f} 9 9 9 0 0 0 1")
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sequence(tmp_path / NAME)
    return tmp_path / NAME


@pytest.mark.parametrize(
    ("size", "fit"), [(None, "stretch"), ((48, 48), "stretch"), ((48, 48), "crop"), (40, "stretch")]
)
def test_the_cameras_project_the_point_onto_the_dot(folder: Path, size, fit) -> None:
    source = open_dataset(folder)
    assert isinstance(source, TumRgbd)
    assert (source.names, source.frame_count(0)) == ([NAME], COUNT)
    assert dot_error(source.load(0, size=size, fit=fit)) < 1, "a dot is drawn at whole pixels"


@pytest.mark.parametrize(
    ("wrong", "first"),
    [
        (lambda: invert(poses()), 3),  # camera_from_world
        (poses, 0),  # qw first
        (lambda: poses() * torch.tensor([1.0, -1, -1, 1]), 3),  # OpenGL's axes
        (lambda: poses().flip(0), 3),
    ],
)
def test_another_convention_would_be_seen(folder: Path, wrong, first: int) -> None:
    write_truth(folder, wrong(), first=first)
    assert not dot_error(open_dataset(folder).load(0)) < 3


def test_times_are_seconds_from_the_first_picture(folder: Path) -> None:
    clip = open_dataset(folder).load(0, [3, 1])
    assert clip.times.tolist() == pytest.approx([0.1, 1 / 30], abs=1e-5)
    torch.testing.assert_close(clip.cameras.world_from_camera, poses()[[3, 1]], atol=1e-5, rtol=0)


def test_the_nearest_pose_in_time(folder: Path) -> None:
    stamps = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)  # in any order
    times = torch.tensor([0.99, 1.4, 1.99, 2.021, 2.5, 9.0], dtype=torch.float64)
    number, near = nearest_in_time(times, stamps)
    assert number.tolist() == [1, 1, 2, 2, 2, 0]
    assert near.tolist() == [True, False, True, False, False, False]


def test_pictures_without_a_pose_are_left_out(folder: Path) -> None:
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    (folder / "groundtruth.txt").write_text("\n".join([*lines[:2], *lines[4::2]]))  # the first, and nobody's
    source = open_dataset(folder)
    assert source.frame_count(0) == COUNT - 1
    assert dot_error(source.load(0)) < 1


def test_intrinsics_by_name(tmp_path: Path) -> None:
    assert [intrinsics_of(name)[0] for name in ("fr1_xyz", "freiburg2", "TUM_FR3_office")] == [517.3, 520.9, 535.4]
    assert intrinsics_of("afr1")[0] == intrinsics_of("freiburg11")[0] == 525
    write_sequence(tmp_path / "my_kinect", (525.0, 525.0, 319.5, 239.5))
    write_sequence(tmp_path / NAME)
    source = open_dataset(tmp_path)
    assert source.names == ["my_kinect", NAME]
    assert source.load(0).cameras.intrinsics[0].tolist() == pytest.approx([525 / 640, 525 / 480, 0.5, 0.5])
    assert source.load(1).cameras.intrinsics[0].tolist() == pytest.approx(
        [517.3 / 640, 516.5 / 480, 319.1 / 640, 255.8 / 480]
    )


@pytest.mark.parametrize(
    ("camera", "radial", "tangential", "pixels"),
    [
        ("1", (0.2624, -0.9531, 1.1633), (-0.0054, 0.0026), 37),
        ("2", (0.2312, -0.7849, 0.9172), (-0.0033, -0.0001), 27),
    ],
)
def test_how_far_the_lens_is_from_a_pinhole(camera, radial, tangential, pixels) -> None:
    """The sizes of the class's docstring."""
    fx, fy, cx, cy = PUBLISHED[camera]
    lens = Lens(SIZE, (fx, fy), (cx + 0.5, cy + 0.5), radial, tangential=tangential)
    assert round(lens.corner_shift() * SIZE[0]) == pixels


def test_without_poses_the_frames_are_there_to_train_on(folder: Path) -> None:
    (folder / "groundtruth.txt").unlink()
    source = open_dataset(folder)
    assert source.load(0).cameras is None
    assert RandomClips(MemoryVideos(source, (32, 24), length=3), length=3)[0].frames.shape == (3, 3, 24, 32)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("groundtruth.txt", "# t\n1 2 3\n", r"groundtruth\.txt', line 2: 3 values, but 8"),
        ("groundtruth.txt", "one two three four five six seven eight\n", r"line 1: these are not all numbers"),
        ("groundtruth.txt", "5 0 0 0 0 0 0 1\n", r"within 0\.02 s"),
        ("rgb.txt", f"{START} rgb/a.png\n{START} rgb/my picture.png\n", r"rgb\.txt', line 2"),
        ("rgb.txt", f"noon rgb/{START:.6f}.png\n", r"rgb\.txt', line 1: these are not all numbers"),
        ("rgb.txt", "# timestamp filename\n", "no line with values"),
    ],
)
def test_damaged_sequences_are_set_aside(folder: Path, file: str, text: str, sentence: str) -> None:
    write_sequence(folder.parent / "good")
    (folder / file).write_text(text)
    source = open_dataset(folder.parent)
    assert source.names == ["good"]
    with pytest.raises(UserError, match=sentence):
        raise UserError(source.skipped[NAME])


def test_a_missing_picture(folder: Path) -> None:
    (folder / f"rgb/{START + 2 * STEP:.6f}.png").unlink()
    with pytest.raises(UserError, match="does not exist"):
        open_dataset(folder)
