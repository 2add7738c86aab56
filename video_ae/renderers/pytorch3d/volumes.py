"""PyTorch3D's cameras and volumes of a scene. PyTorch3D is imported on the first use only (docs/pytorch3d.md)."""

from dataclasses import dataclass
from typing import Any

from video_ae.renderers.pytorch3d.bridge import pytorch3d_cameras, pytorch3d_volumes
from video_ae.renderers.pytorch3d.resampling import resample_frustum, resampling_psnr
from video_ae.types import Cameras, MultiplaneVolume


@dataclass(frozen=True)
class VolumesExport:
    """A resampled volume in PyTorch3D's class.

    Args:
        volumes: `pytorch3d.structures.Volumes`, density per unit of length.
        psnr: what the resampling costs, in decibels (`resampling_psnr`).
    """

    volumes: Any
    psnr: float


def export_cameras(cameras: Cameras, height: int, width: int) -> Any:
    """`pytorch3d.renderer.PerspectiveCameras` (+X left, +Y up).

    Args:
        cameras: without batch axis; float32, in which PyTorch3D computes.
        height, width: of the rendered images, in pixels.

    Raises:
        UserError: PyTorch3D is not installed.
    """
    return pytorch3d_cameras(cameras, height, width)


def export_volumes(
    structure: MultiplaneVolume, resolution: tuple[int, int, int] = (128, 96, 128), farthest: float | None = None
) -> VolumesExport:
    """A multiplane volume as `Volumes` on a Cartesian grid, and the error of the resampling.

    Args:
        structure: the volume (batch of one).
        resolution: (columns, rows, layers) of the grid.
        farthest: depth at which the grid ends (see `resample_frustum`).

    Raises:
        UserError: PyTorch3D is not installed.
    """
    voxels = resample_frustum(structure, resolution, farthest)
    return VolumesExport(pytorch3d_volumes(voxels), resampling_psnr(structure, voxels))
