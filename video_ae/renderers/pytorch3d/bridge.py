"""The bridge to PyTorch3D: its ray marcher instead of ours, our cameras and voxels in its classes.

PyTorch3D is optional and imported on the first use. Its pure-Python part is enough (docs/pytorch3d.md); a full build
works the same.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.renderers.pytorch3d.cartesian import CartesianVoxels
from video_ae.types import Cameras


class _MissingExtension(ModuleType):
    """Stands in for the compiled `pytorch3d._C`, which PyTorch3D imports even where it is not used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*args, **kwargs):
            raise UserError(
                f"pytorch3d's function {name} is compiled, and only its pure-Python part is installed: build pytorch3d "
                "from source (see docs/pytorch3d.md)."
            )

        return missing


def load_pytorch3d(part: str = "renderer") -> ModuleType:
    """A module of pytorch3d, with or without the compiled extension.

    Args:
        part: its name.

    Raises:
        UserError: pytorch3d is not installed.
    """
    try:
        package = importlib.import_module("pytorch3d")
    except ImportError as error:
        raise UserError(
            "pytorch3d was asked for and is not installed: run `make pytorch3d` (seconds, nothing is compiled), or "
            "choose the native ray marcher."
        ) from error
    try:
        importlib.import_module("pytorch3d._C")
    except ImportError:
        stub = _MissingExtension("pytorch3d._C")
        sys.modules["pytorch3d._C"] = stub
        vars(package)["_C"] = stub
    return importlib.import_module(f"pytorch3d.{part}")


def march_with_pytorch3d(
    opacity: Float[Tensor, "*rays sample"], features: Float[Tensor, "*rays sample channel"]
) -> tuple[Float[Tensor, "*rays channel"], Float[Tensor, "*rays"]]:
    """`video_ae.renderers.compositing.march`, computed by PyTorch3D's `EmissionAbsorptionRaymarcher`.

    Args:
        opacity: 0 to 1, nearest sample first.
        features: what each sample emits.

    Raises:
        UserError: pytorch3d is not installed.
    """
    seen = load_pytorch3d().EmissionAbsorptionRaymarcher()(opacity[..., None], features)
    return seen[..., :-1], seen[..., -1]


def pytorch3d_cameras(cameras: Cameras, height: int, width: int) -> Any:
    """PyTorch3D's `PerspectiveCameras` (+X left, +Y up, NDC).

    Args:
        cameras: without batch axis; float32, in which PyTorch3D computes.
        height, width: of the rendered images, in pixels.

    Raises:
        UserError: pytorch3d is not installed.
    """
    convert = load_pytorch3d("utils").cameras_from_opencv_projection
    camera_from_world = cameras.camera_from_world
    size = torch.tensor([[height, width]], device=camera_from_world.device).expand(len(cameras), 2)
    matrix = cameras.K(width, height)
    return convert(camera_from_world[:, :3, :3], camera_from_world[:, :3, 3], matrix, size)


def pytorch3d_volumes(voxels: CartesianVoxels) -> Any:
    """PyTorch3D's `Volumes` with our density (per unit of length, not yet an opacity) and features.

    `align_corners=True` there means that -1 and 1 are the centres of the outer voxels; it names the same points and
    the same interpolation as our `align_corners=False`, in which they are the outer faces. Without it PyTorch3D (0.7)
    would shrink the grid by (n - 1) / n.

    Args:
        voxels: a grid along the world's axes.

    Raises:
        UserError: pytorch3d is not installed.
    """
    return load_pytorch3d("structures").Volumes(
        densities=voxels.density[:, None],
        features=voxels.features,
        voxel_size=voxels.voxel_size,
        volume_translation=-voxels.centre,
        align_corners=True,
    )
