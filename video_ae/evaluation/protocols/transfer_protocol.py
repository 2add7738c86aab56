"""The pose-transfer protocol: scene B seen along the camera path found in clip A, and whether its picture moves as it
should. It needs true cameras and true depth, so it runs on the walk-throughs' test clips.

Each point of B's first frame is moved by the true depth of B and the true motion of A to where it must appear; the
colour that the method renders there is compared with the point's own. Points that leave the picture or are hidden by
nearer ones are left out. What video alone cannot tell is given: the scale of A's path (least squares over its true
centres) and of B (median over its first frame's true depth).
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.protocols.base import PoseEstimator, true_cameras, without_truth
from video_ae.evaluation.protocols.reconstruction_protocol import RebuiltScene, SceneBuilder
from video_ae.evaluation.results import EvaluationResult, collect
from video_ae.evaluation.true_depth import load_true_depth
from video_ae.geometry.pinhole import camera_rays, project, sample, transform
from video_ae.geometry.se3 import invert
from video_ae.geometry.umeyama import align
from video_ae.types import Cameras, VideoClip

FRAMES = 13  # of A's path; about a metre and twenty degrees, of which B's beginning still shows most
SCENE_FRAMES = 25  # of B
_HIDDEN = 0.05  # of the depth: a point that far behind another in its cell is hidden
_CELLS = 2  # points per side of such a cell


def evaluate_transfer(
    dataset: ClipSource,
    root: Path,
    estimator: PoseEstimator,
    builder: SceneBuilder,
    method: str = "perspective",
    every: int = 3,
    progress: Callable[[str], object] | None = None,
) -> EvaluationResult:
    """Drives each clip by the path of the clip before it (the first by the last).

    Rows: `point_psnr`, decibels over the colours of the moved points, mean over every third frame of the path, and
    `points_percent` that could be compared. Beside the method: its scene driven by A's true motion (†, what the scene
    alone costs), its scene without any motion, and the first frame itself, unmoved. Raises UserError for a data set
    without true depth.
    """
    labels = (method, "true motion", "no motion", "first frame")
    rows: dict[str, dict[str, dict]] = {label: {} for label in labels}
    chosen = list(range(every, FRAMES, every))
    for i, name in enumerate(dataset.names):
        driver = dataset.names[i - 1]
        if progress:
            progress(f"{name} driven by {driver}")
        path = dataset.load((i - 1) % len(dataset), indices=range(FRAMES))
        scene = dataset.load(i, indices=range(SCENE_FRAMES))
        truth = load_true_depth(root, name)
        if truth is None:
            raise UserError(
                f"{str(root)!r} has no true depth for {name!r}, without which nobody knows how its picture should "
                "move: give the walk-throughs' test clips, or others with a folder `depth`."
            )
        for label, row in _clip(path, scene, truth.depth[0], estimator, builder, chosen).items():
            rows[method if label == "found" else label][f"{name} <- {driver}"] = row
    settings = {"frames": FRAMES, "every": every, "scene_frames": SCENE_FRAMES, "quarantined": dataset.skipped}
    return collect("pose transfer", method, settings, rows, {"true motion"})


def _clip(
    path: VideoClip, scene: VideoClip, depth: Tensor, estimator: PoseEstimator, builder: SceneBuilder, frames: list[int]
) -> dict[str, dict[str, Any]]:
    start = time.perf_counter()
    true_path, true_scene = true_cameras(path), true_cameras(scene)
    wanted = _from_first(true_path.world_from_camera)
    still = torch.eye(4, dtype=torch.float64).expand_as(wanted)
    first = interpolate(scene.frames[:1], depth.shape, mode="area")[0]
    truths = [moved_points(depth, true_scene.select([0]), wanted[frame]) for frame in frames]
    try:
        found = _from_first(estimator(without_truth(path, False)).cameras.world_from_camera.double())
        found[:, :3, 3] *= align(found[:, :3, 3], wanted[:, :3, 3], "scale").scale
        rebuilt = builder(without_truth(scene, False))
        unit = _unit_of(rebuilt, depth)
        pictures = {
            label: _drive(rebuilt, motion[frames], unit)
            for label, motion in {"found": found, "true motion": wanted, "no motion": still}.items()
        }
        failure = {}
    except (UserError, torch.linalg.LinAlgError) as error:
        grey = torch.full_like(scene.frames[:1], 0.5).expand(len(frames), -1, -1, -1)
        pictures, failure = dict.fromkeys(("found", "true motion", "no motion"), grey), {"failure": str(error)}
    pictures["first frame"] = scene.frames[:1].expand(len(frames), -1, -1, -1)
    cost = {"frames": len(frames), "seconds": time.perf_counter() - start}
    return {label: _score(shown, first, truths) | cost | failure for label, shown in pictures.items()}


def _from_first(world_from_camera: Tensor) -> Tensor:
    return invert(world_from_camera[:1]) @ world_from_camera


def _unit_of(scene: RebuiltScene, depth: Tensor) -> float:
    """How many of the truth's units are one of the scene's: the ratio of their median depths in the first frame."""
    disparity = scene.render(scene.cameras.select([0])).disparity[0, 0].cpu()
    small = interpolate(rearrange(disparity, "h w -> 1 1 h w"), depth.shape, mode="area")[0, 0]
    known = depth.isfinite() & (small > 0)
    if not known.any():
        raise UserError("the scene's first frame has no depth to compare with the truth.")
    return (depth[known].median() * small[known].median()).item()


def _drive(scene: RebuiltScene, motion: Float[Tensor, "time 4 4"], unit: float) -> Float[Tensor, "time 3 height width"]:
    first = scene.cameras.select([0])
    scaled = motion.clone()
    scaled[:, :3, 3] /= unit
    poses = first.world_from_camera.double().cpu() @ scaled
    cameras = Cameras(poses.to(first.world_from_camera), first.intrinsics.expand(len(motion), -1))
    return scene.render(cameras).frames[0].cpu().clamp(0, 1)


def moved_points(
    depth: Float[Tensor, "rows columns"], camera: Cameras, motion: Float[Tensor, "4 4"]
) -> tuple[Float[Tensor, "rows columns 2"], Bool[Tensor, "rows columns"]]:
    """Where each pixel of a frame appears once the camera has moved by `motion` (first_from_moved): image coordinates
    from 0 to 1, and which points are then visible."""
    rows, columns = depth.shape
    intrinsics = camera.intrinsics[0].double()
    points = camera_rays(intrinsics, rows, columns) * depth.nan_to_num(1.0)[..., None]
    moved = transform(invert(motion), points)
    z, place = moved[..., 2], project(moved, intrinsics.expand(rows, columns, 4))
    inside = depth.isfinite() & (z > 0) & (place >= 0).all(-1) & (place < 1).all(-1)
    cell = (place[..., 1] * rows / _CELLS).long() * columns + (place[..., 0] * columns / _CELLS).long()
    cell = torch.where(inside, cell, torch.zeros_like(cell))
    nearest = torch.full((rows * columns,), torch.inf, dtype=torch.float64)
    nearest.scatter_reduce_(0, cell[inside], z[inside], "amin")
    return place, inside & (z <= (1 + _HIDDEN) * nearest[cell])


def _score(
    pictures: Float[Tensor, "time 3 height width"], first: Float[Tensor, "3 rows columns"], truths: Sequence[tuple]
) -> dict[str, Any]:
    """Colours found where the points must be, against the points' own."""
    values, shares = [], []
    for picture, (place, visible) in zip(pictures, truths, strict=True):
        small = interpolate(picture[None], first.shape[-2:], mode="area")
        seen = sample(small, place[None].float(), "border")[0]
        shares.append(100 * visible.double().mean().item())
        if visible.any():
            error = (seen - first).square().mean(0)[visible].mean().clamp_min(1e-10)
            values.append(-10 * error.log10().item())
    psnr = sum(values) / len(values) if values else None
    reasons = {} if values else {"reasons": {"point_psnr": "no point of the first frame stays in view"}}
    return {"point_psnr": psnr, "points_percent": sum(shares) / max(1, len(shares))} | reasons
