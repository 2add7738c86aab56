"""The pinhole camera, and this project's conventions with worked numbers.

A camera looks along +z, x points right and y down (OpenCV). Intrinsics (fx, fy, cx, cy) are divided by the image's
width (fx, cx) and height (fy, cy), so they are valid at any size. Image coordinates (u, v) run from 0 to 1 between the
outer edges of the image; the centre of pixel column `i` of `width` lies at `(i + 0.5) / width`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

MINIMUM_DEPTH = 1e-4  # points nearer to the camera plane than this are projected as if they lay there


def pixel_centres(
    height: int, width: int, device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "{height} {width} 2"]:
    """Image coordinates (u, v) of all pixel centres.

    Args:
        height, width: of the image, in pixels.
        device: of the result; by default torch's.
        dtype: of the result.

    >>> pixel_centres(1, 4)[0, :, 0].tolist()
    [0.125, 0.375, 0.625, 0.875]
    """
    v = (torch.arange(height, device=device, dtype=dtype) + 0.5) / height
    u = (torch.arange(width, device=device, dtype=dtype) + 0.5) / width
    return torch.stack([u.expand(height, width), v[:, None].expand(height, width)], -1)


def pinhole_intrinsics(focal_over_width: Float[Tensor, "*batch"], width: int, height: int) -> Float[Tensor, "*batch 4"]:
    """Intrinsics of a camera with square pixels and centred principal point.

    Args:
        focal_over_width: focal length divided by the image's width.
        width, height: of the image, in pixels; only their ratio counts.

    A focal length of 0.9 widths on a 320x240 image is 1.2 heights:

    >>> [round(x, 3) for x in pinhole_intrinsics(torch.tensor(0.9), 320, 240).tolist()]
    [0.9, 1.2, 0.5, 0.5]
    """
    centre = torch.full_like(focal_over_width, 0.5)
    return torch.stack([focal_over_width, focal_over_width * width / height, centre, centre], -1)


def project(points: Float[Tensor, "*points 3"], intrinsics: Float[Tensor, "*points 4"]) -> Float[Tensor, "*points 2"]:
    """Image coordinates of points given in camera axes.

    Args:
        points: with z forward; those nearer than `MINIMUM_DEPTH` or behind the camera are projected as if they lay at
            that depth.
        intrinsics: (fx, fy, cx, cy) for each point.

    A point one unit right of the axis, two units away, seen with fx = 0.5, lies a quarter of the width right of the
    centre:

    >>> project(torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.5, 0.5, 0.5, 0.5])).tolist()
    [0.75, 0.5]
    """
    return points[..., :2] / points[..., 2:].clamp_min(MINIMUM_DEPTH) * intrinsics[..., :2] + intrinsics[..., 2:]


def unproject(
    coordinates: Float[Tensor, "*points 2"], intrinsics: Float[Tensor, "*points 4"]
) -> Float[Tensor, "*points 3"]:
    """Viewing rays in camera axes with z = 1: multiply by the depth along z to get points.

    Args:
        coordinates: image coordinates (u, v).
        intrinsics: (fx, fy, cx, cy) for each point.

    >>> unproject(torch.tensor([0.75, 0.5]), torch.tensor([0.5, 0.5, 0.5, 0.5])).tolist()
    [0.5, 0.0, 1.0]
    """
    xy = (coordinates - intrinsics[..., 2:]) / intrinsics[..., :2]
    return torch.cat([xy, torch.ones_like(xy[..., :1])], -1)


def camera_rays(
    intrinsics: Float[Tensor, "*batch 4"], height: int, width: int
) -> Float[Tensor, "*batch {height} {width} 3"]:
    """Viewing rays with z = 1 through all pixel centres, in camera axes.

    Args:
        intrinsics: (fx, fy, cx, cy) of each camera.
        height, width: of the image, in pixels.
    """
    centres = pixel_centres(height, width, intrinsics.device, intrinsics.dtype)
    shape = (*intrinsics.shape[:-1], height, width)
    return unproject(centres.expand(*shape, 2), intrinsics[..., None, None, :].expand(*shape, 4))


def transform(pose: Float[Tensor, "*#batch 4 4"], points: Float[Tensor, "*#batch 3"]) -> Float[Tensor, "*batch2 3"]:
    """Rigid motion of points: `transform(a_from_b, points_in_b)` are the points in a.

    Args:
        pose: rigid 4x4 matrices.
        points: their batch axes broadcast with those of `pose`.
    """
    return (pose[..., :3, :3] @ points[..., None]).squeeze(-1) + pose[..., :3, 3]


def sample(
    maps: Float[Tensor, "batch channel height width"],
    coordinates: Float[Tensor, "batch rows columns 2"],
    padding: str = "zeros",
) -> Float[Tensor, "batch channel rows columns"]:
    """Values of maps at image coordinates, interpolated bilinearly.

    Args:
        maps: values at pixel centres.
        coordinates: (u, v), in [0, 1] inside the image.
        padding: what lies outside: "zeros", "border" or "reflection", as in torch's `grid_sample`.

    >>> ramp = torch.tensor([[[[0.0, 1.0]]]])
    >>> sample(ramp, torch.tensor([[[[0.5, 0.5]]]])).item()
    0.5
    """
    return torch.nn.functional.grid_sample(maps, 2 * coordinates - 1, padding_mode=padding, align_corners=False)
