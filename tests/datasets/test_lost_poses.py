"""Frames whose pose is none, in every format: the frame goes, not the video, and a warning says so."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import test_colmap_model_dataset as colmap
import test_kitti_odometry as kitti
import test_matterport3d as matterport
import test_nerfstudio_scenes as nerfstudio
import test_replica as replica
import test_seven_scenes as seven_scenes
import test_tum_rgbd as tum
import torch
from PIL import Image
from posed_world import COUNT, HEIGHT, WIDTH, dot_error, poses, write_images
from torch import Tensor

from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.formats.tum import read_tum
from video_ae.geometry.se3 import invert
from video_ae.types import VideoClip
from video_ae.videos.natural_order import natural_order
from video_ae.videos.writer import write_video

INTRINSICS = (70.0, 66.0, 41.0, 29.0)
LOST = 2  # the frame that has no pose
Write = Callable[[Path, float], Path]
"""Writes a data set whose frame LOST has a pose of one number alone; returns its folder."""


def lost(matrices: Tensor, number: float) -> Tensor:
    matrices = matrices.clone()
    matrices[LOST] = number
    return matrices


def replace_line(file: Path, line: int, keep: int, number: float, width: int) -> None:
    """Puts one number into the words of a line of a file, from the word `keep` on."""
    lines = file.read_text().splitlines()
    words = lines[line].split()
    lines[line] = " ".join([*words[:keep], *[str(number)] * (width - keep), *words[width:]])
    file.write_text("\n".join(lines) + "\n")


def write_tum(root: Path, number: float) -> Path:
    tum.write_sequence(root / tum.NAME)
    truth = root / tum.NAME / "groundtruth.txt"
    truth.write_text("".join(line + "\n" for line in truth.read_text().splitlines() if " 9 9 9 " not in line))
    replace_line(truth, 2 + LOST, 1, number, 8)
    return root / tum.NAME


def write_kitti(root: Path, number: float) -> Path:
    kitti.write_sequence(root, "00")
    kitti.write_poses(root, "00", lost(poses() @ kitti.TWO_FROM_ZERO, number))
    return root


def write_seven_scenes(root: Path, number: float) -> Path:
    seven_scenes.write_sequence(root / "seq-01")
    seven_scenes.write_poses(root / "seq-01", lost(poses(), number))
    return root / "seq-01"


def write_replica(root: Path, number: float) -> Path:
    replica.write_scene(root / "room0")
    replica.write_poses(root / "room0", lost(poses(), number))
    (root / "cam_params.json").write_text(json.dumps({"camera": replica.CAMERA}))
    return root / "room0"


def write_matterport(root: Path, number: float) -> Path:
    matterport.write_scan(root / "scan", lost(matterport.opengl(), number))
    return root / "scan"


def write_nerfstudio(root: Path, number: float) -> Path:
    write_images([root / name for name in nerfstudio.NAMES], nerfstudio.INTRINSICS)
    matrices = lost(torch.tensor(nerfstudio.opengl()), number).tolist()
    nerfstudio.write(root, {**nerfstudio.SHARED, "frames": nerfstudio.frames(matrices)})
    return root


def write_nerfstudio_null(root: Path, number: float) -> Path:
    """JSON has no NaN, so that some programs write null."""
    write_nerfstudio(root, number)
    text = (root / "transforms.json").read_text()
    for word in ("NaN", "-Infinity"):
        text = text.replace(word, "null")
    (root / "transforms.json").write_text(text)
    return root


def write_colmap(root: Path, number: float) -> Path:
    write_images([root / "images" / name for name in colmap.NAMES], colmap.INTRINSICS)
    rows = colmap.rows(invert(poses()))
    rows[LOST] = [number] * 7
    colmap.write_text(root / "sparse" / "0", images=rows)
    return root


def write_realestate(root: Path, number: float) -> Path:
    fx, fy, cx, cy = INTRINSICS
    write_images([root / "frames" / "clip" / f"{50000 * frame}.png" for frame in range(COUNT)], INTRINSICS)
    lines = ["https://example.org/video"]
    for frame, pose in enumerate(lost(invert(poses()), number)[:, :3].flatten(1).tolist()):
        lens = f"{fx / WIDTH} {fy / HEIGHT} {cx / WIDTH} {cy / HEIGHT} 0 0"
        lines.append(f"{50000 * frame} {lens} {' '.join(map(str, pose))}")
    (root / "cameras").mkdir()
    (root / "cameras" / "clip.txt").write_text("\n".join(lines) + "\n")
    return root


WRITERS = (
    write_tum, write_kitti, write_seven_scenes, write_replica, write_matterport, write_nerfstudio,
    write_nerfstudio_null, write_colmap, write_realestate,
)  # fmt: skip


@pytest.mark.parametrize("number", [math.nan, -math.inf, 0.0])
@pytest.mark.parametrize("write", WRITERS)
def test_the_frame_goes_and_not_the_video(tmp_path: Path, write: Write, number: float, caplog) -> None:
    source = open_dataset(write(tmp_path, number))
    assert source.frame_count(0) == COUNT - 1
    clip = source.load(0)
    assert clip.cameras is not None
    assert clip.cameras.world_from_camera.isfinite().all()
    assert dot_error(clip) < 1
    kept = [number for number in range(COUNT) if number != LOST]
    torch.testing.assert_close(clip.cameras.world_from_camera, poses()[kept], atol=1e-5, rtol=0)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "1 of 5 frames have no pose and are left out, such as" in said[0]


@pytest.mark.parametrize("write", WRITERS)
def test_a_video_of_which_one_pose_is_left_is_skipped(tmp_path: Path, write: Write) -> None:
    root = write(tmp_path, math.nan)
    for file in (*root.rglob("*.txt"), *root.rglob("*.conf"), *root.rglob("transforms.json")):
        if file.name in ("times.txt", "calib.txt", "rgb.txt", "cameras.txt") and write is not write_realestate:
            continue
        spoil(file)
    if write is write_matterport:
        root = root.parent
    with pytest.raises(UserError, match=r"at least two|no line with a pose"):
        open_dataset(root)


def spoil(file: Path) -> None:
    """NaN in place of every pose of a file."""
    if file.suffix == ".json":
        content = json.loads(file.read_text())
        for frame in content["frames"]:
            frame["transform_matrix"] = [[math.nan] * 4] * 4
        file.write_text(json.dumps(content))
        return
    keep, width = {
        "groundtruth.txt": (1, 8), "images.txt": (1, 8), "clip.txt": (7, 19), "scan.conf": (3, 19), "00.txt": (0, 12),
        "traj.txt": (0, 16),
    }.get(file.name, (0, 4))  # fmt: skip
    for line, text in enumerate(file.read_text().splitlines()):
        if len(text.split()) >= width and "matrix" not in text and not text.startswith("#"):
            replace_line(file, line, keep, math.nan, width)


def test_frames_of_a_video_file_stay_with_their_lines(tmp_path: Path) -> None:
    write_realestate(tmp_path, math.nan)
    frames = [np.asarray(Image.open(file)) for file in natural_order((tmp_path / "frames" / "clip").iterdir())]
    write_video(tmp_path / "videos" / "clip.mp4", torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2), fps=20)
    shutil.rmtree(tmp_path / "frames")
    clip = open_dataset(tmp_path).load(0)
    assert dot_error(clip) < 1
    assert clip.times.tolist() == pytest.approx([0, 0.05, 0.15, 0.2])


@pytest.mark.parametrize(("k1", "kept"), [(0.0, True), (0.01, True), (0.3, False)])
@pytest.mark.parametrize("first_line", [True, False])
def test_realestate10k_without_its_first_line_and_with_distortion(tmp_path: Path, k1, kept, first_line, caplog) -> None:
    file = write_realestate(tmp_path, math.nan) / "cameras" / "clip.txt"
    file.write_text(file.read_text().replace(" 0 0 ", f" {k1} 0 ").partition("\n")[2])
    if first_line:
        file.write_text("https://example.org/a?b=1,2\n" + file.read_text())
    clip = open_dataset(tmp_path).load(0)
    assert len(clip) == COUNT - 1, "the first camera is not lost"
    assert (clip.cameras is not None) == kept
    assert ["moves a corner" in record.getMessage() for record in caplog.records][1:] == ([] if kept else [True])
    assert not kept or dot_error(clip) < 1


def test_the_next_pose_in_time_is_taken_as_by_the_benchmark(tmp_path: Path) -> None:
    root = write_tum(tmp_path, 0.0)
    lines = (root / "groundtruth.txt").read_text().splitlines()
    line = lines[2 + LOST].split()
    spare = f"{float(line[0]) + 0.004:.4f}"
    tum.write_truth(root, poses())
    whole = (root / "groundtruth.txt").read_text().splitlines()
    again = " ".join([spare, *whole[2 + 2 * LOST].split()[1:]])
    (root / "groundtruth.txt").write_text("\n".join([*lines, again]) + "\n")
    source = open_dataset(root)
    assert source.frame_count(0) == COUNT
    assert dot_error(source.load(0)) < 1


@pytest.mark.parametrize("separator", [",", ", ", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_commas_tabs_and_a_byte_order_mark_are_read(tmp_path: Path, separator: str, encoding: str) -> None:
    tum.write_sequence(tmp_path / tum.NAME)
    for name in ("groundtruth.txt", "rgb.txt"):
        file = tmp_path / tum.NAME / name
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        text = "\n".join(separator.join(line.split()) for line in lines)
        file.write_bytes(text.encode(encoding))
    source = open_dataset(tmp_path / tum.NAME)
    assert source.frame_count(0) == COUNT
    assert dot_error(source.load(0)) < 1
    assert read_tum(tmp_path / tum.NAME / "groundtruth.txt")[1].isfinite().all()


def test_a_byte_order_mark_in_json_and_in_a_model(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path / "a", 0.0)
    write_colmap(tmp_path / "b", 0.0)
    for file in (tmp_path / "a" / "transforms.json", *(tmp_path / "b" / "sparse" / "0").iterdir()):
        file.write_bytes(file.read_text().encode("utf-8-sig"))
    for name in "ab":
        clip: VideoClip = open_dataset(tmp_path / name).load(0)
        assert dot_error(clip) < 1
