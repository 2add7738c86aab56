"""A COLMAP model (Schoenberger and Frahm 2016), text and binary: cameras, images with 2D points, 3D points with tracks.

COLMAP stores camera_from_world, quaternions with w first, pixels whose top-left centre is (0.5, 0.5) as ours is, and
numbers from 1. Both forms hold the same values (`colmap_layout`); readers take the binary one.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from video_ae.formats.atomic import write_atomically
from video_ae.formats.colmap_layout import (
    ColmapCamera,
    ColmapImage,
    Seen,
    as_lines,
    as_words,
    cameras_as_bytes,
    cameras_as_text,
    images_as_bytes,
    images_as_text,
)
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.se3 import invert, quaternion_from_rotation


@dataclass(frozen=True)
class TrackedPoints:
    """3D points and where frames see them.

    points: in the world of the cameras. colors: RGB. error: mean reprojection error in pixels of the source.
    point, frame: which point each observation belongs to, and which frame (position in the clip) made it.
    pixel: where, (x, y) in pixels of the source, (0.5, 0.5) at the centre of the top-left one.
    """

    points: Float64[Tensor, "point 3"]
    colors: UInt8[Tensor, "point 3"]
    error: Float64[Tensor, "point"]
    point: Int64[Tensor, "observation"]
    frame: Int64[Tensor, "observation"]
    pixel: Float64[Tensor, "observation 2"]

    def __len__(self) -> int:
        return len(self.points)


def no_points() -> TrackedPoints:
    """A model of cameras alone."""
    empty = torch.zeros(0, 3, dtype=torch.float64)
    number = torch.zeros(0, dtype=torch.int64)
    return TrackedPoints(empty, empty.to(torch.uint8), empty[:, 0], number, number, empty[:, :2])


@dataclass(frozen=True)
class _Model:
    """The values of the files, in their order; points are (position, colour, error, track)."""

    camera: ColmapCamera
    images: list[ColmapImage]
    seen: list[Seen]
    points: list[tuple[list[float], list[int], float, list[tuple[int, int]]]]


def write_colmap(folder: Path, track: CameraTrajectory, pictures: Sequence[str], points: TrackedPoints) -> None:
    """Writes {cameras,images,points3D}.{txt,bin} into `folder`; `pictures` are the names of the frames' files."""
    model = _model(track, pictures, points)
    files = {
        "cameras.txt": cameras_as_text([model.camera]),
        "cameras.bin": cameras_as_bytes([model.camera]),
        "images.txt": images_as_text(model.images, model.seen),
        "images.bin": images_as_bytes(model.images, model.seen),
        "points3D.txt": _text_points(model),
        "points3D.bin": _bytes_points(model),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(folder / name, partial(_write, content))


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _model(track: CameraTrajectory, pictures: Sequence[str], points: TrackedPoints) -> _Model:
    width, height = track.image_size
    fx, fy, cx, cy = track.cameras.intrinsics[0].tolist()
    pose = invert(track.cameras.world_from_camera)
    rows = torch.cat([quaternion_from_rotation(pose[:, :3, :3]).roll(1, -1), pose[:, :3, 3]], -1).tolist()
    seen: list[list[tuple[float, float, int]]] = [[] for _ in rows]
    tracks: list[list[tuple[int, int]]] = [[] for _ in range(len(points))]
    for point, frame, (x, y) in zip(points.point.tolist(), points.frame.tolist(), points.pixel.tolist(), strict=True):
        tracks[point].append((frame + 1, len(seen[frame])))
        seen[frame].append((x, y, point + 1))
    values = zip(points.points.tolist(), points.colors.tolist(), points.error.tolist(), tracks, strict=True)
    return _Model(
        ColmapCamera(1, "PINHOLE", (width, height), (fx * width, fy * height, cx * width, cy * height)),
        [ColmapImage(i, tuple(row), 1, name) for i, (row, name) in enumerate(zip(rows, pictures, strict=True), 1)],
        list(seen),
        list(values),
    )


def _text_points(model: _Model) -> bytes:
    lines = ["# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)"]
    for number, (xyz, rgb, error, track) in enumerate(model.points, 1):
        places = " ".join(f"{image} {place}" for image, place in track)
        lines.append(f"{number} {as_words(xyz)} {rgb[0]} {rgb[1]} {rgb[2]} {error:.6g} {places}")
    return as_lines(lines)


def _bytes_points(model: _Model) -> bytes:
    parts = [struct.pack("<Q", len(model.points))]
    for number, (xyz, rgb, error, track) in enumerate(model.points, 1):
        parts.append(struct.pack("<Q3d3Bd", number, *xyz, *rgb, error) + struct.pack("<Q", len(track)))
        parts += [struct.pack("<ii", image, place) for image, place in track]
    return b"".join(parts)
