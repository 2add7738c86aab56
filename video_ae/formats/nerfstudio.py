"""`transforms.json`: cameras as nerfstudio and instant-ngp read them.

nerfstudio's cameras look along -z with y up (OpenGL), so columns y and z of world_from_camera change sign; the world
stays the first frame's camera. Pixels are counted as here: (0.5, 0.5) is the centre of the top-left one.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from video_ae.formats.atomic import write_atomically
from video_ae.formats.trajectory import CameraTrajectory

OPENCV_FROM_OPENGL = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)  # factors of a pose's columns, both ways


def write_nerfstudio(path: Path, track: CameraTrajectory, pictures: Sequence[str], points: str | None = None) -> None:
    """Writes `transforms.json`; `pictures` are the frames' files relative to its folder, at the source's size.

    points: a PLY file relative to the same folder, from which nerfstudio's splatfacto starts.
    """
    width, height = track.image_size
    fx, fy, cx, cy = track.cameras.intrinsics[0].tolist()
    pose = track.cameras.world_from_camera * OPENCV_FROM_OPENGL
    content: dict[str, object] = {
        "camera_model": "OPENCV",
        "w": width,
        "h": height,
        "fl_x": fx * width,
        "fl_y": fy * height,
        "cx": cx * width,
        "cy": cy * height,
        "k1": 0.0,
        "k2": 0.0,
        "p1": 0.0,
        "p2": 0.0,
        "frames": [
            {"file_path": name, "transform_matrix": matrix}
            for name, matrix in zip(pictures, pose.tolist(), strict=True)
        ],
    }
    if points is not None:
        content["ply_file_path"] = points
    text = json.dumps(content, indent=1, allow_nan=False)
    write_atomically(path, lambda temporary: temporary.write_text(text))
