"""What two views of one scene share: which part of a frame lies inside others, and how far the image moves."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.pinhole import camera_rays, project, transform
from video_ae.geometry.se3 import invert
from video_ae.types import Cameras

_GRID = (4, 5)  # rows and columns of the points whose displacement is averaged
_FEATHER = 0.02  # of the image: width over which `inside_others` falls from 1 to 0 at the border
NEAR_SURFACES = 2.0  # times the typical inverse depth
_SURFACES = (0.25, 1.0, NEAR_SURFACES)  # times the typical inverse depth
_OUT_OF_SIGHT = 1.0  # image widths: the displacement of a point behind the camera, and the largest there is
_PAIRS_AT_ONCE = 2**15  # of views: of a long video they are millions
_NEAREST = 0.05  # of homogeneous depth: points nearer to the camera's own plane than this count as behind it


def view_displacement(
    views: Cameras, inverse_depth: Float[Tensor, "view"], others: Cameras
) -> Float[Tensor, "view other"]:
    """Mean distance, in image widths, by which points of each view move in the image of each other view.

    Points that leave the image count by where they would land, points behind the other camera by one width.

    Args:
        views: cameras without batch axis.
        inverse_depth: typical 1 / z of the scene in each view.
        others: cameras without batch axis.

    >>> from video_ae.geometry.pinhole import pinhole_intrinsics
    >>> still = Cameras(torch.eye(4)[None], pinhole_intrinsics(torch.tensor(1.0), 64, 48)[None])
    >>> view_displacement(still, torch.ones(1), still).item()
    0.0
    """
    step = max(1, _PAIRS_AT_ONCE // max(1, len(others)))
    parts = [slice(start, start + step) for start in range(0, len(views), step)]
    return torch.cat([_displacement(views.select(part), inverse_depth[part], others) for part in parts])


def _displacement(views: Cameras, inverse_depth: Tensor, others: Cameras) -> Tensor:
    rays = camera_rays(views.intrinsics, *_GRID).flatten(1, 2)  # [view, point, 3]
    other_from_view = invert(others.world_from_camera)[None] @ views.world_from_camera[:, None]
    rotated = torch.einsum("voij,vpj->vopi", other_from_view[..., :3, :3], rays)
    points = rotated + (inverse_depth[:, None, None] * other_from_view[..., :3, 3])[:, :, None]
    xy = points[..., :2] / points[..., 2:].clamp_min(_NEAREST)
    moved = (xy - rays[:, None, :, :2]) * others.intrinsics[None, :, None, :1]
    out_of_sight = torch.full_like(points[..., 2], _OUT_OF_SIGHT)
    distance = torch.where(points[..., 2] > _NEAREST, moved.norm(dim=-1), out_of_sight)
    return distance.clamp_max(_OUT_OF_SIGHT).mean(-1)


def viewpoint_distance(
    views: Cameras, inverse_depth: Float[Tensor, "view"], others: Cameras
) -> Float[Tensor, "view other"]:
    """How differently two views see a scene: mean `view_displacement` of its far, typical and near surfaces.

    A camera that circles an object and looks at it keeps it in the middle of the image, but all else moves.

    Args:
        views: cameras without batch axis.
        inverse_depth: typical 1 / z of the scene in each view.
        others: cameras without batch axis.
    """
    moved = [view_displacement(views, nearness * inverse_depth, others) for nearness in _SURFACES]
    return torch.stack(moved).mean(0)


def inside_others(
    view: Cameras, inverse_depth: Float[Tensor, "rows columns"], others: Cameras
) -> Float[Tensor, "other rows columns"]:
    """1 where what a view sees in a pixel lies inside another image, 0 where it does not, with soft borders.

    Occlusion is not considered.

    Args:
        view: one camera, without batch axis.
        inverse_depth: 1 / z in the view.
        others: cameras without batch axis.
    """
    uv, z = _projected_into(view, inverse_depth[None], others, farthest=1e4)
    border = torch.minimum(uv, 1 - uv).amin(-1)
    return (border / _FEATHER).clamp(0, 1) * (z > 0)


def covisible_fraction(
    views: Cameras, inverse_depth: Float[Tensor, "view rows columns"], others: Cameras
) -> Float[Tensor, "pair"]:
    """The part of each view's points, 0 to 1, that lies inside the other image of its pair.

    Occlusion is not considered.

    Args:
        views: cameras without batch axis: one for each of `others`, or a single one for all.
        inverse_depth: 1 / z at evenly spread pixels of each view.
        others: cameras without batch axis: one for each of `views`, or a single one for all.

    >>> from video_ae.geometry.pinhole import pinhole_intrinsics
    >>> from video_ae.geometry.se3 import se3_exp
    >>> pose = se3_exp(torch.tensor([[0.0] * 6, [0.0, 0.0, 0.0, 0.5, 0.0, 0.0]]))  # half an image width to the right
    >>> two = Cameras(pose, pinhole_intrinsics(torch.ones(2), 64, 48))
    >>> covisible_fraction(two.select([0]), torch.ones(1, 6, 8), two).tolist()
    [1.0, 0.5]
    """
    uv, z = _projected_into(views, inverse_depth, others, farthest=1e6)
    inside = ((uv > 0) & (uv < 1)).all(-1) & (z > 0)
    return inside.float().mean((-2, -1))


def _projected_into(views: Cameras, inverse_depth: Tensor, others: Cameras, farthest: float) -> tuple[Tensor, Tensor]:
    """Image coordinates [pair, row, column, 2] and depths of the views' points in the other view of each pair."""
    rays = camera_rays(views.intrinsics, *inverse_depth.shape[-2:])
    points = rays / inverse_depth.clamp_min(1 / farthest)[..., None]
    other_from_view = invert(others.world_from_camera) @ views.world_from_camera
    local = transform(other_from_view[:, None, None], points)
    return project(local, others.intrinsics[:, None, None].expand(*local.shape[:-1], 4)), local[..., 2]
