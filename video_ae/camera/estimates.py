"""Small steps between the records of the camera room: states on other grids, estimates as states, batches."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.problem import SceneState
from video_ae.geometry.se3 import invert
from video_ae.types import CameraEstimate, Cameras


def transfer(state: SceneState, source: FrameGraph, target: FrameGraph) -> SceneState:
    """The same scene on another graph's point grid and pixel size."""
    maps = state.inverse_depth.view(source.count, 1, source.rows, source.columns)
    depth = F.interpolate(maps, size=(target.rows, target.columns), mode="bilinear", align_corners=False).flatten(1)
    return SceneState(state.camera_from_world, depth, state.log_focal + math.log(target.width / source.width))


def in_pixels(focal_over_width: float | None, graph: FrameGraph) -> float | None:
    """A focal length in widths as pixels of the working size."""
    return None if focal_over_width is None else float(focal_over_width) * graph.width


def on_grid(inverse_depth: Tensor | None, graph: FrameGraph) -> Tensor | None:
    """Given inverse depths [frame, rows, columns] on the point grid, at mean 1: [frame, point]."""
    if inverse_depth is None:
        return None
    maps = inverse_depth[:, None].float()
    depth = F.interpolate(maps, size=(graph.rows, graph.columns), mode="bilinear", align_corners=False).flatten(1)
    depth = depth.clamp_min(1e-3)
    return depth / depth.mean()


def state_of(estimate: CameraEstimate, index: int, graph: FrameGraph) -> SceneState:
    """One clip of an estimate as a state on a graph's point grid."""
    maps = estimate.inverse_depth[index, :, None]
    depth = F.interpolate(maps, size=(graph.rows, graph.columns), mode="bilinear", align_corners=False).flatten(1)
    focal = estimate.cameras.intrinsics[index, 0, 0] * graph.width
    return SceneState(invert(estimate.cameras.world_from_camera[index]), depth, focal.log())


def possible(gaps: tuple[int, ...], frames: int) -> tuple[int, ...]:
    """Gaps that fit into the clip; the widest that does takes the place of those that do not."""
    return tuple(dict.fromkeys(min(gap, frames - 1) for gap in gaps))


def distinct(solved: list[tuple[SceneState, float]], count: int) -> list[SceneState]:
    """The states of least cost, leaving out those that ended at the same cost as one already kept."""
    kept: list[tuple[SceneState, float]] = []
    for state, cost in sorted(solved, key=lambda pair: pair[1]):
        if all(abs(cost - other) > 3e-3 * other for _, other in kept):
            kept.append((state, cost))
    return [state for state, _ in kept[:count]]


def stack(estimates: list[CameraEstimate]) -> CameraEstimate:
    """A batch from estimates of one clip each."""
    return CameraEstimate(
        Cameras(
            torch.stack([e.cameras.world_from_camera[0] for e in estimates]),
            torch.stack([e.cameras.intrinsics[0] for e in estimates]),
        ),
        torch.cat([e.inverse_depth for e in estimates]),
        torch.cat([e.confidence for e in estimates]),
        torch.cat([e.covariance for e in estimates]),
        tuple(note for e in estimates for note in e.notes),
    )
