"""Coloured points of a scene: the surfaces of its keyframes' depth maps, as far as the keyframes agree."""

from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.formats.ply import GaussianCloud, PointCloud
from video_ae.geometry.pinhole import camera_rays, project, sample, transform
from video_ae.geometry.se3 import invert
from video_ae.geometry.trajectories import spread_frames
from video_ae.scene.annotations import Reconstruction
from video_ae.scene.rendering import to_bytes
from video_ae.types import Cameras, RenderedViews

LARGEST_STEP = 0.08  # of the disparity, between neighbouring pixels: beyond it a depth lies between two surfaces
TOLERANCE = 0.12  # of the disparity, between keyframes that see the same point
FARTHEST = 25.0  # typical depths: beyond it the depth is a guess
MOST_POINTS = 300_000
MOST_VIEWS = 60
Cloud = TypeVar("Cloud", PointCloud, GaussianCloud)


def scene_points(reconstruction: Reconstruction) -> PointCloud:
    """Points of the keyframes' depth maps, in the world of the scene's cameras.

    Left out: rays that met little, edges between surfaces, points farther than 25 typical depths, and points that
    other keyframes see at another depth. Confidence is the ray's opacity times that of its frame, halved where no
    other keyframe sees the point. At most 300 000 points, drawn at random with a fixed seed.

    Args:
        reconstruction: of a video.
    """
    scene, depth = reconstruction.scene, reconstruction.scene_depth
    keyframes = sorted(set(scene.keyframes))
    keyframes = [keyframes[i] for i in spread_frames(len(keyframes), MOST_VIEWS)]
    cameras = scene.cameras.to("cpu", torch.float32).select(keyframes)
    views = reconstruction.render(cameras)
    disparity = views.disparity / views.opacity.clamp_min(1e-3)
    colors = to_bytes(views.rgb)
    trusted = (views.opacity > RenderedViews.LEAST_OPACITY) & (disparity * depth * FARTHEST > 1) & _smooth(disparity)
    confidence = scene.camera.confidence.cpu()[keyframes]
    clouds = []
    for view in range(len(cameras)):
        rays = camera_rays(cameras.intrinsics[view], *disparity.shape[1:])[trusted[view]]
        points = transform(cameras.world_from_camera[view], rays / disparity[view][trusted[view]][:, None])
        seen, agreed = _count_views(points, view, cameras, disparity, views.opacity)
        certain = views.opacity[view][trusted[view]].clamp(0, 1) * confidence[view] * torch.where(agreed > 0, 1.0, 0.5)
        kept = (agreed > 0) | (seen == 0)
        rgb = colors[view].permute(1, 2, 0)[trusted[view]]
        clouds.append(PointCloud(points, rgb, certain.clamp(0, 1)).select(kept))
    return draw(PointCloud.cat(clouds), MOST_POINTS)


def _smooth(disparity: Float[Tensor, "view height width"]) -> Bool[Tensor, "view height width"]:
    """Whether a pixel's disparity is close to those of its eight neighbours."""
    largest = torch.nn.functional.max_pool2d(disparity[:, None], 3, 1, 1)[:, 0]
    smallest = -torch.nn.functional.max_pool2d(-disparity[:, None], 3, 1, 1)[:, 0]
    return largest - smallest < 2 * LARGEST_STEP * disparity


def _count_views(
    points: Tensor, own: int, cameras: Cameras, disparity: Tensor, opacity: Tensor
) -> tuple[Tensor, Tensor]:
    """How many of the two nearest keyframes on either side see each point, and how many see it at this depth."""
    seen, agreed = torch.zeros(len(points)), torch.zeros(len(points))
    for other in range(max(0, own - 2), min(len(cameras), own + 3)):
        if other == own:
            continue
        local = transform(invert(cameras.world_from_camera[other]), points)
        uv = project(local, cameras.intrinsics[other].expand(len(points), 4))
        maps = torch.stack([disparity[other], opacity[other]])[None]
        there, opaque = sample(maps, uv[None, None])[0, :, 0]
        inside = ((uv > 0) & (uv < 1)).all(-1) & (local[:, 2] > 0) & (opaque > RenderedViews.LEAST_OPACITY)
        ratio = there * local[:, 2]  # 1 where both agree; above 1 the point is hidden from there
        seen += inside & (ratio < 1 + TOLERANCE)
        agreed += inside & ((ratio - 1).abs() < TOLERANCE)
    return seen, agreed


def draw(cloud: Cloud, most: int) -> Cloud:
    """The cloud, or some of it drawn at random with a fixed seed, in the same order.

    Args:
        cloud: points or Gaussians.
        most: how many are kept.
    """
    if len(cloud) <= most:
        return cloud
    order = torch.randperm(len(cloud), generator=torch.Generator().manual_seed(0))
    return cloud.select(order[:most].sort().values)
