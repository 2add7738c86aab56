"""Every file format: write, read (by its own rules), compare."""

import json
import math
from dataclasses import replace

import numpy as np
import plyfile
import pytest
import torch
from PIL import Image

from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json, write_cameras_json
from video_ae.formats.colmap import TrackedPoints, read_colmap_cameras, read_colmap_images, write_colmap
from video_ae.formats.depth_maps import read_depth, write_depth
from video_ae.formats.kitti import read_kitti, write_kitti
from video_ae.formats.nerfstudio import write_nerfstudio
from video_ae.formats.ply import GaussianCloud, PointCloud, read_gaussians, read_ply, write_gaussians, write_ply
from video_ae.formats.trajectory import trajectory_of
from video_ae.formats.tum import read_tum, write_tum
from video_ae.geometry.pinhole import project
from video_ae.geometry.se3 import invert, quaternion_from_rotation, rotation_from_quaternion, se3_exp, so3_exp
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
    written = replace(trajectory_of(cameras(), clip(), confidence, (640, 480)), readout=-0.25)
    write_cameras_json(tmp_path / "cameras.json", written)
    content = json.loads((tmp_path / "cameras.json").read_text())
    assert list(content) == ["version", "convention", "scale", "image_size", "intrinsics", "readout", "frames"]
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
    assert track.readout == -0.25


def zooming() -> Cameras:
    lenses = cameras().intrinsics * torch.tensor([1.0, 1.0, 0.0, 0.0]).double() * torch.linspace(1, 1.5, COUNT)[:, None]
    return replace(cameras(), intrinsics=lenses + torch.tensor([0.0, 0.0, 0.5, 0.48]).double())


def test_focal_lengths_that_change_stand_beside_each_frame(tmp_path):
    track = trajectory_of(zooming(), clip(), image_size=(640, 480))
    write_cameras_json(tmp_path / "cameras.json", track)
    content = json.loads((tmp_path / "cameras.json").read_text())
    assert content["intrinsics"] == content["frames"][0]["intrinsics"]
    assert content["frames"][-1]["intrinsics"] == pytest.approx({"fx": 1.35, "fy": 1.8, "cx": 0.5, "cy": 0.48})
    torch.testing.assert_close(read_cameras_json(tmp_path / "cameras.json").cameras.intrinsics, zooming().intrinsics)
    names = [f"{i}.png" for i in range(COUNT)]
    write_nerfstudio(tmp_path / "transforms.json", track, names)
    content = json.loads((tmp_path / "transforms.json").read_text())
    assert "fl_x" not in content
    assert [content["frames"][i]["fl_x"] for i in (0, -1)] == pytest.approx([0.9 * 640, 1.35 * 640])
    write_colmap(tmp_path, track, names, tracked())
    lenses = read_colmap_cameras(tmp_path)
    images = read_colmap_images(tmp_path)
    assert [image.camera for image in images] == list(range(1, COUNT + 1))
    assert lenses[images[-1].camera].parameters == pytest.approx((1.35 * 640, 1.8 * 480, 320, 0.48 * 480))


def test_cameras_json_of_a_source_without_times_has_null(tmp_path):
    write_cameras_json(tmp_path / "cameras.json", trajectory_of(cameras(), clip(times=False)))
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
        write_cameras_json(tmp_path / "cameras.json", trajectory_of(broken, clip()))
    assert list(tmp_path.iterdir()) == []


FOREIGN = ["", "[]", "{}", '{"convention": "opengl"}', '{"convention": "opencv world_from_camera", "frames": 3}']


@pytest.mark.parametrize("text", FOREIGN)
def test_foreign_cameras_json_is_one_sentence(tmp_path, text):
    path = tmp_path / "cameras.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"cameras\.json"):
        read_cameras_json(path)


def test_tum_round_trip(tmp_path):
    write_tum(tmp_path / "tum.txt", trajectory_of(cameras(), clip()))
    times, poses = read_tum(tmp_path / "tum.txt")
    torch.testing.assert_close(times, clip().times, **EXACT)
    torch.testing.assert_close(poses, expected(), **EXACT)
    rows = np.loadtxt(tmp_path / "tum.txt")  # as evo reads it
    assert rows.shape == (COUNT, 8)
    np.testing.assert_allclose(rows[:, 1:4], expected()[:, :3, 3], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows[:, 4:], axis=1), 1, atol=1e-8)


def test_tum_without_times_counts_frames(tmp_path):
    write_tum(tmp_path / "tum.txt", trajectory_of(cameras(), clip(times=False)))
    assert read_tum(tmp_path / "tum.txt")[0].tolist() == [0, 3, 6, 9, 12, 15, 18]


