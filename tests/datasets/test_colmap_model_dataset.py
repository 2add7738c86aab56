"""COLMAP models, written here by the rules of the format's page, in our convention."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from posed_world import COUNT, HEIGHT, WIDTH, dot_error, poses, write_images

from video_ae.datasets.colmap_model import ColmapModels
from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.evaluation.protocols.running import true_cameras
from video_ae.formats.colmap import ColmapCamera, no_points, read_colmap_images, write_colmap
from video_ae.formats.trajectory import trajectory_of
from video_ae.geometry.se3 import invert, quaternion_from_rotation
from video_ae.types import Cameras, VideoClip

FX, FY, CX, CY = INTRINSICS = (70.0, 66.0, 41.0, 29.0)
NAMES = [f"frame{8 + number}.png" for number in range(COUNT)]  # sorted as text, 10 comes before 8
PINHOLE = f"PINHOLE {WIDTH} {HEIGHT} {FX} {FY} {CX} {CY}"


def rows(pose: torch.Tensor) -> list[list[float]]:
    """(qw, qx, qy, qz, tx, ty, tz) of matrices that are written as they are."""
    quaternion = quaternion_from_rotation(pose[:, :3, :3].double())
    return torch.cat([quaternion[:, 3:], quaternion[:, :3], pose[:, :3, 3].double()], 1).tolist()


def write_text(folder: Path, camera: str = PINHOLE, images: list[list[float]] | None = None) -> Path:
    """Images stand in the reverse order of their frames; the first has no 2D points."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.txt").write_text(f"# comment\n7 {camera}\n")
    lines = ["# comment"]
    for number, row in reversed(list(enumerate(images or rows(invert(poses()))))):
        lines += [f"{number + 3} {' '.join(map(str, row))} 7 {NAMES[number]}", "1.5 2.5 -1 3 4 12" if number else ""]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_binary(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    camera = struct.pack("<QiiQQ4d", 1, 7, 1, WIDTH, HEIGHT, *INTRINSICS)
    (folder / "cameras.bin").write_bytes(camera)
    content = struct.pack("<Q", COUNT)
    for number, row in reversed(list(enumerate(rows(invert(poses()))))):
        content += struct.pack("<i7di", number + 3, *row, 7) + NAMES[number].encode() + b"\0"
        content += struct.pack("<Qddqddq", 2, 1.5, 2.5, -1, 3, 4, 12)
    (folder / "images.bin").write_bytes(content)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A scene without its model."""
    write_images([tmp_path / "scene" / "images" / name for name in NAMES], INTRINSICS)
    return tmp_path / "scene"


@pytest.mark.parametrize("write", [write_text, write_binary])
@pytest.mark.parametrize(
    ("size", "fit"), [(None, "stretch"), ((48, 48), "stretch"), ((48, 48), "crop"), (40, "stretch")]
)
def test_the_cameras_project_the_point_onto_the_dot(root, write, size, fit) -> None:
    write(root / "sparse" / "0")
    source = open_dataset(root)
    assert isinstance(source, ColmapModels)
    assert (source.names, source.frame_count(0)) == (["scene"], COUNT)
    assert dot_error(source.load(0, size=size, fit=fit)) < 1, "a dot is drawn at whole pixels"


def test_poses_and_intrinsics_are_exact_and_frames_come_as_asked_for(root) -> None:
    write_binary(root / "sparse" / "0")
    clip = open_dataset(root).load(0, [3, 1])
    assert clip.indices.tolist() == [3, 1]
    assert clip.times.isnan().all()
    torch.testing.assert_close(clip.cameras.world_from_camera, poses()[[3, 1]], atol=1e-5, rtol=0)
    expected = torch.tensor([[FX / WIDTH, FY / HEIGHT, CX / WIDTH, CY / HEIGHT]]).expand(2, 4)
    torch.testing.assert_close(clip.cameras.intrinsics, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: rows(poses()),  # world_from_camera
        lambda: [[*row[1:4], row[0], *row[4:]] for row in rows(invert(poses()))],  # w last
        lambda: rows(invert(poses()).flip(0)),  # another order
    ],
)
def test_another_convention_would_be_seen(root, wrong) -> None:
    write_text(root / "sparse" / "0", images=wrong())
    assert not dot_error(open_dataset(root).load(0)) < 3


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "colmap/sparse/0", "."])
@pytest.mark.parametrize("pictures", ["images", "beside"])
def test_where_a_model_may_lie(root, place, pictures) -> None:
    model = write_text(root / place)
    if pictures == "beside":
        for name in NAMES:
            (root / "images" / name).rename(model / name)
        (root / "images").rmdir()
    assert dot_error(open_dataset(root).load(0)) < 1


def test_a_folder_of_scenes_sets_broken_ones_aside_and_must_hold_nothing_else(root) -> None:
    write_text(root / "sparse")
    write_text(root.parent / "broken" / "sparse")
    source = open_dataset(root.parent)
    assert isinstance(source, ColmapModels)
    assert source.names == ["scene"]
    assert "frame8.png" in source.skipped["broken"]
    (root.parent / "loose.mp4").touch()
    assert not ColmapModels.recognises(root.parent), "the video would be lost"


def test_what_our_export_writes_is_read_back(root) -> None:
    focal = torch.tensor([FX / WIDTH, FY / HEIGHT, CX / WIDTH, CY / HEIGHT]).expand(COUNT, 4)
    given = VideoClip(torch.zeros(COUNT, 3, HEIGHT, WIDTH), torch.arange(COUNT), torch.zeros(COUNT).double())
    track = trajectory_of(Cameras(poses(), focal), given)
    write_colmap(root / "sparse" / "0", track, NAMES, no_points())
    for form in ("binary", "text"):
        clip = open_dataset(root).load(0)
        expected = track.cameras.world_from_camera.float()
        torch.testing.assert_close(clip.cameras.world_from_camera, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(clip.cameras.intrinsics, focal, atol=1e-5, rtol=0)
        if form == "binary":
            for name in ("cameras", "images"):
                (root / "sparse" / "0" / f"{name}.bin").unlink()


def test_a_model_with_rigs_and_frames_that_pycolmap_writes(root) -> None:
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed: pip install -e .[peers]")
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera(camera_id=4, model="PINHOLE", width=WIDTH, height=HEIGHT, params=INTRINSICS)
    model.add_camera_with_trivial_rig(camera)
    for number, pose in enumerate(invert(poses()).double().numpy(), 1):
        image = pycolmap.Image(image_id=number, camera_id=4, name=NAMES[number - 1])
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose[:3]))
    for write, suffix in ((model.write_text, "txt"), (model.write_binary, "bin")):
        folder = root / "sparse" / "0"
        folder.mkdir(parents=True, exist_ok=True)
        write(str(folder))
        assert (folder / f"rigs.{suffix}").is_file()
        assert dot_error(open_dataset(root).load(0)) < 1


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
@pytest.mark.parametrize("left", [0, 7, 30, -1, "more"])
def test_a_file_that_is_cut_off_is_refused(root, name, left) -> None:
    file = write_binary(root / "sparse" / "0") / name
    file.write_bytes(file.read_bytes() + b"0" if left == "more" else file.read_bytes()[:left])
    with pytest.raises(UserError, match=rf"{name}' cannot be read as the .* of a COLMAP model.*model_converter"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("cameras.txt", "PINHOLE", "PINHALL", "cannot be read as the cameras"),
        ("cameras.txt", f" {CY}", "", "cannot be read as the cameras"),
        ("cameras.txt", f"{FX}", "0", r"focal length \(0.0, 66.0\) is no positive number"),
        ("cameras.txt", "7 PIN", "8 PIN", "has the camera 7, which is not there"),
        ("images.txt", " 7 frame8.png", "", "cannot be read as the images"),
        ("images.txt", "frame8.png", "gone.png", r"gone.png' does not exist"),
        ("images.txt", "frame10.png", "frame8.jpg", r"frame8.jpg.* does not exist"),
        ("images.txt", "", "# ", "has no images"),
    ],
)
def test_damaged_text_is_one_sentence(root, file, old, new, says) -> None:
    path = write_text(root / "sparse") / file
    text = path.read_text()
    path.write_text(text.replace(old, new) if old else "".join(f"# {line}\n" for line in text.splitlines()))
    with pytest.raises(UserError, match=says) as caught:
        open_dataset(root)
    assert "\n" not in str(caught.value)


def test_pictures_of_another_size_are_scaled_and_of_another_shape_refused(root) -> None:
    double = [2 * value for value in (WIDTH, HEIGHT)] + [2 * value for value in INTRINSICS]
    write_text(root / "sparse", "PINHOLE " + " ".join(map(str, double)))
    assert dot_error(open_dataset(root).load(0)) < 1
    write_text(root / "sparse", f"PINHOLE {HEIGHT} {WIDTH} {FX} {FY} {CX} {CY}")
    with pytest.raises(UserError, match=r"80x60.* 60x80.*EXIF"):
        open_dataset(root)


def test_pictures_of_several_sizes_are_refused(root) -> None:
    write_text(root / "sparse")
    Image.new("RGB", (WIDTH, HEIGHT + 1)).save(root / "images" / NAMES[2])
    with pytest.raises(UserError, match="differ in size"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("camera", "kept"),
    [
        (f"OPENCV {WIDTH} {HEIGHT} {FX} {FY} {CX} {CY} 0.01 0 0 0.001", True),
        (f"OPENCV {WIDTH} {HEIGHT} {FX} {FY} {CX} {CY} 0.2 0 0 0", False),
        (f"SIMPLE_RADIAL {WIDTH} {HEIGHT} {FX} {CX} {CY} nan", False),
        (f"OPENCV_FISHEYE {WIDTH} {HEIGHT} {FX} {FY} {CX} {CY} 0 0 0 0", False),
    ],
)
def test_what_no_pinhole_took_has_frames_and_no_cameras(root, camera, kept, caplog) -> None:
    write_text(root / "sparse", camera)
    source = open_dataset(root)
    clip = source.load(0, [0, 1])
    assert clip.frames.shape == (2, 3, HEIGHT, WIDTH)
    warnings = [record.getMessage() for record in caplog.records]
    if kept:
        assert dot_error(source.load(0)) < 1
        assert warnings == []
        return
    assert len(warnings) == 1
    assert "image_undistorter" in warnings[0]
    with pytest.raises(UserError, match="no true cameras"):
        true_cameras(clip)


@pytest.mark.parametrize(
    ("model", "values"),
    [
        ("SIMPLE_PINHOLE", [FX, CX, CY]),
        ("PINHOLE", INTRINSICS),
        ("SIMPLE_RADIAL", [FX, CX, CY, -0.1]),
        ("RADIAL", [FX, CX, CY, -0.1, 0.03]),
        ("OPENCV", [*INTRINSICS, -0.1, 0.03, 0.004, -0.006]),
        ("FULL_OPENCV", [*INTRINSICS, -0.1, 0.03, 0.004, -0.006, 0.02, 0.05, -0.03, 0.01]),
    ],
)
def test_corners_move_as_far_as_in_colmap(model, values) -> None:
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed: pip install -e .[peers]")
    theirs = pycolmap.Camera(camera_id=1, model=model, width=WIDTH, height=HEIGHT, params=values)
    ours = ColmapCamera(1, model, (WIDTH, HEIGHT), tuple(values)).lens()
    corners = np.array([(x, y) for x in (0, WIDTH) for y in (0, HEIGHT)], dtype=float)
    rays = np.concatenate([(corners - ours.centre) / ours.focal, np.ones((4, 1))], 1)
    moved = np.linalg.norm(theirs.img_from_cam(rays) - corners, axis=1).max()
    assert ours.corner_shift() == pytest.approx(moved / WIDTH, abs=1e-9)


@pytest.mark.parametrize("points", ["\n\n", "\n", "\r\n1.5 2.5 -1 3 4 12\r\n", "\n1 2 -1 3 4 -1 5 6 -1 7 8 12\n"])
def test_every_image_of_a_text_model_counts(tmp_path: Path, points: str) -> None:
    """Names with spaces; and scripts that write models of cameras alone leave out the lines of 2D points."""
    names = [f"My shot ({number}).jpg" for number in range(4)]
    lines = [f"{number} 1 0 0 0 {number} 0 0 1 {name}" for number, name in enumerate(names, 1)]
    (tmp_path / "images.txt").write_text("# comment\n" + points.join(lines) + points, newline="")
    assert [image.name for image in read_colmap_images(tmp_path)] == names
    assert [image.pose[4] for image in read_colmap_images(tmp_path)] == [1, 2, 3, 4]
