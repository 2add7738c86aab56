"""Every file format: write, read (by its own rules), compare."""

import json
import math

import numpy as np
import pytest
import torch

from video_ae.errors import UserError
from video_ae.export.cameras_json import read_cameras_json, write_cameras_json
from video_ae.export.colmap_text import write_colmap_text
from video_ae.export.kitti import read_kitti, write_kitti
from video_ae.export.nerfstudio import write_nerfstudio
from video_ae.export.ply import PointCloud, read_ply, write_ply
from video_ae.export.quaternions import quaternion_from_rotation, rotation_from_quaternion
from video_ae.export.tracks import track_of
from video_ae.export.tum import read_tum, write_tum
from video_ae.geometry.cameras import project
from video_ae.geometry.se3 import invert, se3_exp, so3_exp
from video_ae.types import Cameras, VideoClip

COUNT = 7
EXACT = {"atol": 1e-6, "rtol": 0}


def cameras() -> Cameras:
    twist = torch.randn(COUNT, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Cameras(se3_exp(twist), torch.tensor([0.9, 1.2, 0.5, 0.48], dtype=torch.float64).expand(COUNT, 4))


def clip(times: bool = True) -> VideoClip:
    seconds = torch.arange(COUNT).double() / 7.5 if times else torch.full((COUNT,), math.nan, dtype=torch.float64)
    return VideoClip(torch.zeros(COUNT, 3, 4, 6), torch.arange(COUNT) * 3, seconds)


def expected() -> torch.Tensor:
    pose = cameras().world_from_camera
    return torch.linalg.inv(pose[0]) @ pose


def cloud(count: int = 5) -> PointCloud:
    draw = torch.Generator().manual_seed(2)
    return PointCloud(
        torch.randn(count, 3, generator=draw),
        torch.randint(0, 256, (count, 3), generator=draw, dtype=torch.uint8),
        torch.rand(count, generator=draw),
    )


def test_quaternions_round_trip_near_zero_and_near_half_a_turn():
    for angle in (0.0, 1e-9, 1e-4, 1.0, math.pi - 1e-7, math.pi):
        rotation = so3_exp(angle * torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64))
        quaternion = quaternion_from_rotation(rotation)
        torch.testing.assert_close(quaternion.norm(), torch.tensor(1.0).double())
        torch.testing.assert_close(rotation_from_quaternion(-2 * quaternion), rotation, **EXACT)


def test_cameras_json_round_trip(tmp_path):
    confidence = torch.linspace(0, 1, COUNT)
    write_cameras_json(tmp_path / "cameras.json", cameras(), clip(), confidence, (640, 480))
    content = json.loads((tmp_path / "cameras.json").read_text())
    assert list(content) == ["convention", "scale", "image_size", "intrinsics", "frames"]
    assert content["convention"] == "opencv world_from_camera"
    assert content["scale"] == "arbitrary"
    assert content["image_size"] == [640, 480]
    assert content["intrinsics"] == pytest.approx({"fx": 0.9, "fy": 1.2, "cx": 0.5, "cy": 0.48})
    assert list(content["frames"][0]) == ["index", "time_s", "world_from_camera", "confidence"]
    assert content["frames"][0]["world_from_camera"] == torch.eye(4).tolist()
    track = read_cameras_json(tmp_path / "cameras.json")
    torch.testing.assert_close(track.cameras.world_from_camera, expected(), **EXACT)
    torch.testing.assert_close(track.cameras.intrinsics, cameras().intrinsics, **EXACT)
    assert track.indices.tolist() == [0, 3, 6, 9, 12, 15, 18]
    torch.testing.assert_close(track.times, clip().times)
    torch.testing.assert_close(track.confidence, confidence.double())
    assert track.image_size == (640, 480)


def test_cameras_json_of_a_source_without_times_has_null(tmp_path):
    write_cameras_json(tmp_path / "cameras.json", cameras(), clip(times=False))
    text = (tmp_path / "cameras.json").read_text()
    assert "NaN" not in text
    content = json.loads(text)
    assert [frame["time_s"] for frame in content["frames"]] == [None] * COUNT
    assert content["image_size"] == [6, 4]
    track = read_cameras_json(tmp_path / "cameras.json")
    assert track.times.isnan().all()
    assert (track.confidence == 1).all()


def test_a_pose_that_is_not_a_number_is_never_written(tmp_path):
    broken = cameras()
    broken.world_from_camera[3] = math.nan
    with pytest.raises(ValueError, match="JSON"):
        write_cameras_json(tmp_path / "cameras.json", broken, clip())
    assert list(tmp_path.iterdir()) == []


FOREIGN = ["", "[]", "{}", '{"convention": "opengl"}', '{"convention": "opencv world_from_camera", "frames": 3}']


@pytest.mark.parametrize("text", FOREIGN)
def test_foreign_cameras_json_is_one_sentence(tmp_path, text):
    path = tmp_path / "cameras.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"cameras\.json"):
        read_cameras_json(path)