def test_kitti_round_trip(tmp_path):
    write_kitti(tmp_path / "kitti.txt", trajectory_of(cameras(), clip()))
    torch.testing.assert_close(read_kitti(tmp_path / "kitti.txt"), expected(), **EXACT)
    assert np.loadtxt(tmp_path / "kitti.txt").shape == (COUNT, 12)


@pytest.mark.parametrize(("read", "columns"), [(read_tum, 8), (read_kitti, 12)])
def test_foreign_trajectories_are_one_sentence(tmp_path, read, columns):
    (tmp_path / "file.txt").write_text("1 2 3\n")
    with pytest.raises(UserError, match=f"line 1: 3 values, but {columns} are expected"):
        read(tmp_path / "file.txt")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "missing.txt")


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
    track = trajectory_of(cameras(), clip(), image_size=(640, 480))
    write_nerfstudio(tmp_path / "transforms.json", track, [f"images/{i}.png" for i in range(COUNT)], "points.ply")
    content = json.loads((tmp_path / "transforms.json").read_text())
    assert content["ply_file_path"] == "points.ply"
    assert content["frames"][2]["file_path"] == "images/2.png"
    assert content["fl_x"] == pytest.approx(0.9 * 640)
    assert content["cy"] == pytest.approx(0.48 * 480)
    for frame, pose in zip(content["frames"], expected(), strict=True):
        matrix = torch.tensor(frame["transform_matrix"], dtype=torch.float64)
        torch.testing.assert_close(matrix[:3, 3], pose[:3, 3], **EXACT)
        forward = matrix[:3, :3] @ torch.tensor([0.0, 0.0, -1.0]).double()  # OpenGL looks along -z
        torch.testing.assert_close(forward, pose[:3, 2], **EXACT)
        back = matrix @ torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]).double())
        torch.testing.assert_close(back, pose, **EXACT)


def tracked() -> TrackedPoints:
    """Five points that are seen by some frames, at made-up places in the picture."""
    draw = torch.Generator().manual_seed(3)
    point = torch.tensor([0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4])
    frame = torch.tensor([0, 3, 1, 2, 6, 0, 1, 5, 6, 2, 4])
    return TrackedPoints(
        torch.randn(5, 3, generator=draw, dtype=torch.float64),
        cloud().colors,
        torch.rand(5, generator=draw, dtype=torch.float64),
        point,
        frame,
        640 * torch.rand(11, 2, generator=draw, dtype=torch.float64),
    )


def test_colmap_text_by_its_own_rules(tmp_path):
    track = trajectory_of(cameras(), clip(), image_size=(640, 480))
    names = [f"{i}.png" for i in range(COUNT)]
    write_colmap(tmp_path, track, names, tracked())
    lines = (tmp_path / "cameras.txt").read_text().splitlines()
    _, kind, width, height, *values = lines[1].split()
    assert (kind, width, height) == ("PINHOLE", "640", "480")
    fx, fy, cx, cy = map(float, values)
    lines = (tmp_path / "images.txt").read_text().split("\n")[2:-1]
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


@pytest.mark.parametrize("form", ["text", "binary"])
def test_colmap_round_trip_through_pycolmap(tmp_path, form):
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed: pip install -e .[peers]")
    track = trajectory_of(cameras(), clip(), image_size=(640, 480))
    write_colmap(tmp_path, track, [f"{i}.png" for i in range(COUNT)], tracked())
    model = pycolmap.Reconstruction()
    getattr(model, f"read_{form}")(str(tmp_path))
    camera = model.cameras[1]
    assert (camera.model.name, camera.width, camera.height) == ("PINHOLE", 640, 480)
    np.testing.assert_allclose(camera.params, [0.9 * 640, 1.2 * 480, 320, 0.48 * 480], atol=1e-6)
    assert model.num_reg_images() == COUNT
    for number, pose in enumerate(expected().numpy(), 1):
        image = model.images[number]
        assert image.name == f"{number - 1}.png"
        np.testing.assert_allclose(image.cam_from_world().inverse().matrix(), pose[:3], atol=1e-6)
    ours = tracked()
    for point in range(5):
        theirs = model.points3D[point + 1]
        np.testing.assert_allclose(theirs.xyz, ours.points[point], atol=1e-6)
        assert theirs.color.tolist() == ours.colors[point].tolist()
        assert theirs.error == pytest.approx(ours.error[point].item(), rel=1e-5)
        places = [model.images[e.image_id].points2D[e.point2D_idx] for e in theirs.track.elements]
        assert [e.image_id - 1 for e in theirs.track.elements] == ours.frame[ours.point == point].tolist()
        assert all(place.point3D_id == point + 1 for place in places)
        np.testing.assert_allclose([place.xy for place in places], ours.pixel[ours.point == point], atol=1e-5)


