"""A COLMAP model in text form (Schoenberger and Frahm 2016): `cameras.txt`, `images.txt`, `points3D.txt`.

COLMAP stores camera_from_world, quaternions with w first, pixels whose top-left centre is (0.5, 0.5), numbers from 1.
Points carry no tracks.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from video_ae.export.ply import PointCloud
from video_ae.export.quaternions import quaternion_from_rotation
from video_ae.export.tracks import CameraTrack
from video_ae.files import write_atomically
from video_ae.geometry.se3 import invert


def write_colmap_text(
    folder: Path, track: CameraTrack, pictures: Sequence[str], cloud: PointCloud | None = None
) -> None:
    """Writes the model into `folder`; `pictures` are the names of the frames' files."""
    width, height = track.image_size
    fx, fy, cx, cy = track.cameras.intrinsics[0].tolist()
    _write(
        folder / "cameras.txt", [f"1 PINHOLE {width} {height} {fx * width} {fy * height} {cx * width} {cy * height}"]
    )
    pose = invert(track.cameras.world_from_camera)
    rows = torch.cat([quaternion_from_rotation(pose[:, :3, :3]).roll(1, -1), pose[:, :3, 3]], -1).tolist()
    images = []
    for number, (row, name) in enumerate(zip(rows, pictures, strict=True), 1):
        images += [f"{number} " + " ".join(f"{value:.12g}" for value in row) + f" 1 {name}", ""]
    _write(folder / "images.txt", images)
    points = []
    if cloud is not None:
        for number, (xyz, rgb) in enumerate(zip(cloud.points.tolist(), cloud.colors.tolist(), strict=True), 1):
            points.append(f"{number} {xyz[0]:.9g} {xyz[1]:.9g} {xyz[2]:.9g} {rgb[0]} {rgb[1]} {rgb[2]} 0")
    _write(folder / "points3D.txt", points)


def _write(path: Path, lines: list[str]) -> None:
    write_atomically(path, lambda temporary: temporary.write_text("".join(f"{line}\n" for line in lines)))
