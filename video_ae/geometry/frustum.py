"""Where the voxels of a camera's frustum are seen by other cameras.

A frustum voxel is a pixel of its reference camera times an inverse-depth plane. Points are kept homogeneous,
`ray + inverse_depth * translation`, so that planes at infinity (inverse depth 0) need no special case
(multiplane images: Szeliski & Golland 1999; Zhou et al. 2018).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.geometry.pinhole import camera_rays
from video_ae.geometry.precision import full_precision
from video_ae.geometry.se3 import invert
from video_ae.types import Cameras

IN_FRONT = 0.05  # of homogeneous depth: voxels nearer to a camera's own plane than this are not seen by it


def inverse_depth_planes(nearest: Float[Tensor, "batch"], planes: int) -> Float[Tensor, "batch {planes}"]:
    """Planes evenly spaced in inverse depth from the nearest one almost to infinity.

    Args:
        nearest: 1 / z of the nearest plane.
        planes: their number.

    >>> [round(x, 2) for x in inverse_depth_planes(torch.tensor([2.0]), 4)[0].tolist()]
    [2.0, 1.5, 1.0, 0.5]
    """
    steps = torch.arange(planes, 0, -1, device=nearest.device, dtype=nearest.dtype) / planes
    return nearest[:, None] * steps


def project_frustum(
    reference: Cameras, inverse_depth: Float[Tensor, "batch plane"], views: Cameras, rows: int, columns: int
) -> tuple[Float[Tensor, "batch view plane {rows} {columns} 2"], Bool[Tensor, "batch view plane {rows} {columns}"]]:
    """Image coordinates in each view of all voxels of the reference camera's frustum, and whether they are in front.

    Args:
        reference: one camera per batch item.
        inverse_depth: 1 / z of the frustum's planes, in the reference camera's axes.
        views: any number of cameras per batch item.
        rows, columns: voxels of a plane.
    """
    return _projected(_voxels_in_views(reference, inverse_depth, views, rows, columns), views)


def project_frustum_with_depth(
    reference: Cameras, inverse_depth: Float[Tensor, "batch plane"], views: Cameras, rows: int, columns: int
) -> tuple[
    Float[Tensor, "batch view plane {rows} {columns} 2"],
    Bool[Tensor, "batch view plane {rows} {columns}"],
    Float[Tensor, "batch view plane {rows} {columns}"],
]:
    """What `project_frustum` returns, and 1 / z of the voxels in each view, valid only where they are in front.

    Args:
        reference: one camera per batch item.
        inverse_depth: 1 / z of the frustum's planes, in the reference camera's axes.
        views: any number of cameras per batch item.
        rows, columns: voxels of a plane.
    """
    points = _voxels_in_views(reference, inverse_depth, views, rows, columns)
    view_inverse_depth = inverse_depth[:, None, :, None, None] / points[..., 2].clamp_min(IN_FRONT)
    return *_projected(points, views), view_inverse_depth


def _projected(points: Tensor, views: Cameras) -> tuple[Tensor, Tensor]:
    focal, centre = views.intrinsics[:, :, None, None, None].split(2, -1)
    coordinates = points[..., :2] / points[..., 2:].clamp_min(IN_FRONT) * focal + centre
    return coordinates, points[..., 2] > IN_FRONT


@full_precision
def _voxels_in_views(reference: Cameras, inverse_depth: Tensor, views: Cameras, rows: int, columns: int) -> Tensor:
    """Homogeneous points in each view's axes: their inverse depth in the reference is the fourth number."""
    view_from_reference = invert(views.world_from_camera) @ reference.world_from_camera  # [b, v, 4, 4]
    rays = camera_rays(reference.intrinsics[:, 0], rows, columns)  # [b, h, w, 3]
    rotated = torch.einsum("bvij,bhwj->bvhwi", view_from_reference[..., :3, :3], rays)
    shift = torch.einsum("bp,bvi->bvpi", inverse_depth, view_from_reference[..., :3, 3])
    return rotated[:, :, None] + shift[:, :, :, None, None]


@full_precision
def intersect_frustum(
    reference: Cameras, inverse_depth: Float[Tensor, "batch plane"], views: Cameras, height: int, width: int
) -> tuple[Float[Tensor, "batch view plane {height} {width} 2"], Float[Tensor, "batch view plane {height} {width}"]]:
    """Where the rays of each view's pixels meet the planes of the reference camera.

    Args:
        reference: one camera per batch item.
        inverse_depth: 1 / z of the planes, in the reference camera's axes.
        views: any number of cameras per batch item.
        height, width: pixels of a view.

    Returns:
        Image coordinates in the reference camera, and 1 / z of the intersections along z of the view (not positive
        where the plane lies behind the view).
    """
    reference_from_view = invert(reference.world_from_camera) @ views.world_from_camera
    rays = camera_rays(views.intrinsics, height, width)  # [b, v, h, w, 3]
    rotated = torch.einsum("bvij,bvhwj->bvhwi", reference_from_view[..., :3, :3], rays)[:, :, None]
    translation = reference_from_view[..., :3, 3][:, :, None, None, None]
    q = inverse_depth[:, None, :, None, None]
    # With z in the reference equal to 1 / q, the ray's parameter is (1 / q - t_z) / rotated_z; times q, it is:
    forward = rotated[..., 2].clamp_min(1e-3)
    scaled = (1 - q * translation[..., 2]) / forward
    xy = scaled[..., None] * rotated[..., :2] + q[..., None] * translation[..., :2]
    focal, centre = reference.intrinsics[:, :, None, None, None].split(2, -1)
    ahead = (scaled > 1e-3) & (rotated[..., 2] > 1e-3)
    view_inverse_depth = torch.where(ahead, q / scaled.clamp_min(1e-3), torch.zeros_like(scaled))
    return xy * focal + centre, view_inverse_depth


MARGIN = 0.15  # widths and heights of an image that a keyframe's code reaches beyond its frame on every side


def widened_camera(camera: Cameras, width: int, height: int) -> tuple[Cameras, tuple[int, int]]:
    """A keyframe's camera with a wider view, whose margin other frames fill, so that views beside it have no borders.

    Args:
        camera: of the keyframe.
        width, height: of its image, in pixels.

    Returns:
        The camera, and the (width, height) at which its pixels are as large as they were.
    """
    intrinsics = camera.intrinsics.clone()
    intrinsics[..., :2] /= 1 + 2 * MARGIN
    intrinsics[..., 2:] = (intrinsics[..., 2:] + MARGIN) / (1 + 2 * MARGIN)
    size = round(width * (1 + 2 * MARGIN)), round(height * (1 + 2 * MARGIN))
    return Cameras(camera.world_from_camera, intrinsics), size