def test_points_are_read_by_plyfile(tmp_path):
    write_ply(tmp_path / "points.ply", cloud())
    vertex = plyfile.PlyData.read(str(tmp_path / "points.ply"))["vertex"]
    np.testing.assert_array_equal(np.stack([vertex[name] for name in "xyz"], -1), cloud().points)
    np.testing.assert_array_equal(np.stack([vertex[n] for n in ("red", "green", "blue")], -1), cloud().colors)
    np.testing.assert_array_equal(vertex["confidence"], cloud().confidence)


def gaussians() -> GaussianCloud:
    draw = torch.Generator().manual_seed(4)
    rotation = so3_exp(2 * torch.randn(6, 3, generator=draw, dtype=torch.float64)).float()
    values = [torch.rand(6, *shape, generator=draw) for shape in ((3,), (3,), (), (3,))]
    return GaussianCloud(values[0], values[1], 0.01 + 0.98 * values[2], 0.01 + values[3], rotation)


def test_gaussians_round_trip(tmp_path):
    write_gaussians(tmp_path / "gaussians.ply", gaussians())
    found = read_gaussians(tmp_path / "gaussians.ply")
    for name in GaussianCloud.__dataclass_fields__:
        torch.testing.assert_close(getattr(found, name), getattr(gaussians(), name), atol=2e-6, rtol=2e-6)
    (tmp_path / "gaussians.ply").write_bytes((tmp_path / "gaussians.ply").read_bytes()[:-1])
    with pytest.raises(UserError, match="Gaussians"):
        read_gaussians(tmp_path / "gaussians.ply")


def test_gaussians_in_the_layout_of_splat_viewers(tmp_path):
    write_gaussians(tmp_path / "gaussians.ply", gaussians())
    vertex = plyfile.PlyData.read(str(tmp_path / "gaussians.ply"))["vertex"]
    names = [p.name for p in vertex.properties]
    assert names == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1",
                     "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]  # fmt: skip
    ours = gaussians()
    np.testing.assert_allclose(1 / (1 + np.exp(-vertex["opacity"])), ours.opacity, atol=1e-6)
    np.testing.assert_allclose(np.exp(vertex["scale_1"]), ours.scale[:, 1], rtol=1e-5)
    np.testing.assert_allclose(0.5 + vertex["f_dc_2"] * 0.5 / math.sqrt(math.pi), ours.colors[:, 2], atol=1e-6)
    w, x, y, z = (vertex[f"rot_{i}"].astype(float) for i in range(4))
    np.testing.assert_allclose(w * w + x * x + y * y + z * z, 1, atol=1e-6)
    np.testing.assert_allclose(1 - 2 * (y * y + z * z), ours.rotation[:, 0, 0], atol=1e-6)
    np.testing.assert_allclose(2 * (x * y + w * z), ours.rotation[:, 1, 0], atol=1e-6)


def test_depth_maps_round_trip(tmp_path):
    depth = 0.3 + 40 * torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(5))
    depth[1, 2, 3] = torch.nan
    depth[0, 0, 0] = torch.inf
    write_depth(tmp_path / "depth", depth, [0, 3, 6], (640, 480))
    sidecar = json.loads((tmp_path / "depth" / "depth.json").read_text())
    assert sidecar["source_size"] == [640, 480]
    assert (sidecar["png_unknown"], sidecar["npz_unknown"]) == (0, "NaN")
    found, indices = read_depth(tmp_path / "depth")
    known = depth.isfinite()
    assert torch.equal(found[known], depth[known])
    assert found[~known].isnan().all()
    assert indices.tolist() == [0, 3, 6]
    for number, frame in enumerate(sidecar["frames"]):
        with Image.open(tmp_path / "depth" / frame["file"]) as image:
            assert image.mode.startswith("I;16")
            values = np.asarray(image).astype(np.float64)
        assert ((values == sidecar["png_unknown"]) == ~known[number].numpy()).all()
        error = np.abs(values * sidecar["png_scale"] - depth[number].numpy())[known[number].numpy()]
        assert error.max() <= 0.501 * sidecar["png_scale"] + 1e-6
    with pytest.raises(UserError, match="depth"):
        read_depth(tmp_path)
