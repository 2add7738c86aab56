"""The pose-transfer protocol: scene B rendered along the camera path found in clip A.

It measures whether B's image moves as it should, and needs true cameras and true depth, so it runs on the
walk-throughs' test clips.

Each point of B's first frame is moved by the true depth of B and the true motion of A to where it must appear; the
colour that the method renders there is compared with the point's own. Points that leave the image or are hidden by
nearer ones are left out. What video alone cannot determine is given: the scale of A's path (least squares over its true
centres) and of B (median over its first frame's true depth).
"""

from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.metrics.images import Images
from video_ae.evaluation.protocols.base import PoseEstimator
from video_ae.evaluation.protocols.reconstruction_protocol import RenderableScene, SceneBuilder
from video_ae.evaluation.protocols.running import Notify, Row, attempt, true_cameras, without_truth
from video_ae.evaluation.protocols.with_truth import clips_with_truth
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.evaluation.true_depth import load_true_depth
from video_ae.geometry.pinhole import camera_rays, project, sample, transform
from video_ae.geometry.se3 import invert, relative_to_first
from video_ae.geometry.umeyama import align
from video_ae.types import Cameras, VideoClip

FRAMES = 13  # of A's path; about a metre and twenty degrees, of which B's beginning still shows most
SCENE_FRAMES = 25  # of B
_EVERY = 3  # frames of the path between those that are compared
_HIDDEN = 0.05  # of the depth: a point that far behind another in its cell is hidden
_CELLS = 2  # points per side of such a cell


def run_transfer_protocol(
    dataset: ClipSource,
    root: Path,
    estimator: PoseEstimator,
    builder: SceneBuilder,
    method: str = "perspective",
    progress: Notify = None,
) -> EvaluationResult:
    """Renders each clip along the path of the clip before it (the first along the last's).

    Rows: `point_psnr`, decibels over the colours of the moved points, mean over some frames of the path, and
    `points_percent` that could be compared. Beside the method: its scene driven by A's true motion (†, what the scene
    alone costs), its scene without any motion, and the first frame itself, unmoved.

    Args:
        dataset: with true cameras.
        root: its folder; true depth is read from the folder `depth` in it.
        estimator: the method's cameras.
        builder: the method's scenes.
        method: its name.
        progress: called with a line of text before each clip.

    Raises:
        UserError: the data set has no true cameras or no true depth, or a clip is too short.
    """
    dataset = clips_with_truth(dataset)
    rows: dict[str, dict[str, Row]] = {}
    for i, name in enumerate(dataset.names):
        driver = dataset.names[i - 1]
        if progress:
            progress(f"{name} driven by {driver}")
        path = _beginning(dataset, (i - 1) % len(dataset), FRAMES)
        scene = _beginning(dataset, i, SCENE_FRAMES)
        truth = load_true_depth(root, name)
        if truth is None:
            raise UserError(
                f"{str(root)!r} has no true depth for {name!r}, without which nobody knows how its image should "
                "move: give the walk-throughs' test clips, or others with a folder `depth`."
            )
        for label, row in _rows_of_clip(path, scene, truth.depth[0], estimator, builder).items():
            rows.setdefault(method if label == "found" else label, {})[f"{name} <- {driver}"] = row
    settings = {"frames": FRAMES, "every": _EVERY, "scene_frames": SCENE_FRAMES, "quarantined": dataset.skipped}
    return collect_result("pose transfer", settings, rows, {"true motion"})


def _beginning(dataset: ClipSource, number: int, frames: int) -> VideoClip:
    if (count := dataset.frame_count(number)) < frames:
        raise UserError(
            f"clip {dataset.names[number]!r} has {count} frames, and {frames} are needed: leave it out of the data set."
        )
    return dataset.load(number, indices=range(frames))


