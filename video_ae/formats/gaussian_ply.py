"""`gaussians.ply`: 3D Gaussians in the layout of 3D Gaussian Splatting (Kerbl et al. 2023), which splat viewers read.

Vertex properties, float32, binary little endian: x y z, nx ny nz (zero), f_dc_0..2 (spherical harmonics of degree 0:
colour = 0.5 + 0.28209479 f_dc), opacity (logit), scale_0..2 (natural logarithm of the standard deviations),
rot_0..3 (quaternion, w first). No f_rest: colours do not depend on the direction.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from video_ae.formats.vertices import read_vertices, write_vertices
from video_ae.geometry.se3 import quaternion_from_rotation, rotation_from_quaternion

SH_DEGREE_0 = 0.28209479177387814  # 1 / (2 sqrt(pi)), the constant harmonic
_NAMES = (
    *("x", "y", "z", "nx", "ny", "nz"),
    *(f"f_dc_{i}" for i in range(3)),
    "opacity",
    *(f"scale_{i}" for i in range(3)),
    *(f"rot_{i}" for i in range(4)),
)
_VERTEX = np.dtype([(name, "<f4") for name in _NAMES])


@dataclass(frozen=True)
class GaussianCloud:
    """Gaussians in the world of the cameras, in its scale.

    opacity: 0 to 1, both excluded, at the centre. scale: standard deviations along the columns of `rotation`.
    colors: RGB in [0, 1].
    """

    centres: Float32[Tensor, "gaussian 3"]
    colors: Float32[Tensor, "gaussian 3"]
    opacity: Float32[Tensor, "gaussian"]
    scale: Float32[Tensor, "gaussian 3"]
    rotation: Float32[Tensor, "gaussian 3 3"]

    def __len__(self) -> int:
        return len(self.centres)

    def select(self, chosen: Tensor) -> "GaussianCloud":
        """Some of the Gaussians: a mask or numbers."""
        return GaussianCloud(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def join_gaussians(parts: list[GaussianCloud]) -> GaussianCloud:
    """All Gaussians of some clouds in one world."""
    return GaussianCloud(
        *(torch.cat([getattr(part, name) for part in parts]) for name in GaussianCloud.__dataclass_fields__)
    )


def write_gaussians(path: Path, cloud: GaussianCloud) -> None:
    """Writes the cloud; 68 bytes a Gaussian."""
    quaternion = quaternion_from_rotation(cloud.rotation.double()).roll(1, -1)
    columns = [
        cloud.centres,
        torch.zeros_like(cloud.centres),
        (cloud.colors - 0.5) / SH_DEGREE_0,
        torch.logit(cloud.opacity)[:, None],
        cloud.scale.log(),
        quaternion,
    ]
    values = torch.cat([column.float() for column in columns], 1).cpu().numpy()
    write_vertices(path, np.ascontiguousarray(values, "<f4").view(_VERTEX).reshape(-1))


def read_gaussians(path: str | Path) -> GaussianCloud:
    """The Gaussians that `write_gaussians` wrote. Raises UserError for a missing, cut-off or foreign file."""
    vertices = read_vertices(path, _VERTEX, "Gaussians: give a gaussians.ply")
    values = torch.from_numpy(vertices.view("<f4").reshape(-1, len(_NAMES)).copy())
    centres, _, harmonics, opacity, scale, quaternion = values.split([3, 3, 3, 1, 3, 4], 1)
    rotation = rotation_from_quaternion(quaternion.roll(-1, -1).double()).float()
    return GaussianCloud(centres, 0.5 + SH_DEGREE_0 * harmonics, opacity[:, 0].sigmoid(), scale.exp(), rotation)
