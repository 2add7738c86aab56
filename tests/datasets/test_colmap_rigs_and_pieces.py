"""COLMAP models of rigs and in pieces: a clip a camera, and the largest piece."""

import struct
from pathlib import Path

import pytest
import torch
from PIL import Image
from posed_world import COUNT, HEIGHT, WIDTH, dot_error, poses, write_images
from test_colmap_model_dataset import INTRINSICS, PINHOLE, rows

from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.formats.colmap_rigs import read_colmap_rigs
from video_ae.geometry.se3 import invert

ASIDE = torch.tensor([2.0, 0.0, 0.0])  # of the second camera, so far that a jump would be seen


def write_model(folder: Path, images: dict[str, tuple[int, list[float]]], cameras: int = 1) -> None:
    """images: the camera's number and the pose of each by name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.txt").write_text("".join(f"{number + 1} {PINHOLE}\n" for number in range(cameras)))
    lines = [
        f"{i} {' '.join(map(str, row))} {camera} {name}\n" for i, (name, (camera, row)) in enumerate(images.items(), 1)
    ]
    (folder / "images.txt").write_text("".join(line + "\n" for line in lines))


def write_rigs(folder: Path, form: str) -> None:
    """One rig of the cameras 1 and 2 and an IMU, and one of the camera 3 alone."""
    if form == "text":
        sensors = "CAMERA 1 CAMERA 2 1 1 0 0 0 0.5 0 0 IMU 1 0"
        (folder / "rigs.txt").write_text(f"# Rig calib list\n1 3 {sensors}\n2 1 CAMERA 3\n")
        return
    rig = struct.pack("<II", 1, 3) + struct.pack("<iI", 0, 1)
    rig += struct.pack("<iIB7d", 0, 2, 1, 1, 0, 0, 0, 0.5, 0, 0) + struct.pack("<iIB", 1, 1, 0)
    (folder / "rigs.bin").write_bytes(struct.pack("<Q", 2) + rig + struct.pack("<IIiI", 2, 1, 0, 3))


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """Two cameras beside each other, in folders of their own."""
    seen = rows(invert(poses()))
    images = {f"front/{8 + i}.png": (1, row) for i, row in enumerate(seen)}
    moved = rows(invert(poses() + torch.nn.functional.pad(ASIDE[:, None], (3, 0, 0, 1))))
    images |= {f"back/{8 + i}.png": (2, row) for i, row in enumerate(moved)}
    for folder in ("front", "back"):
        write_images([tmp_path / "rig" / "images" / folder / f"{8 + i}.png" for i in range(COUNT)], INTRINSICS)
    write_model(tmp_path / "rig" / "sparse" / "0", images, 2)
    return tmp_path / "rig"


def test_each_folder_is_a_clip(rig: Path) -> None:
    source = open_dataset(rig)
    assert source.names == ["rig/back", "rig/front"]
    front, back = source.load(1), source.load(0)
    assert dot_error(front) < 1
    torch.testing.assert_close(front.cameras.world_from_camera, poses(), atol=1e-5, rtol=0)
    torch.testing.assert_close(back.cameras.centers, poses()[:, :3, 3] + ASIDE, atol=1e-5, rtol=0)
    (rig / "images" / "back" / "9.png").unlink()
    source = open_dataset(rig)
    assert source.names == ["rig/front"]
    assert "9.png' does not exist" in source.skipped["rig/back"]


@pytest.mark.parametrize("form", ["text", "binary", "none"])
def test_cameras_of_a_rig_in_one_folder(tmp_path: Path, form: str) -> None:
    """Also without rigs, as two phones that filmed one scene are: each camera has several images."""
    seen = rows(invert(poses()))
    images = {f"{i}_{side}.png": (camera, row) for i, row in enumerate(seen) for camera, side in ((1, "l"), (2, "r"))}
    for side in "lr":
        write_images([tmp_path / "images" / f"{i}_{side}.png" for i in range(COUNT)], INTRINSICS)
    write_model(tmp_path / "sparse" / "0", images, 2)
    if form != "none":
        write_rigs(tmp_path / "sparse" / "0", form)
        assert read_colmap_rigs(tmp_path / "sparse" / "0") == [{1, 2}]
    source = open_dataset(tmp_path)
    assert source.names == [f"{tmp_path.name}/camera1", f"{tmp_path.name}/camera2"]
    assert [source.frame_count(number) for number in range(2)] == [5, 5]
    assert dot_error(source.load(0)) < 1


@pytest.mark.parametrize("cameras", [[1, 2, 3, 4, 5], [1, 1, 1, 2, 1]])
def test_a_camera_for_each_image_takes_no_clip_apart(tmp_path: Path, cameras: list[int]) -> None:
    """COLMAP's default where it is not told that images share one."""
    names = [f"{number}.png" for number in range(COUNT)]
    write_images([tmp_path / "images" / name for name in names], INTRINSICS)
    write_model(
        tmp_path / "sparse" / "0",
        dict(zip(names, zip(cameras, rows(invert(poses())), strict=True), strict=True)),
        max(cameras),
    )
    source = open_dataset(tmp_path)
    assert (source.names, source.frame_count(0)) == ([tmp_path.name], COUNT)


