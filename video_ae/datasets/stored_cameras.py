"""Cameras that were found in whole videos (`video-ae annotate`), as training clips and packed shards hold them."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.pinhole import sample
from video_ae.geometry.resize import Resizing, resize_maps
from video_ae.geometry.se3 import relative_to_first
from video_ae.types import CameraEstimate, Cameras

GRID = (32, 24)  # (width, height) of the inverse depth of a frame, whatever its aspect
ROW = np.dtype(
    [("world_from_camera", "<f4", (4, 4)), ("intrinsics", "<f4", 4), ("confidence", "<f4"),
     ("inverse_depth", "<f2", GRID[::-1])]
)  # fmt: skip
"""A frame in a file. One without cameras has NaN as its confidence."""


def cameras_of_shard(shard: int) -> str:
    """The name of the file with the rows of a shard's frames, in their order.

    Args:
        shard: its number.
    """
    return f"cameras-0-{shard}.npy"


def on_grid(estimate: CameraEstimate) -> CameraEstimate:
    """The part of an estimate that training needs: maps have the size of the grid, and there are no covariances.

    Args:
        estimate: of the frames of a video.
    """
    maps = resize_maps(estimate.inverse_depth.float(), GRID)
    return CameraEstimate(
        estimate.cameras.to(torch.float32), maps, estimate.confidence.float(), torch.zeros(len(estimate), 6, 6)
    )


def rows_of(estimate: CameraEstimate) -> np.ndarray:
    """An estimate as rows of a file, one a frame.

    Args:
        estimate: of `on_grid`.
    """
    rows = np.empty(len(estimate), ROW)
    rows["world_from_camera"], rows["intrinsics"] = estimate.cameras.world_from_camera, estimate.cameras.intrinsics
    rows["confidence"], rows["inverse_depth"] = estimate.confidence, estimate.inverse_depth.clamp(max=6e4)
    return rows


def rows_without_cameras(frames: int) -> np.ndarray:
    """Rows of frames without cameras.

    Args:
        frames: their number.
    """
    rows = np.zeros(frames, ROW)
    rows["confidence"] = np.nan
    return rows


def estimate_from(rows: np.ndarray) -> CameraEstimate | None:
    """The estimate of some rows of a file; None where one of them has no cameras.

    Args:
        rows: of `rows_of`.
    """
    if np.isnan(rows["confidence"]).any():
        return None
    pose, intrinsics, confidence, maps = (torch.from_numpy(rows[name].astype(np.float32)) for name in ROW.names or ())
    return CameraEstimate(Cameras(pose, intrinsics), maps, confidence, torch.zeros(len(rows), 6, 6))


def cut(estimate: CameraEstimate, resizing: Resizing) -> CameraEstimate:
    """The estimate for what is cut out of the frames.

    Args:
        estimate: of whole frames, on the grid.
        resizing: of the frames.
    """
    cameras = replace(estimate.cameras, intrinsics=resizing.intrinsics(estimate.cameras.intrinsics))
    if resizing.size == resizing.scaled:
        return replace(estimate, cameras=cameras)
    device = estimate.inverse_depth.device
    u, v = (
        (resizing.corner[axis] + (torch.arange(count, device=device) + 0.5) / count * resizing.size[axis])
        / resizing.scaled[axis]
        for axis, count in enumerate(GRID)
    )
    uv = torch.stack(torch.meshgrid(u, v, indexing="xy"), -1)
    maps = sample(estimate.inverse_depth[:, None], uv.expand(len(estimate), -1, -1, -1), "border")[:, 0]
    return replace(estimate, cameras=cameras, inverse_depth=maps)


def of_clip(estimate: CameraEstimate) -> CameraEstimate:
    """The estimate as a camera encoder gives it: the first frame is the world, and the mean inverse depth is 1.

    Args:
        estimate: of the clip's frames, in the world and the scale of the whole video.
    """
    scale = estimate.inverse_depth.mean()
    pose = relative_to_first(estimate.cameras.world_from_camera)
    pose = torch.cat([torch.cat([pose[:, :3, :3], scale * pose[:, :3, 3:]], -1), pose[:, 3:]], -2)
    cameras = replace(estimate.cameras, world_from_camera=pose)
    return replace(estimate, cameras=cameras, inverse_depth=estimate.inverse_depth / scale)


def mirrored(estimate: CameraEstimate) -> CameraEstimate:
    """The estimate of frames whose left and right are exchanged.

    Args:
        estimate: of the frames as they were filmed.
    """
    signs = torch.ones(4, device=estimate.confidence.device)
    signs[0] = -1
    fx, fy, cx, cy = estimate.cameras.intrinsics.unbind(-1)
    pose: Float[Tensor, "frame 4 4"] = signs[:, None] * estimate.cameras.world_from_camera * signs
    cameras = Cameras(pose, torch.stack([fx, fy, 1 - cx, cy], -1))
    return replace(estimate, cameras=cameras, inverse_depth=estimate.inverse_depth.flip(-1))
