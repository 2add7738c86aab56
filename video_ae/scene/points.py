"""Coloured points of a scene: what its keyframes see, as far as they agree."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.formats.ply import PointCloud
from video_ae.geometry.pinhole import camera_rays, project, sample, transform
from video_ae.geometry.se3 import invert
from video_ae.scene.rendering import SceneModel, render_chunks, to_bytes
from video_ae.types import Cameras, Scene

LEAST_OPACITY = 0.6  # below it a ray met too little to have a depth
LARGEST_STEP = 0.08  # of the disparity, between neighbouring pixels: beyond it a depth lies between two surfaces
TOLERANCE = 0.12  # of the disparity, between keyframes that see the same point
FARTHEST = 25.0  # typical depths: beyond it the depth is a guess
MOST_POINTS = 300_000
MOST_VIEWS = 60


def scene_points(model: SceneModel, scene: Scene, size: tuple[int, int], depth: float) -> PointCloud:
    """Points of the keyframes' depth maps, in the world of the scene's cameras.

    Left out: rays that met little, edges between surfaces, points farther than 25 `depth` (a typical depth), and
    points that other keyframes see but place elsewhere. Confidence is the ray's opacity times that of its frame, halved
    where no other keyframe sees the point. At most 300 000 points, drawn at random with a fixed seed.
    """
    keyframes = _spread(sorted(set(scene.keyframes)), MOST_VIEWS)
    frames = torch.tensor(keyframes)
    cameras = Cameras(
        scene.camera.cameras.world_from_camera[0].cpu().float(), scene.camera.cameras.intrinsics[0].cpu().float()
    ).select(frames)
    views = [view for _, view in render_chunks(model, scene, cameras, size)]
    opacity = torch.cat([view.opacity[0] for view in views])
    disparity = torch.cat([view.disparity[0] for view in views]) / opacity.clamp_min(1e-3)
    colors = to_bytes(torch.cat([view.frames[0] for view in views]))
    trusted = (opacity > LEAST_OPACITY) & (disparity * depth * FARTHEST > 1) & _flat(disparity)
    confidence = scene.camera.confidence[0].cpu()[frames]
    clouds = []
    for view in range(len(cameras)):
        rays = camera_rays(cameras.intrinsics[view], size[1], size[0])[trusted[view]]
        points = transform(cameras.world_from_camera[view], rays / disparity[view][trusted[view]][:, None])
        seen, agreed = _votes(points, view, cameras, disparity, opacity)
        certain = opacity[view][trusted[view]].clamp(0, 1) * confidence[view] * torch.where(agreed > 0, 1.0, 0.5)
        kept = (agreed > 0) | (seen == 0)
        rgb = colors[view].permute(1, 2, 0)[trusted[view]]
        clouds.append(PointCloud(points, rgb, certain.clamp(0, 1)).select(kept))
    return _thinned(_joined(clouds), MOST_POINTS)


def _spread(values: list[int], most: int) -> list[int]:
    """At most `most` of the values, evenly spread."""
    if len(values) <= most:
        return values
    return [values[i] for i in torch.linspace(0, len(values) - 1, most).round().long().tolist()]


def _flat(disparity: Float[Tensor, "view height width"]) -> Bool[Tensor, "view height width"]:
    """Whether a pixel's disparity is close to that of its right and lower neighbours (and theirs to it)."""
    largest = torch.nn.functional.max_pool2d(disparity[:, None], 3, 1, 1)[:, 0]
    smallest = -torch.nn.functional.max_pool2d(-disparity[:, None], 3, 1, 1)[:, 0]
    return largest - smallest < 2 * LARGEST_STEP * disparity


def _votes(points: Tensor, own: int, cameras: Cameras, disparity: Tensor, opacity: Tensor) -> tuple[Tensor, Tensor]:
    """How many of the two nearest keyframes on either side look at each point, and how many place it there."""
    seen, agreed = torch.zeros(len(points)), torch.zeros(len(points))
    for other in range(max(0, own - 2), min(len(cameras), own + 3)):
        if other == own:
            continue
        local = transform(invert(cameras.world_from_camera[other]), points)
        place = project(local, cameras.intrinsics[other].expand(len(points), 4))
        maps = torch.stack([disparity[other], opacity[other]])[None]
        there, opaque = sample(maps, place[None, None])[0, :, 0]
        inside = ((place > 0) & (place < 1)).all(-1) & (local[:, 2] > 0) & (opaque > LEAST_OPACITY)
        ratio = there * local[:, 2]  # 1 where both agree; above 1 the point is hidden from there
        seen += inside & (ratio < 1 + TOLERANCE)
        agreed += inside & ((ratio - 1).abs() < TOLERANCE)
    return seen, agreed


def _joined(clouds: list[PointCloud]) -> PointCloud:
    return PointCloud(
        torch.cat([cloud.points for cloud in clouds]),
        torch.cat([cloud.colors for cloud in clouds]),
        torch.cat([cloud.confidence for cloud in clouds]),
    )


def _thinned(cloud: PointCloud, most: int) -> PointCloud:
    if len(cloud) <= most:
        return cloud
    order = torch.randperm(len(cloud), generator=torch.Generator().manual_seed(0))
    return cloud.select(order[:most].sort().values)
