"""PyTorch3D's cameras and volumes of a scene. PyTorch3D is imported on the first use only (docs/pytorch3d.md)."""

from dataclasses import dataclass
from typing import Any

from video_ae.renderers.pytorch3d.bridge import pytorch3d_cameras, pytorch3d_volumes
from video_ae.renderers.pytorch3d.resampling import resample_frustum, resampling_psnr
from video_ae.types import Cameras, MultiplaneVolume


@dataclass(frozen=True)
class VolumesExport:
    """volumes: `pytorch3d.structures.Volumes`, density per unit of length. psnr: what the resampling costs, in decibels
    between pictures of the frustum and of the volume from the code's own camera (`resampling_psnr`)."""

    volumes: Any
    psnr: float


def export_cameras(cameras: Cameras, height: int, width: int) -> Any:
    """`pytorch3d.renderer.PerspectiveCameras` (+X left, +Y up), for pictures of height x width pixels.

    cameras: without batch axis; float32, which PyTorch3D computes in.

    Raises UserError where PyTorch3D is not installed.
    """
    return pytorch3d_cameras(cameras, height, width)


def export_volumes(
    structure: MultiplaneVolume, resolution: tuple[int, int, int] = (128, 96, 128), farthest: float | None = None
) -> VolumesExport:
    """A code (batch of one) as `Volumes` on a Cartesian grid of (columns, rows, layers), and the error of that.

    farthest: depth at which the grid ends (`resample_frustum`). Raises UserError where PyTorch3D is not installed.
    """
    voxels = resample_frustum(structure, resolution, farthest)
    return VolumesExport(pytorch3d_volumes(voxels), resampling_psnr(structure, voxels))
