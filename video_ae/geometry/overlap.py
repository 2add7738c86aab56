"""How far apart two views of one scene are, measured in the picture."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.cameras import camera_rays
from video_ae.geometry.se3 import invert
from video_ae.types import Cameras

_GRID = (4, 5)  # rows and columns of the points that are followed
_LOST = 1.0  # picture widths: the displacement that a point behind the camera counts


def view_displacement(
    views: Cameras, inverse_depth: Float[Tensor, "view"], others: Cameras
) -> Float[Tensor, "view other"]:
    """Mean distance, in picture widths, that the points of each view move when looked at from each other view.

    views, others: cameras without batch axis; inverse_depth: typical 1 / z of each view's scene. Points that leave the
    picture count by where they would land, points behind the other camera count one width.

    >>> from video_ae.geometry.cameras import pinhole_intrinsics
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