@pytest.mark.parametrize("left", [0, 9, 25, 70])
def test_rigs_that_are_cut_off_are_one_sentence(rig: Path, left: int) -> None:
    write_rigs(rig / "sparse" / "0", "binary")
    file = rig / "sparse" / "0" / "rigs.bin"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(UserError, match=r"rigs\.bin' cannot be read as the rigs"):
        open_dataset(rig)


@pytest.mark.parametrize("place", ["sparse", "colmap/sparse"])
@pytest.mark.parametrize("form", ["text", "binary"])
def test_of_a_model_in_pieces_the_largest_is_taken_and_it_is_said(tmp_path: Path, place, form, caplog) -> None:
    seen = rows(invert(poses()))
    names = [f"{i}.png" for i in range(COUNT)]
    write_images([tmp_path / "images" / name for name in names], INTRINSICS)
    for piece, count in (("0", 2), ("1", COUNT), ("10", 3)):
        images = {name: (1, row) for name, row in list(zip(names, seen, strict=True))[:count]}
        write_model(tmp_path / place / piece, images)
        if form == "binary":
            content = struct.pack("<Q", count)
            for number, (name, (_, row)) in enumerate(images.items(), 1):
                content += struct.pack("<i7di", number, *row, 1) + name.encode() + b"\0" + struct.pack("<Q", 0)
            (tmp_path / place / piece / "images.bin").write_bytes(content)
            (tmp_path / place / piece / "images.txt").unlink()
    source = open_dataset(tmp_path)
    assert source.frame_count(0) == COUNT
    assert dot_error(source.load(0)) < 1
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert f"0 has 2, 1 has 5, 10 has 3); {place}/1 is taken" in said[0]


def test_only_a_scaled_copy_of_the_images_is_there(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(COUNT)]
    write_images([tmp_path / "images_4" / name for name in names], INTRINSICS)
    large = " ".join(str(4 * value) for value in (WIDTH, HEIGHT, *INTRINSICS))
    write_model(
        tmp_path / "sparse" / "0", {name: (1, row) for name, row in zip(names, rows(invert(poses())), strict=True)}
    )
    (tmp_path / "sparse" / "0" / "cameras.txt").write_text(f"1 PINHOLE {large}\n")
    assert dot_error(open_dataset(tmp_path).load(0)) < 1
    Image.new("RGB", (4 * WIDTH, 4 * HEIGHT)).save(tmp_path / "images_4" / names[0])
    with pytest.raises(UserError, match="differ in size"):
        open_dataset(tmp_path)
