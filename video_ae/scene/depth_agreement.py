"""Whether views show the same point: depth maps compared by reprojection."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.box_mean import box_mean
from video_ae.geometry.pinhole import MINIMUM_DEPTH, camera_rays, project, sample, transform
from video_ae.geometry.se3 import invert
from video_ae.scene.reprojection_kernel import agree_rows
from video_ae.types import Cameras

_FEATHER = 0.02  # of the image: width over which a source view fades out at its border


def depth_agreement(
    known: Float[Tensor, "rows columns"],
    view: Cameras,
    there: Float[Tensor, "source rows2 columns2"],
    sources: Cameras,
    spreads: Sequence[tuple[float, float]],
) -> Float[Tensor, "spread source rows columns"]:
    """1 where a source view shows what a view sees in its pixels, 0 where it does not; in soft steps.

    Args:
        known: 1 / z that the view sees; NaN where it is not known.
        view: its camera.
        there: 1 / z that the sources see; NaN where it is not known.
        sources: their cameras, in the same world.
        spreads: pairs: of the disparity, of what counts as the same point; and of what counts as whole, in pixels by
            which neighbours are looked up too far apart.
    """
    work = _compiled if usable(known, there) else _agreement
    return work(known, view, there.nan_to_num(0.0), sources, known.new_tensor(spreads))


def _agreement(known: Tensor, view: Cameras, there: Tensor, sources: Cameras, spreads: Tensor) -> Tensor:
    same, tear = spreads[:, :, None, None].unbind(1)
    agreements, inverse_depth, steps = [], known.nan_to_num(0.0), _largest_step(known)
    for i in range(len(sources)):
        uv, depth = reproject(view, sources.select([i]), inverse_depth)
        ratio = sample(there[i][None, None], uv[None], "border")[0, 0] * depth  # 1 where it sees the same point
        border = torch.minimum(uv, 1 - uv).amin(-1)
        # How far apart neighbours are looked up because their depths differ, whatever the cameras' rotation and zoom.
        nearer, _ = reproject(view, sources.select([i]), 1.01 * inverse_depth)
        shift = (nearer - uv) * uv.new_tensor([known.shape[1], known.shape[0]])
        torn = shift.norm(dim=-1) / 0.01 * steps
        agreement = torch.exp(-0.5 * (((ratio - 1) / same).square() + (torn / tear).square()))
        agreements.append(agreement * (border / _FEATHER).clamp(0, 1) * (depth > 0) * known.isfinite())
    return torch.stack(agreements, 1)


def _compiled(known: Tensor, view: Cameras, there: Tensor, sources: Cameras, spreads: Tensor) -> Tensor:
    """The same by a compiled loop."""
    agreement = torch.empty(len(spreads), len(sources), *known.shape)
    inputs = *arrays(known.nan_to_num(0.0), _largest_step(known), there), *for_kernels(view, sources), *arrays(spreads)
    spread(agreement[0, ..., 0].numel(), agree_rows, *inputs, _FEATHER, MINIMUM_DEPTH, *arrays(agreement))
    return agreement


def for_kernels(view: Cameras, sources: Cameras) -> list[Any]:
    """source_from_view of each source, and the intrinsics of the view and of the sources, as arrays.

    Args:
        view: one camera.
        sources: in the same world.
    """
    poses = invert(sources.world_from_camera) @ view.world_from_camera
    return arrays(poses, view.intrinsics[0], sources.intrinsics)


def reproject(
    camera: Cameras, other: Cameras, inverse_depth: Float[Tensor, "rows columns"]
) -> tuple[Float[Tensor, "rows columns 2"], Float[Tensor, "rows columns"]]:
    """Where another camera sees what a camera sees in all of its pixels: image coordinates, and z there.

    Args:
        camera, other: one of each.
        inverse_depth: 1 / z that the first one sees.
    """
    rays = camera_rays(camera.intrinsics[0], *inverse_depth.shape)
    points = transform(camera.world_from_camera[0], rays / inverse_depth.clamp_min(1e-4)[..., None])
    local = transform(invert(other.world_from_camera[0]), points)
    return project(local, other.intrinsics[0].expand(*inverse_depth.shape, 4)), local[..., 2]


def _largest_step(known: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """The largest relative step to the four neighbours whose depth is known, less what a slanted surface explains."""
    logarithm = known.clamp_min(1e-4).log()
    across, down = (_less_mean(logarithm.diff(dim=axis).nan_to_num(0.0)) for axis in (1, 0))
    sides = [F.pad(across, (0, 1)), F.pad(across, (1, 0)), F.pad(down, (0, 0, 0, 1)), F.pad(down, (0, 0, 1, 0))]
    return torch.stack(sides).amax(0)


def _less_mean(steps: Float[Tensor, "rows columns"], radius: int = 4) -> Float[Tensor, "rows columns"]:
    """How far steps are from the mean of their surroundings."""
    return (steps - box_mean(steps[None], radius)[0]).abs()
