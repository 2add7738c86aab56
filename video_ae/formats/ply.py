"""PLY files: `points.ply` for MeshLab, CloudCompare and trimesh, `gaussians.ply` for viewers of Gaussian splats.

Written are binary little-endian files; read are also ASCII and big-endian ones, with other properties beside, in any
order.

Points have a position, a colour and a confidence each. Gaussians are in the layout of 3D Gaussian Splatting (Kerbl et
al. 2023): float32 x y z, nx ny nz (zero), f_dc_0..2 (spherical harmonics of degree 0: colour = 0.5 + 0.28209479 f_dc),
opacity (logit), scale_0..2 (natural logarithm of the standard deviations), rot_0..3 (quaternion, w first). Colours do
not depend on the direction: f_rest_0..44 are left out, or zero. Files of other programs are read as well; their f_rest
is ignored.
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
from video_ae.geometry.se3 import quaternion_from_rotation, rotation_from_quaternion
from video_ae.tensor_records import CountedRecord

_POSITION, _COLOR = ("x", "y", "z"), ("red", "green", "blue")
_POINT = np.dtype([*((name, "<f4") for name in _POSITION), *((name, "u1") for name in _COLOR), ("confidence", "<f4")])
SH_DEGREE_0 = 0.28209479177387814  # 1 / (2 sqrt(pi)), the constant harmonic
_NORMAL = ("nx", "ny", "nz")
_HARMONIC = tuple(f"f_dc_{i}" for i in range(3))
_SCALE = tuple(f"scale_{i}" for i in range(3))
_QUATERNION = tuple(f"rot_{i}" for i in range(4))


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


@dataclass(frozen=True)
class GaussianCloud(CountedRecord):
    """Gaussians in the world of the cameras, in its scale.

    Args:
        centres: means.
        colors: RGB in [0, 1].
        opacity: 0 to 1, both excluded, at the centre.
        scale: standard deviations along the columns of `rotation`.
        rotation: principal axes.
    """

    axis = "gaussian"
    centres: Float32[Tensor, "gaussian 3"]
    colors: Float32[Tensor, "gaussian 3"]
    opacity: Float32[Tensor, "gaussian"]
    scale: Float32[Tensor, "gaussian 3"]
    rotation: Float32[Tensor, "gaussian 3 3"]


def write_ply(path: Path, cloud: PointCloud) -> None:
    """Writes x, y, z, confidence as float32 and red, green, blue as bytes.

    Args:
        path: the file.
        cloud: the points.
    """
    points, colors, confidence = (one.cpu().numpy() for one in (cloud.points, cloud.colors, cloud.confidence))
    write_vertices(path, np.rec.fromarrays([*points.T, *colors.T, confidence], _POINT))


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


def write_gaussians(path: Path, cloud: GaussianCloud, degree: int = 0) -> None:
    """Writes Gaussians; 68 bytes each, or 248 with harmonics of degree 3.

    Args:
        path: the file.
        cloud: the Gaussians.
        degree: of the spherical harmonics, 0 or 3. Those above degree 0 are zero: programs that insist on f_rest_0 to
            f_rest_44, as the reference implementation writes them, show the same.
    """
    colors, opacity = (cloud.colors - 0.5) / SH_DEGREE_0, torch.logit(cloud.opacity)[:, None]
    quaternion = quaternion_from_rotation(cloud.rotation.double()).roll(1, -1)
    rest = tuple(f"f_rest_{i}" for i in range(3 * ((degree + 1) ** 2 - 1)))
    zeros = torch.zeros_like(cloud.centres), cloud.centres.new_zeros(len(cloud), len(rest))
    columns = [cloud.centres, zeros[0], colors, zeros[1], opacity, cloud.scale.log(), quaternion]
    values = torch.cat([column.float() for column in columns], 1).cpu().numpy()
    names = (*_POSITION, *_NORMAL, *_HARMONIC, *rest, "opacity", *_SCALE, *_QUATERNION)
    write_vertices(path, np.ascontiguousarray(values, "<f4").view([(name, "<f4") for name in names]).reshape(-1))


def read_gaussians(path: str | Path) -> GaussianCloud:
    """The Gaussians of a file, which may be from another program.

    Args:
        path: a PLY file in this layout; normals may be missing, and f_rest and other properties are ignored.

    Raises:
        UserError: when the file is missing, damaged or lacks a property.
    """
    required = (*_POSITION, *_HARMONIC, "opacity", *_SCALE, *_QUATERNION)
    vertices = read_vertices(path, required, "Gaussians: the layout of 3D Gaussian Splatting is expected")
    groups = (_POSITION, _HARMONIC, ("opacity",), _SCALE, _QUATERNION)
    centres, colors, opacity, scale, quaternion = (columns(vertices, names) for names in groups)
    rotation = rotation_from_quaternion(quaternion.roll(-1, -1).double()).float()
    return GaussianCloud(centres, 0.5 + SH_DEGREE_0 * colors, opacity[:, 0].sigmoid(), scale.exp(), rotation)


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
    if unknown := [line[1] for line in properties if line[1] not in _TYPES]:
        raise ValueError(f"its vertices hold numbers of the type {unknown[0]}")
    layout = np.dtype([(line[-1], _ORDERS[form] + _TYPES[line[1]]) for line in properties])
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
