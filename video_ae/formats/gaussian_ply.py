"""`gaussians.ply`: 3D Gaussians in the layout of 3D Gaussian Splatting (Kerbl et al. 2023), which splat viewers read.

Vertex properties, float32, binary little endian: x y z, nx ny nz (zero), f_dc_0..2 (spherical harmonics of degree 0:
colour = 0.5 + 0.28209479 f_dc), opacity (logit), scale_0..2 (natural logarithm of the standard deviations),
rot_0..3 (quaternion, w first). No f_rest: colours do not depend on the direction. Files of other programs are read as
well; their f_rest is ignored.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from video_ae.formats.ply import columns, read_vertices, write_vertices
from video_ae.geometry.se3 import quaternion_from_rotation, rotation_from_quaternion
from video_ae.types import CountedRecord

SH_DEGREE_0 = 0.28209479177387814  # 1 / (2 sqrt(pi)), the constant harmonic
_POSITION, _NORMAL = ("x", "y", "z"), ("nx", "ny", "nz")
_COLOR = tuple(f"f_dc_{i}" for i in range(3))
_SCALE = tuple(f"scale_{i}" for i in range(3))
_QUATERNION = tuple(f"rot_{i}" for i in range(4))
_VERTEX = np.dtype([(name, "<f4") for name in (*_POSITION, *_NORMAL, *_COLOR, "opacity", *_SCALE, *_QUATERNION)])


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


def write_gaussians(path: Path, cloud: GaussianCloud) -> None:
    """Writes Gaussians; 68 bytes each.

    Args:
        path: the file.
        cloud: the Gaussians.
    """
    colors, opacity = (cloud.colors - 0.5) / SH_DEGREE_0, torch.logit(cloud.opacity)[:, None]
    quaternion = quaternion_from_rotation(cloud.rotation.double()).roll(1, -1)
    columns = [cloud.centres, torch.zeros_like(cloud.centres), colors, opacity, cloud.scale.log(), quaternion]
    values = torch.cat([column.float() for column in columns], 1).cpu().numpy()
    write_vertices(path, np.ascontiguousarray(values, "<f4").view(_VERTEX).reshape(-1))


def read_gaussians(path: str | Path) -> GaussianCloud:
    """The Gaussians of a file, which may be from another program.

    Args:
        path: a PLY file in this layout; normals may be missing, and f_rest and other properties are ignored.

    Raises:
        UserError: when the file is missing, damaged or lacks a property.
    """
    required = (*_POSITION, *_COLOR, "opacity", *_SCALE, *_QUATERNION)
    vertices = read_vertices(path, required, "Gaussians: the layout of 3D Gaussian Splatting is expected")
    groups = (_POSITION, _COLOR, ("opacity",), _SCALE, _QUATERNION)
    centres, colors, opacity, scale, quaternion = (columns(vertices, names) for names in groups)
    rotation = rotation_from_quaternion(quaternion.roll(-1, -1).double()).float()
    return GaussianCloud(centres, 0.5 + SH_DEGREE_0 * colors, opacity[:, 0].sigmoid(), scale.exp(), rotation)