def _rows_of_clip(
    path: VideoClip, scene: VideoClip, depth: Tensor, estimator: PoseEstimator, builder: SceneBuilder
) -> dict[str, Row]:
    frames = list(range(_EVERY, FRAMES, _EVERY))
    wanted = relative_to_first(true_cameras(path).world_from_camera)
    camera = true_cameras(scene).select([0])
    truths = [moved_points(depth, camera, wanted[frame]) for frame in frames]

    def drive() -> dict[str, Tensor]:
        found = relative_to_first(estimator(without_truth(path, False)).cameras.world_from_camera.double())
        found[:, :3, 3] *= align(found[:, :3, 3], wanted[:, :3, 3], "scale").scale
        found_scene = builder(without_truth(scene, False))
        unit = _unit_of(found_scene, depth)
        still = torch.eye(4, dtype=torch.float64).expand_as(wanted)
        motions = {"found": found, "true motion": wanted, "no motion": still}
        return {label: _drive(found_scene, motion[frames], unit) for label, motion in motions.items()}

    tried = attempt(drive)
    unmoved = scene.frames[:1].expand(len(frames), -1, -1, -1)
    failed = dict.fromkeys(("found", "true motion", "no motion"), torch.full_like(unmoved, 0.5))
    images = (tried.answer or failed) | {"first frame": unmoved}
    first = interpolate(scene.frames[:1], depth.shape, mode="area")[0]
    rest = {"frames": len(frames), "seconds": tried.cost["seconds"]} | tried.failure
    return {label: _score(shown, first, truths) | rest for label, shown in images.items()}


def _unit_of(scene: RenderableScene, depth: Tensor) -> float:
    """How many of the truth's units are one of the scene's: the ratio of their median depths in the first frame."""
    disparity = scene.render(scene.cameras.select([0])).disparity[0].cpu()
    small = interpolate(rearrange(disparity, "h w -> 1 1 h w"), depth.shape, mode="area")[0, 0]
    known = depth.isfinite() & (small > 0)
    if not known.any():
        raise UserError("the scene's first frame has no depth to compare with the truth.")
    return (depth[known].median() * small[known].median()).item()


def _drive(scene: RenderableScene, motion: Float[Tensor, "time 4 4"], unit: float) -> Images:
    first = scene.cameras.select([0])
    scaled = motion.clone()
    scaled[:, :3, 3] /= unit
    poses = first.world_from_camera.double().cpu() @ scaled
    cameras = Cameras(poses.to(first.world_from_camera), first.intrinsics.expand(len(motion), -1))
    return scene.render(cameras).rgb.cpu().clamp(0, 1)


def moved_points(
    depth: Float[Tensor, "rows columns"], camera: Cameras, motion: Float[Tensor, "4 4"]
) -> tuple[Float[Tensor, "rows columns 2"], Bool[Tensor, "rows columns"]]:
    """Where each pixel of a frame appears once the camera has moved.

    Args:
        depth: along z; NaN where it is unknown.
        camera: of the frame (one).
        motion: `first_from_moved`, in the unit of the depth.

    Returns:
        The points' image coordinates (u, v from 0 to 1), and which of them are then visible.
    """
    rows, columns = depth.shape
    intrinsics = camera.intrinsics[0].double()
    points = camera_rays(intrinsics, rows, columns) * depth.nan_to_num(1.0)[..., None]
    moved = transform(invert(motion), points)
    z, uv = moved[..., 2], project(moved, intrinsics.expand(rows, columns, 4))
    inside = depth.isfinite() & (z > 0) & (uv >= 0).all(-1) & (uv < 1).all(-1)
    cell = (uv[..., 1] * rows / _CELLS).long() * columns + (uv[..., 0] * columns / _CELLS).long()
    cell = torch.where(inside, cell, torch.zeros_like(cell))
    nearest = torch.full((rows * columns,), torch.inf, dtype=torch.float64)
    nearest.scatter_reduce_(0, cell[inside], z[inside], "amin")
    return uv, inside & (z <= (1 + _HIDDEN) * nearest[cell])


def _score(images: Images, first: Float[Tensor, "3 rows columns"], truths: list[tuple]) -> Row:
    """Colours found where the points must be, against the points' own."""
    values, shares = [], []
    for image, (uv, visible) in zip(images, truths, strict=True):
        small = interpolate(image[None], first.shape[-2:], mode="area")
        seen = sample(small, uv[None].float(), "border")[0]
        shares.append(100 * visible.double().mean().item())
        if visible.any():
            error = (seen - first).square().mean(0)[visible].mean().clamp_min(1e-10)
            values.append(-10 * error.log10().item())
    psnr = sum(values) / len(values) if values else None
    reasons = {} if values else {"reasons": {"point_psnr": "no point of the first frame stays in view"}}
    return {"point_psnr": psnr, "points_percent": sum(shares) / max(1, len(shares))} | reasons
