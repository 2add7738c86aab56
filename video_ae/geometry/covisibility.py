"""How far apart two views of one scene are, measured in the picture."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.pinhole import camera_rays, project, transform
from video_ae.geometry.se3 import invert
from video_ae.types import Cameras

_GRID = (4, 5)  # rows and columns of the points that are followed
_FEATHER = 0.02  # of the picture: width over which what lies inside fades out at the border
NEAR_SURFACES = 2.0  # times the typical inverse depth
_SURFACES = (0.25, 1.0, NEAR_SURFACES)  # times the typical inverse depth
_LOST = 1.0  # picture widths: the displacement that a point behind the camera counts


def view_displacement(
    views: Cameras, inverse_depth: Float[Tensor, "view"], others: Cameras
) -> Float[Tensor, "view other"]:
    """Mean distance, in picture widths, that the points of each view move when looked at from each other view.

    views, others: cameras without batch axis; inverse_depth: typical 1 / z of each view's scene. Points that leave the
    picture count by where they would land, points behind the other camera count one width.

    >>> from video_ae.geometry.pinhole import pinhole_intrinsics
    >>> still = Cameras(torch.eye(4)[None], pinhole_intrinsics(torch.tensor(1.0), 64, 48)[None])
    >>> view_displacement(still, torch.ones(1), still).item()
    0.0
    """
    rays = camera_rays(views.intrinsics, *_GRID).flatten(1, 2)  # [view, point, 3]
    other_from_view = invert(others.world_from_camera)[None] @ views.world_from_camera[:, None]
    turned = torch.einsum("voij,vpj->vopi", other_from_view[..., :3, :3], rays)
    points = turned + (inverse_depth[:, None, None] * other_from_view[..., :3, 3])[:, :, None]
    xy = points[..., :2] / points[..., 2:].clamp_min(0.05)
    moved = (xy - rays[:, None, :, :2]) * others.intrinsics[None, :, None, :1]
    distance = torch.where(points[..., 2] > 0.05, moved.norm(dim=-1), torch.full_like(points[..., 2], _LOST))
    return distance.clamp_max(_LOST).mean(-1)


def viewpoint_distance(
    views: Cameras, inverse_depth: Float[Tensor, "view"], others: Cameras
) -> Float[Tensor, "view other"]:
    """How differently two views see a scene: `view_displacement` of its far, typical and near surfaces, their mean.

    A camera that circles a thing and looks at it keeps it in place, but sees it from elsewhere: all else moves.
    """
    moved = [view_displacement(views, nearness * inverse_depth, others) for nearness in _SURFACES]
    return torch.stack(moved).mean(0)


def inside_others(
    view: Cameras, inverse_depth: Float[Tensor, "rows columns"], others: Cameras
) -> Float[Tensor, "other rows columns"]:
    """1 where what a view (one camera) sees in a pixel lies inside another picture, 0 where it does not; in soft steps.

    Cameras without batch axis; inverse_depth: 1 / z in the view. What stands in between is not looked at.
    """
    rays = camera_rays(view.intrinsics[0], *inverse_depth.shape)
    points = rays / inverse_depth.clamp_min(1e-4)[..., None]
    other_from_view = invert(others.world_from_camera) @ view.world_from_camera
    local = transform(other_from_view[:, None, None], points)
    place = project(local, others.intrinsics[:, None, None].expand(*local.shape[:-1], 4))
    border = torch.minimum(place, 1 - place).amin(-1)
    return (border / _FEATHER).clamp(0, 1) * (local[..., 2] > 0)
