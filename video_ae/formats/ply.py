"""`points.ply`: coloured points with a confidence each (MeshLab, CloudCompare, trimesh); and tables of vertices at all.

Written are binary little-endian files; read are also ASCII and big-endian ones, with other properties beside, in any
order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_bytes_atomically
from video_ae.types import CountedRecord

_POSITION, _COLOR = ("x", "y", "z"), ("red", "green", "blue")
_VERTEX = np.dtype([*((name, "<f4") for name in _POSITION), *((name, "u1") for name in _COLOR), ("confidence", "<f4")])


@dataclass(frozen=True)
class PointCloud(CountedRecord):
    """Coloured points.

    Args:
        points: in the world of the cameras they were found with, in its scale.
        colors: RGB.
        confidence: 0 to 1.
    """

    axis = "point"
    points: Float32[Tensor, "point 3"]
    colors: UInt8[Tensor, "point 3"]
    confidence: Float32[Tensor, "point"]


def write_ply(path: Path, cloud: PointCloud) -> None:
    """Writes x, y, z, confidence as float32 and red, green, blue as bytes.

    Args:
        path: the file.
        cloud: the points.
    """
    points, colors, confidence = (one.cpu().numpy() for one in (cloud.points, cloud.colors, cloud.confidence))
    write_vertices(path, np.rec.fromarrays([*points.T, *colors.T, confidence], _VERTEX))


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
    colors = torch.from_numpy(np.stack([vertices[name] for name in _COLOR], -1))
    return PointCloud(columns(vertices, _POSITION), colors, torch.from_numpy(confidence.astype(np.float32)))


def write_vertices(path: Path, vertices: np.ndarray) -> None:
    """Writes a table of vertices as binary little endian.

    Args:
        path: the file.
        vertices: a structured array of little-endian float32 and bytes; each field becomes a property.
    """
    names = {"<f4": "float", "|u1": "uchar"}
    fields = "".join(f"property {names[vertices.dtype[name].str]} {name}\n" for name in vertices.dtype.names or ())
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n{fields}end_header\n"
    write_bytes_atomically(path, header.encode() + vertices.tobytes())


def read_vertices(path: str | Path, required: Sequence[str], what: str) -> Mapping[str, np.ndarray]:
    """The properties of the vertices of a PLY file, by name.

    Args:
        path: ASCII or binary (Turk 1994, "The PLY polygon file format").
        required: properties that must be there.
        what: is read, and what is expected of it, for the message.

    Raises:
        UserError: when the file is missing or damaged, or lacks a property.
    """
    try:
        content = Path(path).read_bytes()
        head, end, body = content.partition(b"end_header")
        lines = head.decode("ascii").splitlines()
        if not end or not lines or lines[0].strip() != "ply":
            raise ValueError("it does not begin with the header of a PLY file")
        table = _vertex_table(lines[1:], body.partition(b"\n")[2])
        missing = [name for name in required if name not in (table.dtype.names or ())]
        if missing:
            raise ValueError(f"its vertices have no {', '.join(missing)}")
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise UserError(f"{str(path)!r} cannot be read as {what} ({error}).") from error
    return {name: table[name] for name in table.dtype.names or ()}


def columns(vertices: Mapping[str, np.ndarray], names: Sequence[str]) -> Float32[Tensor, "vertex column"]:
    """Some properties of vertices, side by side.

    Args:
        vertices: of `read_vertices`.
        names: of the properties.
    """
    return torch.from_numpy(np.stack([vertices[name] for name in names], -1).astype(np.float32))


def _vertex_table(header: list[str], body: bytes) -> np.ndarray:
    """The vertices as a structured array; ValueError, IndexError or OverflowError where it is damaged."""
    words = [line.split() for line in header if line.strip() and line.split()[0] not in ("comment", "obj_info")]
    form = next((line[1] for line in words if line[0] == "format"), "unknown")
    if form not in _ORDERS:
        raise ValueError(f"its format is {form}")
    elements = [number for number, line in enumerate(words) if line[0] == "element"]
    if not elements or words[elements[0]][1] != "vertex":
        raise ValueError("its vertices do not come first, or it has none")
    count = int(words[elements[0]][2])
    properties = list(takewhile(lambda line: line[0] == "property", words[elements[0] + 1 :]))
    if any(line[1] == "list" for line in properties):
        raise ValueError("its vertices hold lists")
    layout = np.dtype([(line[-1], _ORDERS[form] + _TYPES.get(line[1], "V")) for line in properties])
    if count < 0:
        raise ValueError(f"it has {count} vertices")
    if form != "ascii":
        if len(body) < count * layout.itemsize:
            raise ValueError("it is cut off")
        return np.frombuffer(body, layout, count)
    rows = [tuple(map(float, line.split())) for line in body.decode("ascii").splitlines()[:count]]
    if len(rows) < count or any(len(row) != len(properties) for row in rows):
        raise ValueError("it is cut off, or a line has another number of values")
    return np.array(rows, layout)


_ORDERS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
