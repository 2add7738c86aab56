"""`transforms.json`: cameras as nerfstudio and instant-ngp read them.

nerfstudio's cameras look along -z with y up (OpenGL), so columns y and z of world_from_camera change sign; the world
stays the first frame's camera.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from video_ae.export.tracks import CameraTrack
from video_ae.files import write_atomically

_OPENGL = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)


def write_nerfstudio(path: Path, track: CameraTrack, pictures: Sequence[str]) -> None:
    """Writes `transforms.json`; `pictures` are the frames' files relative to its folder, at the source's size."""
    width, height = track.image_size
    fx, fy, cx, cy = track.cameras.intrinsics[0].tolist()
    pose = track.cameras.world_from_camera * _OPENGL
    content = {
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
    text = json.dumps(content, indent=1, allow_nan=False)
    write_atomically(path, lambda temporary: temporary.write_text(text))
