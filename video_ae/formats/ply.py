"""`points.ply`: coloured points with a confidence each, binary little endian (MeshLab, CloudCompare, trimesh)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from video_ae.formats.vertices import read_vertices, write_vertices

_VERTEX = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("red", "u1"),
        ("green", "u1"),
        ("blue", "u1"),
        ("confidence", "<f4"),
    ]
)


@dataclass(frozen=True)
class PointCloud:
    """points: in the world of the cameras they were found with, in its scale. confidence: 0 to 1."""

    points: Float32[Tensor, "point 3"]
    colors: UInt8[Tensor, "point 3"]
    confidence: Float32[Tensor, "point"]

    def __len__(self) -> int:
        return len(self.points)

    def select(self, chosen: Tensor) -> "PointCloud":
        """Some of the points: a mask or numbers."""
        return PointCloud(self.points[chosen], self.colors[chosen], self.confidence[chosen])


def write_ply(path: Path, cloud: PointCloud) -> None:
    """Writes x, y, z, confidence as float32 and red, green, blue as bytes."""
    vertices = np.empty(len(cloud), _VERTEX)
    for names, values in {"xyz": cloud.points, ("red", "green", "blue"): cloud.colors}.items():
        for column, name in enumerate(names):
            vertices[name] = values[:, column].cpu().numpy()
    vertices["confidence"] = cloud.confidence.cpu().numpy()
    write_vertices(path, vertices)


def read_ply(path: str | Path) -> PointCloud:
    """The points that `write_ply` wrote. Raises UserError for a missing, cut-off or differently laid out file."""
    vertices = read_vertices(path, _VERTEX, "a point cloud: give a points.ply")
    columns = {name: torch.from_numpy(vertices[name].copy()) for name in _VERTEX.names or ()}
    return PointCloud(
        torch.stack([columns[name] for name in "xyz"], -1),
        torch.stack([columns[name] for name in ("red", "green", "blue")], -1),
        columns["confidence"],
    )
