"""Gaussians in the smaller formats that splat viewers read, by libraries: needs `pip install 'video-ae[splats]'`.

* `gaussians.spz` (Niantic's SPZ 3, gzip; gsply): about 13 bytes a Gaussian. Positions in fixed point of 24 bits with
  up to 16 fractional bits, as many as the scene allows; scales in sixteenths of e, opacity and colours in bytes.
* `gaussians.compressed.ply` (PlayCanvas; gsply): 16 bytes a Gaussian, in chunks of 256 neighbours; positions and scales
  have 11, 10 and 11 bits of the chunk's own extent.
* `gaussians.glb` (glTF 2.0 with KHR_gaussian_splatting; pygltflib): 72 bytes a Gaussian, exact. Scales and opacities
  are plain. glTF's y points up, so the scene is turned by half a turn about z, as splat-transform turns it: x and y
  change sign.

The first two hold the world's axes as they are.
"""

import math
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically, write_bytes_atomically
from video_ae.formats.ply import SH_DEGREE_0, GaussianCloud
from video_ae.geometry.se3 import quaternion_from_rotation
from video_ae.threads import same_threads

_MOST_BITS, _INTEGER = 16, 2**23 - 1  # of an SPZ position: fractional bits, and the largest value
_HALF_TURN = torch.tensor([-1.0, -1.0, 1.0])  # about z
_FLOAT, _POINTS = 5126, 0  # glTF's numbers for float32 and for a mesh of points


def write_spz(path: Path, cloud: GaussianCloud) -> None:
    """Writes SPZ, version 3.

    Args:
        path: the file.
        cloud: the Gaussians.

    Raises:
        UserError: gsply is not installed, or the scene reaches further than SPZ can hold.
    """
    gsply = _library("gsply")
    far = cloud.centres.abs().max().item() if len(cloud) else 1.0
    bits = min(math.floor(math.log2(_INTEGER / max(far, 1e-9))), _MOST_BITS)
    if bits < 0:
        raise UserError(f"The scene reaches to {far:.3g}, and SPZ holds positions up to {_INTEGER}: export it as PLY.")
    with same_threads():
        write_atomically(path, lambda part: gsply.write_spz(part, _gsply_data(gsply, cloud), fractional_bits=bits))


def write_compressed_ply(path: Path, cloud: GaussianCloud) -> None:
    """Writes PlayCanvas' compressed PLY.

    Args:
        path: the file.
        cloud: the Gaussians.

    Raises:
        UserError: gsply is not installed.
    """
    gsply = _library("gsply")
    near = cloud.select(morton_order(cloud.centres.cpu()))  # chunks are small, and their steps with them
    with same_threads():
        write_bytes_atomically(path, gsply.compress_to_bytes(_gsply_data(gsply, near)))


def write_gltf(path: Path, cloud: GaussianCloud) -> None:
    """Writes binary glTF (Khronos 2025, "KHR_gaussian_splatting").

    Args:
        path: the file.
        cloud: the Gaussians.

    Raises:
        UserError: pygltflib is not installed.
    """
    gltf = _library("pygltflib")
    turn = torch.diag(_HALF_TURN)
    values = {
        "POSITION": cloud.centres.cpu() @ turn,
        "KHR_gaussian_splatting:ROTATION": quaternion_from_rotation(turn.double() @ cloud.rotation.cpu().double()),
        "KHR_gaussian_splatting:SCALE": cloud.scale,
        "KHR_gaussian_splatting:OPACITY": cloud.opacity[:, None],
        "KHR_gaussian_splatting:SH_DEGREE_0_COEF_0": harmonic(cloud),
        "COLOR_0": torch.cat([_linear(cloud.colors), cloud.opacity[:, None]], 1),  # for programs that draw points
    }
    columns = [np.ascontiguousarray(value.cpu().numpy(), "<f4") for value in values.values()]
    file = _gltf_file(gltf, dict(zip(values, range(len(values)), strict=True)), columns)
    write_bytes_atomically(path, b"".join(file.save_to_bytes()))


def _gltf_file(gltf: Any, attributes: dict[str, int], columns: list[np.ndarray]) -> Any:
    sizes = [column.nbytes for column in columns]
    types = {1: gltf.SCALAR, 3: gltf.VEC3, 4: gltf.VEC4}
    extension = {
        "kernel": "ellipse", "colorSpace": "srgb_rec709_display", "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }  # fmt: skip
    primitive = gltf.Primitive(
        attributes=gltf.Attributes(**attributes), mode=_POINTS, extensions={"KHR_gaussian_splatting": extension}
    )
    file = gltf.GLTF2(
        asset=gltf.Asset(generator="video-ae"),
        extensionsUsed=["KHR_gaussian_splatting"],
        scene=0, scenes=[gltf.Scene(nodes=[0])], nodes=[gltf.Node(mesh=0)], meshes=[gltf.Mesh(primitives=[primitive])],
        buffers=[gltf.Buffer(byteLength=sum(sizes))],
        bufferViews=[
            gltf.BufferView(buffer=0, byteOffset=sum(sizes[:number]), byteLength=size, target=gltf.ARRAY_BUFFER)
            for number, size in enumerate(sizes)
        ],
        accessors=[
            gltf.Accessor(bufferView=number, componentType=_FLOAT, count=len(column), type=types[column.shape[1]])
            for number, column in enumerate(columns)
        ],
    )  # fmt: skip
    if len(columns[0]):
        file.accessors[0].min, file.accessors[0].max = (edge(columns[0], 0).tolist() for edge in (np.min, np.max))
    file.set_binary_blob(b"".join(column.tobytes() for column in columns))
    return file


def _gsply_data(gsply: Any, cloud: GaussianCloud) -> Any:
    array = lambda tensor: np.ascontiguousarray(tensor.cpu().numpy(), np.float32)  # noqa: E731
    quaternion = quaternion_from_rotation(cloud.rotation.double()).roll(1, -1)  # w first
    return gsply.GSData.from_arrays(
        array(cloud.centres), array(cloud.scale.log()), array(quaternion), array(torch.logit(cloud.opacity)),
        array(harmonic(cloud)), format="ply", sh_degree=0,
    )  # fmt: skip


def morton_order(points: Float[Tensor, "point 3"]) -> Int[Tensor, "point"]:
    """An order in which neighbours follow each other (Morton 1966), of ranks, so that far points do not matter.

    Args:
        points: any.
    """
    ranks = points.argsort(0).argsort(0) * 1024 // max(len(points), 1)
    bits = [(ranks[:, axis] >> bit & 1) << (3 * bit + axis) for bit in range(10) for axis in range(3)]
    return torch.stack(bits).sum(0).argsort(stable=True)


def harmonic(cloud: GaussianCloud) -> Float[Tensor, "gaussian 3"]:
    """Spherical harmonics of degree 0.

    Args:
        cloud: whose colours they say.
    """
    return (cloud.colors - 0.5) / SH_DEGREE_0


def _linear(colors: Float[Tensor, "gaussian 3"]) -> Float[Tensor, "gaussian 3"]:
    """Light of sRGB values (IEC 61966-2-1), as glTF has it in COLOR_0; the harmonics stay as they are seen."""
    return torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def need_library(name: str) -> None:
    """Says at once where a library is missing: what is to be written takes minutes to compute.

    Args:
        name: of the library.

    Raises:
        UserError: it is not installed.
    """
    if find_spec(name) is None:
        raise _missing(name)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise _missing(name) from error


def _missing(name: str) -> UserError:
    return UserError(f"This format of Gaussians needs {name}: pip install 'video-ae[splats]'.")
