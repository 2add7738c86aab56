"""`points.ply`: coloured points with a confidence each (MeshLab, CloudCompare, trimesh); and tables of vertices at all.

Written are binary little-endian files; read are also ASCII and big-endian ones, with other properties beside, in any
order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from plyfile import PlyData, PlyElement, PlyParseError
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically

_POSITION, _COLOR = ("x", "y", "z"), ("red", "green", "blue")
_VERTEX = np.dtype([*((name, "<f4") for name in _POSITION), *((name, "u1") for name in _COLOR), ("confidence", "<f4")])


@dataclass(frozen=True)
class PointCloud:
    """Coloured points.

    Args:
        points: in the world of the cameras they were found with, in its scale.
        colors: RGB.
        confidence: 0 to 1.
    """

    points: Float32[Tensor, "point 3"]
    colors: UInt8[Tensor, "point 3"]
    confidence: Float32[Tensor, "point"]

    def __len__(self) -> int:
        return len(self.points)

    def select(self, chosen: Tensor) -> "PointCloud":
        """Some of the points.

        Args:
            chosen: a mask or indices.
        """
        return PointCloud(self.points[chosen], self.colors[chosen], self.confidence[chosen])


def write_ply(path: Path, cloud: PointCloud) -> None:
    """Writes x, y, z, confidence as float32 and red, green, blue as bytes.

    Args:
        path: the file.
        cloud: the points.
    """
    vertices = np.empty(len(cloud), _VERTEX)
    for names, values in {_POSITION: cloud.points, _COLOR: cloud.colors}.items():
        for column, name in enumerate(names):
            vertices[name] = values[:, column].cpu().numpy()
    vertices["confidence"] = cloud.confidence.cpu().numpy()
    write_vertices(path, vertices)


def read_ply(path: str | Path) -> PointCloud:
    """The points of a file, which may be from another program.

    Args:
        path: a PLY file whose vertices have x, y, z, and red, green, blue as bytes. Where they have no `confidence`, it
            is 1.

    Raises:
        UserError: when the file is missing, damaged or has other properties.
    """
    what = "a point cloud: positions x, y, z and colours red, green, blue as bytes are expected"
    vertices = read_vertices(path, (*_POSITION, *_COLOR), what)
    if any(vertices[name].dtype != np.uint8 for name in _COLOR):
        raise UserError(f"{str(path)!r} cannot be read as {what}.")
    confidence = vertices.get("confidence", np.ones(len(vertices["x"])))
    return PointCloud(
        torch.from_numpy(np.stack([vertices[name] for name in _POSITION], -1).astype(np.float32)),
        torch.from_numpy(np.stack([vertices[name] for name in _COLOR], -1)),
        torch.from_numpy(confidence.astype(np.float32)),
    )


def write_vertices(path: Path, vertices: np.ndarray) -> None:
    """Writes a table of vertices as binary little endian.

    Args:
        path: the file.
        vertices: a structured array; each field becomes a property.
    """
    element = PlyElement.describe(vertices, "vertex")
    write_atomically(path, lambda temporary: PlyData([element], byte_order="<").write(str(temporary)))


def read_vertices(path: str | Path, required: Sequence[str], what: str) -> Mapping[str, np.ndarray]:
    """The properties of the vertices of a PLY file, by name; those that are lists are left out.

    Args:
        path: ASCII or binary.
        required: properties that must be there.
        what: is read, and what is expected of it, for the message.

    Raises:
        UserError: when the file is missing or damaged, or lacks a property.
    """
    try:
        table = PlyData.read(str(path), mmap=False)["vertex"].data
        missing = [name for name in required if name not in (table.dtype.names or ()) or table[name].dtype.hasobject]
        if missing:
            raise ValueError(f"its vertices have no {', '.join(missing)}")
    except (OSError, PlyParseError, ValueError, KeyError, OverflowError, MemoryError) as error:
        raise UserError(f"{str(path)!r} cannot be read as {what} ({error}).") from error
    return {name: table[name] for name in table.dtype.names if not table[name].dtype.hasobject}
