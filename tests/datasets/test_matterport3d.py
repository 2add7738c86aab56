"""Matterport3D's layout, written here, in our convention."""

from pathlib import Path

import pytest
import torch
from posed_world import HEIGHT, WIDTH, dot_error, poses, write_images

from video_ae.datasets.matterport3d import Matterport3D
from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.geometry.se3 import invert

FX, FY, CX, CY = 66.0, 64.0, 39.0, 26.0  # CX from the middle of the first column, CY from the middle of the last row
INTRINSICS = (FX, FY, CX + 0.5, HEIGHT - 0.5 - CY)
# Camera and stop of each picture, in the order of the video.
ORDER = [(0, 0), (1, 0), (2, 0), (2, 1), (1, 1)]
COUNT = len(ORDER)
GOOD, OTHER = "0a1b", "ffee"


def opengl() -> torch.Tensor:
    """x right, y up, z backward."""
    return poses(COUNT) * torch.tensor([1.0, -1, -1, 1])


def write_panorama(scan: Path, name: str, matrices: torch.Tensor) -> list[str]:
    """Draws the pictures and gives the lines of the .conf in its own order: camera by camera."""
    files = [scan / "undistorted_color_images" / f"{name}_i{camera}_{stop}.jpg" for camera, stop in ORDER]
    write_images(files, INTRINSICS)
    lines = []
    for camera, stop in sorted(ORDER):
        if stop == 0:
            lines.append(f"intrinsics_matrix {FX} 0 {CX}  0 {FY} {CY}  0 0 1")
        pose = " ".join(f"{value:.7g}" for value in matrices[ORDER.index((camera, stop))].flatten().tolist())
        lines.append(f"scan {name}_d{camera}_{stop}.png {name}_i{camera}_{stop}.jpg {pose}")
    return [*lines, ""]


def write_scan(scan: Path, matrices: torch.Tensor) -> Path:
    lines = ["dataset matterport", "n_images 10", "depth_directory undistorted_depth_images"]
    lines += ["color_directory undistorted_color_images", ""]
    lines += write_panorama(scan, GOOD, matrices) + write_panorama(scan, OTHER, opengl())
    conf = scan / "undistorted_camera_parameters" / f"{scan.name}.conf"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text("\n".join(lines))
    return conf


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    write_scan(tmp_path / "17DRP5sb8fy", opengl())
    return tmp_path / "17DRP5sb8fy"


@pytest.mark.parametrize(
    ("size", "fit"), [(None, "stretch"), ((48, 48), "stretch"), ((48, 48), "crop"), (40, "stretch")]
)
def test_the_cameras_project_the_point_onto_the_dot(scan: Path, size, fit) -> None:
    source = open_dataset(scan)
    assert isinstance(source, Matterport3D)
    assert source.names == ["17DRP5sb8fy/0a1b", "17DRP5sb8fy/ffee"]
    assert source.frame_count(0) == COUNT
    clip = source.load(0, size=size, fit=fit)
    assert dot_error(clip) < 1, "a dot is drawn at whole pixels"
    torch.testing.assert_close(clip.cameras.world_from_camera, poses(COUNT), atol=1e-5, rtol=0)  # the order, too


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: poses(COUNT),  # OpenCV's axes
        lambda: invert(opengl()),
        lambda: torch.diag(torch.tensor([1.0, -1, -1, 1])) @ opengl(),  # the world turned too
        lambda: opengl().flip(0),
    ],
)
def test_another_convention_would_be_seen(scan: Path, wrong) -> None:
    write_scan(scan, wrong())
    assert not dot_error(open_dataset(scan).load(0)) < 3


def test_rows_are_counted_from_the_bottom(scan: Path) -> None:
    """A principal point that is not in the middle tells top from bottom: 60 - 26 - 26 = 8 pixels."""
    clip = open_dataset(scan).load(0)
    expected = [FX / WIDTH, FY / HEIGHT, (CX + 0.5) / WIDTH, 33.5 / HEIGHT]
    assert clip.cameras.intrinsics[0].tolist() == pytest.approx(expected)
    conf = next(scan.glob("*/*.conf"))
    conf.write_text(conf.read_text().replace(f"{FY} {CY}", f"{FY} {HEIGHT - 1 - CY}"))
    assert 6 < dot_error(open_dataset(scan).load(0)) < 9


def test_a_folder_of_scans(scan: Path) -> None:
    write_scan(scan.parent / "8WUmhLawc2A", opengl())
    (scan / "cameras").mkdir()  # Matterport3D's own; RealEstate10K's layout has one as well
    (scan / "cameras" / "exterior.cam").write_text("1 2 3\n")
    assert len(open_dataset(scan.parent)) == 4
    assert isinstance(open_dataset(scan), Matterport3D)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (f"{GOOD}_i1_1.jpg ", f"{GOOD}_i1_1.jpg 7 ", r"\.conf', line 10: 17 values, but 16"),
        (f"{GOOD}_i1_1.jpg ", f"{GOOD}_i1_1.jpg word ", r"line 10: 17 values"),
        ("0 0 1\n", "0 one\n", r"line 6: 8 values, but 9"),
        ("0 0 1\n", "0 0 one\n", r"line 6: these are not all numbers"),
        (f"intrinsics_matrix {FX}", f"intrinsics_matrix -{FX}", "focal length"),
        (f"intrinsics_matrix {FX}", f"# {FX}", "before the first line `intrinsics_matrix`"),
    ],
)
def test_damaged_panoramas_are_set_aside(scan: Path, old: str, new: str, sentence: str) -> None:
    conf = next(scan.glob("*/*.conf"))
    conf.write_text(conf.read_text().replace(old, new, 1))
    source = open_dataset(scan)
    assert source.names == [f"{scan.name}/{OTHER}"]
    with pytest.raises(UserError, match=sentence):
        raise UserError(source.skipped[f"{scan.name}/{GOOD}"])


def test_a_missing_picture(scan: Path) -> None:
    (scan / "undistorted_color_images" / f"{GOOD}_i1_1.jpg").unlink()
    source = open_dataset(scan)
    assert source.names == [f"{scan.name}/{OTHER}"]
    assert "i1_1.jpg' does not exist" in source.skipped[f"{scan.name}/{GOOD}"]


def test_a_file_of_words(scan: Path) -> None:
    next(scan.glob("*/*.conf")).write_text("these are\nonly words\n")
    with pytest.raises(UserError, match="no line `scan`"):
        open_dataset(scan)
