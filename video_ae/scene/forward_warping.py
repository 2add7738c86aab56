"""Frames and their depth warped into another view: depth-image-based rendering (Fehn 2004).

Each pixel of a frame is a point with a colour. It lands between four pixels of the view, or more where the view shows
it larger, and counts in each by how near it is (bilinear splatting). Of points at different depths the nearest surface
wins, softly: a point behind it counts by the eighth power of the ratio of their depths. Depth maps of frames disagree
near edges and where nothing has texture, so a point is trusted as far as the depth maps of other frames agree with it,
and a surface is what is trusted.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.compiled import arrays, usable
from video_ae.geometry.pinhole import MINIMUM_DEPTH, camera_rays, project, transform
from video_ae.geometry.resize import resize_maps
from video_ae.geometry.se3 import invert
from video_ae.scene.warping_kernel import add_points, keep_nearest, land_points
from video_ae.types import Cameras, RenderedViews

SURFACE_TRUST = 0.4  # of a point that hides what lies behind it
LEAST_TRUST = 1e-3  # of a point that no other frame confirms
MOST_REACH = 3  # pixels of the view that a point reaches on each side, where it is shown that much larger
AROUND = 0.02  # of the points that land around a pixel, beside those that land in it
_SURFACE_PART, _SEEN_PART = 0.02, 0.2  # of a pixel that is covered by what hides, and by what is seen


def warp_frames(
    colors: Float[Tensor, "source 3 rows columns"],
    inverse_depth: Float[Tensor, "source rows columns"],
    trust: Float[Tensor, "source rows columns"],
    shares: Float[Tensor, "source"],
    sources: Cameras,
    view: Cameras,
    size: tuple[int, int],
) -> RenderedViews:
    """A view of the points that some frames see.

    Args:
        colors: of the frames, RGB in [0, 1].
        inverse_depth: 1 / z in each frame's own axes; 0 or NaN where it is not known.
        trust: in each point, 0 to 1.
        shares: weights of the frames.
        sources: cameras of the frames.
        view: one camera, in the same world.
        size: (width, height) of the view, in pixels.

    Returns:
        One view. Opacity says how far the points around a pixel are trusted: 1 where a fifth of it is covered by points
        of full trust, 0 where nothing landed. Colours and disparity are times opacity.
    """
    known = inverse_depth.nan_to_num(0.0)
    work = _compiled_sums if usable(colors, known, trust, shares) else _sums
    sums = work(colors, known, trust, shares, sources, view, size)
    half = F.avg_pool2d(sums, 2, ceil_mode=True, count_include_pad=False)
    around = resize_maps(F.avg_pool2d(half, 3, 1, 1, count_include_pad=False), size)
    weight, disparity, *rgb = sums[:5] + AROUND * around[:5]
    seen = ((around[5] / _SEEN_PART).clamp_max(1)) * (weight > 0)
    scale = seen / torch.where(weight > 0, weight, torch.ones_like(weight))
    return RenderedViews((torch.stack(rgb) * scale)[None], (disparity * scale)[None], seen.to(weight.dtype)[None])


def _sums(
    colors: Tensor, known: Tensor, trust: Tensor, shares: Tensor, sources: Cameras, view: Cameras, size: tuple[int, int]
) -> Float[Tensor, "6 height width"]:
    """Sums over the points of each pixel: weight, weight times 1 / z and times colour, covered part."""
    width, height = size
    rays = camera_rays(sources.intrinsics, *known.shape[1:])
    points = transform(_poses(sources, view)[:, None, None], rays / known.clamp_min(1e-4)[..., None])
    uv, depth = project(points, view.intrinsics[0].expand(*known.shape, 4)), points[..., 2]
    column, row = (uv * uv.new_tensor(size) - 0.5).unbind(-1)
    possible = (known > 0) & (depth > MINIMUM_DEPTH)
    ahead = 1 / depth.clamp_min(MINIMUM_DEPTH)
    scale = view.intrinsics[:, :1, None] * width / (sources.intrinsics[:, :1, None] * known.shape[2])
    reach = (ahead / known.clamp_min(1e-4) * scale).clamp(1, MOST_REACH)
    parts = []  # of each point: (pixel, the part of it that the point covers)
    offsets = range(1 - MOST_REACH, MOST_REACH + 1)
    for x, y in ((column.floor() + right, row.floor() + down) for down in offsets for right in offsets):
        inside = possible & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        part = (1 - (column - x).abs() / reach).clamp_min(0) * (1 - (row - y).abs() / reach).clamp_min(0)
        pixel = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).nan_to_num(0.0).long()
        parts.append((pixel.flatten(), torch.where(inside, part, torch.zeros_like(part)).flatten()))
    surface, hides = known.new_zeros(height * width), (trust >= SURFACE_TRUST).flatten()
    for pixel, part in parts:
        chosen = hides & (part > _SURFACE_PART)
        surface.scatter_reduce_(0, pixel[chosen], ahead.flatten()[chosen], "amax")
    weight = (shares[:, None, None] * (trust**3 + LEAST_TRUST)).flatten()
    values = torch.stack([torch.ones_like(ahead), ahead, *colors.unbind(1)]).flatten(1)
    sums = known.new_zeros(6, height * width)
    for pixel, part in parts:
        hidden = ahead.flatten() / torch.maximum(surface[pixel], ahead.flatten())
        sums[:5].index_add_(1, pixel, weight * part * hidden**8 * values)
        sums[5].index_add_(0, pixel, part * trust.flatten())
    return sums.view(6, height, width)


def _compiled_sums(
    colors: Tensor, known: Tensor, trust: Tensor, shares: Tensor, sources: Cameras, view: Cameras, size: tuple[int, int]
) -> Float[Tensor, "6 height width"]:
    """The same by compiled loops."""
    surface, sums, landed = (
        torch.empty(size[1], size[0]),
        torch.empty(6, size[1], size[0]),
        torch.empty(*known.shape, 4),
    )
    limits = torch.tensor([MINIMUM_DEPTH, MOST_REACH])
    geometry = arrays(known, _poses(sources, view), sources.intrinsics, view.intrinsics[0], limits)
    land_points(*geometry, size[1], size[0], *arrays(landed))
    keep_nearest(*arrays(landed, trust), SURFACE_TRUST, _SURFACE_PART, *arrays(surface))
    add_points(*arrays(landed, colors, trust, shares), LEAST_TRUST, *arrays(surface, sums))
    return sums


def _poses(sources: Cameras, view: Cameras) -> Float[Tensor, "source 4 4"]:
    """view_from_source."""
    return invert(view.world_from_camera) @ sources.world_from_camera