def test_tum_round_trip(tmp_path):
    write_tum(tmp_path / "tum.txt", track_of(cameras(), clip()))
    times, poses = read_tum(tmp_path / "tum.txt")
    torch.testing.assert_close(times, clip().times, **EXACT)
    torch.testing.assert_close(poses, expected(), **EXACT)
    rows = np.loadtxt(tmp_path / "tum.txt")  # as evo reads it
    assert rows.shape == (COUNT, 8)
    np.testing.assert_allclose(rows[:, 1:4], expected()[:, :3, 3], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows[:, 4:], axis=1), 1, atol=1e-8)


def test_tum_without_times_counts_frames(tmp_path):
    write_tum(tmp_path / "tum.txt", track_of(cameras(), clip(times=False)))
    assert read_tum(tmp_path / "tum.txt")[0].tolist() == [0, 3, 6, 9, 12, 15, 18]


def test_kitti_round_trip(tmp_path):
    write_kitti(tmp_path / "kitti.txt", track_of(cameras(), clip()))
    torch.testing.assert_close(read_kitti(tmp_path / "kitti.txt"), expected(), **EXACT)
    assert np.loadtxt(tmp_path / "kitti.txt").shape == (COUNT, 12)


@pytest.mark.parametrize("read", [read_tum, read_kitti])
def test_foreign_trajectories_are_one_sentence(tmp_path, read):
    (tmp_path / "file.txt").write_text("1 2 3\n")
    for path in (tmp_path / "file.txt", tmp_path / "missing.txt"):
        with pytest.raises(UserError, match="cannot be read"):
            read(path)


@pytest.mark.parametrize("count", [0, 5])
def test_ply_round_trip(tmp_path, count):
    write_ply(tmp_path / "points.ply", cloud(count))
    found = read_ply(tmp_path / "points.ply")
    torch.testing.assert_close(found.points, cloud(count).points)
    assert torch.equal(found.colors, cloud(count).colors)
    torch.testing.assert_close(found.confidence, cloud(count).confidence)


def test_ply_header_and_cut_off_file(tmp_path):
    path = tmp_path / "points.ply"
    write_ply(path, cloud())
    content = path.read_bytes()
    header, body = content.split(b"end_header\n", 1)
    assert header.decode().splitlines() == [
        "ply",
        "format binary_little_endian 1.0",
        "element vertex 5",
        *[f"property float {name}" for name in "xyz"],
        *[f"property uchar {name}" for name in ("red", "green", "blue")],
        "property float confidence",
    ]
    assert len(body) == 5 * (4 * 4 + 3)
    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match="point cloud"):
        read_ply(path)


def test_nerfstudio_by_its_own_rules(tmp_path):
    track = track_of(cameras(), clip(), image_size=(640, 480))
    write_nerfstudio(tmp_path / "transforms.json", track, [f"images/{i}.png" for i in range(COUNT)])
    content = json.loads((tmp_path / "transforms.json").read_text())
    assert content["fl_x"] == pytest.approx(0.9 * 640)
    assert content["cy"] == pytest.approx(0.48 * 480)
    for frame, pose in zip(content["frames"], expected(), strict=True):
        matrix = torch.tensor(frame["transform_matrix"], dtype=torch.float64)
        torch.testing.assert_close(matrix[:3, 3], pose[:3, 3], **EXACT)
        forward = matrix[:3, :3] @ torch.tensor([0.0, 0.0, -1.0]).double()  # OpenGL looks along -z
        torch.testing.assert_close(forward, pose[:3, 2], **EXACT)


def test_colmap_by_its_own_rules(tmp_path):
    track = track_of(cameras(), clip(), image_size=(640, 480))
    names = [f"{i}.png" for i in range(COUNT)]
    write_colmap_text(tmp_path, track, names, cloud())
    _, kind, width, height, *values = (tmp_path / "cameras.txt").read_text().split()
    assert (kind, width, height) == ("PINHOLE", "640", "480")
    fx, fy, cx, cy = map(float, values)
    lines = (tmp_path / "images.txt").read_text().split("\n")[:-1]
    assert len(lines) == 2 * COUNT
    point = torch.tensor([0.1, -0.2, 3.0], dtype=torch.float64)
    for number in range(COUNT):
        identity, qw, qx, qy, qz, tx, ty, tz, camera, name = lines[2 * number].split()
        assert (identity, camera, name) == (str(number + 1), "1", names[number])
        rotation = rotation_from_quaternion(torch.tensor([float(q) for q in (qx, qy, qz, qw)]).double())
        seen = rotation @ point + torch.tensor([float(t) for t in (tx, ty, tz)]).double()
        ours = invert(expected()[number])[:3] @ torch.cat([point, torch.ones(1).double()])
        torch.testing.assert_close(seen, ours, atol=1e-6, rtol=0)
        if ours[2] > 0.1:
            pixel = project(ours, track.cameras.intrinsics[0]) * torch.tensor([640, 480])
            found = torch.stack([fx * seen[0] / seen[2] + cx, fy * seen[1] / seen[2] + cy])
            torch.testing.assert_close(found, pixel, atol=1e-4, rtol=1e-6)
    points = np.loadtxt(tmp_path / "points3D.txt")
    np.testing.assert_allclose(points[:, 1:4], cloud().points, atol=1e-6)
    assert points[:, 4:7].tolist() == cloud().colors.tolist()
