"""One lens from the files of several programs; and what its distortion does, beside OpenCV."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from video_ae.errors import UserError
from video_ae.formats.camera_file import read_camera_file
from video_ae.formats.lens import Lens

SIZE = (640, 480)
FX, FY, CX, CY, K1, K2, P1, P2 = 500.0, 505.0, 310.0, 250.0, -0.2, 0.05, 0.002, -0.003
OPENCV = f"""%YAML:1.0
---
image_width: 640
image_height: 480
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ {FX}, 0., {CX - 0.5}, 0., {FY}, {CY - 0.5}, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 4
   dt: d
   data: [ {K1}, {K2}, {P1}, {P2} ]
"""
ROS = f"""image_width: 640
image_height: 480
camera_name: phone
camera_matrix: {{rows: 3, cols: 3, data: [{FX}, 0, {CX - 0.5}, 0, {FY}, {CY - 0.5}, 0, 0, 1]}}
distortion_model: plumb_bob
distortion_coefficients: {{rows: 1, cols: 5, data: [{K1}, {K2}, {P1}, {P2}, 0]}}
"""
NERFSTUDIO = json.dumps(
    {"w": 640, "h": 480, "fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY, "k1": K1, "k2": K2, "p1": P1, "p2": P2}
)
COLMAP = f"1 OPENCV 640 480 {FX} {FY} {CX} {CY} {K1} {K2} {P1} {P2}\n"


def test_the_cameras_of_a_colmap_model_are_enough(tmp_path):
    (tmp_path / "cameras.txt").write_text(COLMAP)
    assert read_camera_file(tmp_path, SIZE).focal == pytest.approx((FX, FY))


def write(folder: Path, name: str, text: str) -> Path:
    if name != "colmap":
        (folder / name).write_text(text)
        return folder / name
    (folder / "cameras.txt").write_text(text)
    (folder / "images.txt").write_text("")
    return folder


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.yaml", OPENCV), ("b.yml", ROS), ("transforms.json", NERFSTUDIO), ("colmap", COLMAP)],
)
def test_files_of_several_programs_say_the_same(name, text, tmp_path):
    lens = read_camera_file(write(tmp_path, name, text), (1280, 960))
    assert lens.size == (1280, 960)
    assert lens.focal == pytest.approx((2 * FX, 2 * FY))
    assert lens.centre == pytest.approx((2 * CX, 2 * CY))
    assert (*lens.radial, 0, 0)[:3] == (K1, K2, 0)
    assert lens.tangential == (P1, P2)


def test_rays_land_where_opencv_says():
    """OpenCV counts pixels from the centre of the first one, we from its corner."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: pip install -e .[peers]")
    lens = Lens(SIZE, (FX, FY), (CX, CY), (K1, K2, 0.01), (0.02, -0.01, 0.003), (P1, P2))
    rays = torch.rand(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    matrix = np.array([[FX, 0, CX - 0.5], [0, FY, CY - 0.5], [0, 0, 1]])
    coefficients = np.array([K1, K2, P1, P2, 0.01, 0.02, -0.01, 0.003])
    points = np.concatenate([rays.numpy(), np.ones((50, 1))], 1)
    theirs = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, coefficients)[0][:, 0]
    np.testing.assert_allclose(lens.project(rays).numpy() - 0.5, theirs, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "camera_matrix: 3", "camera_matrix and distortion_coefficients"),
        ("a.yaml", ROS.replace("plumb_bob", "equidistant"), "fisheye"),
        ("a.yaml", "!!python/object:x.Y {}", "no usable camera file"),
        ("transforms.json", "{}", "fl_x or camera_angle_x"),
        ("transforms.json", NERFSTUDIO.replace("{", '{"camera_model": "OPENCV_FISHEYE", ', 1), "fisheye"),
        ("colmap", COLMAP + COLMAP.replace("1 OPENCV", "2 OPENCV").replace("500.0", "400.0"), "2 cameras"),
        ("colmap", "1 OPENCV_FISHEYE 640 480 500 500 320 240 0 0 0 0\n", "fisheye"),
        ("calibration.txt", "500", "no camera file"),
        ("a.yaml", ROS.replace("480", "640"), "shape"),
        ("a.yaml", ROS.replace(f"{P2}, 0]", f"{P2}, 0, 0, 0, 0, 0.5, 0, 0, 0]"), "thin prism"),
    ],
)
def test_what_is_no_camera_is_one_sentence(name, text, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read_camera_file(write(tmp_path, name, text), SIZE)


def test_a_missing_file_and_an_empty_folder(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_camera_file(tmp_path / "gone.yaml", SIZE)
    with pytest.raises(UserError, match="holds no COLMAP model"):
        read_camera_file(tmp_path, SIZE)


def test_what_is_said_of_all_frames_comes_before_what_is_said_of_one(tmp_path):
    shared = {"w": 640, "h": 480, "camera_angle_x": 1.0, "frames": [{"fl_x": 33.0}]}
    (tmp_path / "a.json").write_text(json.dumps(shared))
    assert read_camera_file(tmp_path / "a.json", SIZE).focal[0] == pytest.approx(320 / np.tan(0.5))
    (tmp_path / "b.json").write_text(json.dumps({"w": 640, "h": 480, "frames": [{"fl_x": 333.0}]}))
    assert read_camera_file(tmp_path / "b.json", SIZE).focal[0] == 333
