"""Points with tracks, for programs that adjust or check cameras: corners of keyframes, found again in other frames.

The structure predicts where a corner is seen; a small patch is then aligned there by its pixels alone (Lucas and
Kanade 1981, without the mean brightness), and the point is triangulated from these observations. So the reprojection
error measures the cameras.
"""

from dataclasses import dataclass, fields, replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Float64, UInt8
from torch import Tensor

from video_ae.formats.colmap import TrackedPoints, no_points
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.pinhole import sample, unproject
from video_ae.geometry.resize import as_floats
from video_ae.geometry.se3 import invert
from video_ae.geometry.trajectories import spread_frames
from video_ae.steps import scratch

CELL = 6  # pixels: one corner in each cell of a keyframe
MOST_KEYFRAMES = 24
LEAST_VIEWS = 3
_RADIUS = 4  # of a patch, in pixels
_ITERATIONS = 8
_FARTHEST_CORRECTION = 4.0  # pixels from where the structure expects the corner
_LEAST_CORRELATION = 0.9
_LARGEST_ERROR = 2.0  # pixels of the working size between an observation and the point: more is a wrong match
_PRIOR = 0.3  # of 1 / z: spread of the structure's depth, which fixes points that hardly move
_NOISE = 0.3  # pixels: spread of a match


@dataclass(frozen=True)
class _Tracks:
    """Corners of one frame: 1 / z of each, where it is seen in its own frame, which is the first of the views, and then
    in others, and which of these matches can be trusted."""

    inverse_depth: Float[Tensor, "corner"]
    views: list[int]
    motion: Float64[Tensor, "view 4 4"]  # view from the corners' own frame
    uv: Float64[Tensor, "corner view 2"]
    good: Bool[Tensor, "corner view"]


def track_points(
    frames: Float[Tensor, "frame 3 height width"] | UInt8[Tensor, "frame 3 height width"],
    trajectory: CameraTrajectory,
    inverse_depth: Float[Tensor, "frame height width"],
    keyframes: list[int],
) -> TrackedPoints:
    """Tracks corners of the keyframes through the clip and triangulates them, with the cameras fixed.

    Points that fewer than three frames agree on are left out; a clip without texture has none.

    Args:
        frames: RGB in [0, 1], or bytes in 0 .. 255.
        trajectory: cameras of the frames.
        inverse_depth: 1 / z seen by each frame; NaN where it is not known.
        keyframes: positions of the frames whose corners are tracked, at most 24 of them.
    """
    grey = scratch((len(frames), 1, *frames.shape[-2:]), torch.float32)
    for own, frame in zip(grey, frames, strict=True):
        own.copy_(as_floats(frame).mean(0, keepdim=True))
    parts = []
    for keyframe in (keyframes[i] for i in spread_frames(len(keyframes), MOST_KEYFRAMES)):
        corners, nearness = _corners(grey[keyframe, 0], inverse_depth[keyframe])
        if len(corners):
            parts.append(_triangulate(_track(keyframe, corners, nearness, grey, trajectory), frames, trajectory))
    return _joined(parts)


def _corners(image: Float[Tensor, "height width"], inverse_depth: Tensor) -> tuple[Tensor, Tensor]:
    """Image coordinates and 1 / z of the best corner of each cell (smaller eigenvalue of the structure tensor, Shi and
    Tomasi 1994)."""
    height, width = image.shape
    if min(height, width) < CELL:
        return image.new_zeros(0, 2), image.new_zeros(0)
    dy, dx = torch.gradient(image)
    moments = torch.stack([dx * dx, dx * dy, dy * dy])[None]
    xx, xy, yy = torch.nn.functional.avg_pool2d(moments, 5, 1, 2)[0]
    score = (xx + yy) / 2 - (((xx - yy) / 2).square() + xy.square()).sqrt()
    edge = _RADIUS + 1
    usable = torch.zeros_like(score, dtype=torch.bool)
    usable[edge:-edge, edge:-edge] = True
    score = torch.where(usable & inverse_depth.isfinite(), score, torch.zeros_like(score))
    best, where = torch.nn.functional.max_pool2d(score[None, None], CELL, return_indices=True)
    where = where[best > 1e-4]  # a gradient of one or two grey levels a pixel
    row, column = where // width, where % width
    uv = torch.stack([(column + 0.5) / width, (row + 0.5) / height], -1)
    return uv, inverse_depth[row, column]


def _track(frame: int, corners: Tensor, inverse_depth: Tensor, grey: Tensor, trajectory: CameraTrajectory) -> _Tracks:
    """Each corner's patch, aligned with other frames from where the structure predicts it."""
    size = torch.tensor([grey.shape[-1], grey.shape[-2]])
    offsets = torch.arange(-_RADIUS, _RADIUS + 1.0)
    patch = torch.stack(torch.meshgrid(offsets, offsets, indexing="xy"), -1).reshape(-1, 2) / size
    pixels = corners[:, None] + patch  # [corner, pixel, 2]
    template = sample(grey[[frame]], pixels[None])[0, 0]
    views = [frame, *_targets(frame, len(grey))]
    pose, intrinsics = trajectory.cameras.world_from_camera, trajectory.cameras.intrinsics.float()
    motion = torch.stack([invert(pose[view]) @ pose[frame] for view in views])
    found, good = [corners], [torch.ones(len(corners), dtype=torch.bool)]
    for view, relative in zip(views[1:], motion[1:].float(), strict=True):
        start = _transfer(pixels, inverse_depth[:, None], relative, intrinsics[[frame, view]])
        shift, fits = _align(template, grey[[view]], start, size)
        found.append(_transfer(corners, inverse_depth, relative, intrinsics[[frame, view]]) + shift / size)
        good.append(fits)
    return _Tracks(inverse_depth, views, motion, torch.stack(found, 1).double(), torch.stack(good, 1))


def _targets(frame: int, count: int) -> list[int]:
    """Up to ten other frames, nearer ones more densely."""
    steps = [1, 2, 4, 7, 12]
    return [frame + sign * step for step in steps for sign in (-1, 1) if 0 <= frame + sign * step < count]


def _transfer(uv: Tensor, inverse_depth: Tensor, motion: Tensor, intrinsics: Tensor) -> Tensor:
    """Image coordinates in the other frame of points at image coordinates `uv` and 1 / z in this one; the intrinsics of
    both."""
    own, other = intrinsics
    ray = unproject(uv, own.expand(*uv.shape[:-1], 4))
    point = ray @ motion[:3, :3].mT + inverse_depth[..., None] * motion[:3, 3]
    return point[..., :2] / point[..., 2:].clamp_min(0.05) * other[:2] + other[2:]


def _align(template: Tensor, target: Tensor, start: Tensor, size: Tensor) -> tuple[Tensor, Bool[Tensor, "corner"]]:
    """(shift in pixels that aligns each patch with the target image, whether the match can be trusted)."""
    shift = torch.zeros(len(template), 2)
    wanted = template - template.mean(1, keepdim=True)
    dy, dx = torch.gradient(target[0, 0])
    maps = torch.stack([target[0, 0], dx, dy])[None]
    step = shift
    for _ in range(_ITERATIONS):
        seen, gx, gy = sample(maps, (start + (shift / size)[:, None])[None], "border")[0].unbind(0)
        error = wanted - (seen - seen.mean(1, keepdim=True))
        gx, gy = gx - gx.mean(1, keepdim=True), gy - gy.mean(1, keepdim=True)
        xx, xy, yy = (gx * gx).sum(1) + 1e-4, (gx * gy).sum(1), (gy * gy).sum(1) + 1e-4
        bx, by = (gx * error).sum(1), (gy * error).sum(1)
        step = torch.stack([yy * bx - xy * by, xx * by - xy * bx], -1) / (xx * yy - xy * xy)[:, None].clamp_min(1e-9)
        step = step.clamp(-1, 1)
        shift = shift + step
    uv = start + (shift / size)[:, None]
    seen = sample(target, uv[None], "border")[0, 0]
    correlation = torch.nn.functional.cosine_similarity(wanted, seen - seen.mean(1, keepdim=True), dim=1)
    inside = ((uv > 0) & (uv < 1)).all(-1).all(-1)
    settled = (step.abs().amax(-1) < 0.1) & (shift.norm(dim=-1) < _FARTHEST_CORRECTION)
    return shift, inside & settled & (correlation > _LEAST_CORRELATION)


def _triangulate(tracks: _Tracks, frames: Tensor, trajectory: CameraTrajectory) -> TrackedPoints:
    """Points from their observations (Gauss-Newton), outliers taken out once."""
    good = tracks.good
    size = torch.tensor([frames.shape[-1], frames.shape[-2]], dtype=torch.float64)
    intrinsics = trajectory.cameras.intrinsics[tracks.views]
    for _ in range(2):
        point, error = _solve(tracks, good, intrinsics, size)
        good = good & (error < _LARGEST_ERROR)
    kept = (good.sum(1) >= LEAST_VIEWS) & (point[:, 2] > 0)
    point, error, good, uv = point[kept], error[kept], good[kept], tracks.uv[kept]
    local = torch.cat([point[:, :2], torch.ones_like(point[:, :1])], -1) / point[:, 2:]
    pose = trajectory.cameras.world_from_camera[tracks.views[0]]
    source = torch.tensor(trajectory.image_size, dtype=torch.float64)
    scale = (source / size).mean()
    number, view = torch.nonzero(good, as_tuple=True)
    color = sample(as_floats(frames[tracks.views[:1]]), uv[None, None, :, 0].float())[0, :, 0].mT
    return TrackedPoints(
        local @ pose[:3, :3].mT + pose[:3, 3],
        (color.clamp(0, 1) * 255).round().to(torch.uint8),
        (error * good).sum(1) / good.sum(1) * scale,
        number,
        torch.tensor(tracks.views)[view],
        uv[number, view] * source,
    )


def _solve(tracks: _Tracks, good: Tensor, intrinsics: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """((x / z, y / z, 1 / z) of each point in its own frame's axes, reprojection error of each view in pixels); the
    intrinsics are those of each view."""
    focal, motion = intrinsics[:, :2] * size, tracks.motion
    rays = (tracks.uv - intrinsics[:, 2:]) / intrinsics[:, :2]
    observed, inverse_depth = rays * focal, tracks.inverse_depth.double()
    value = torch.cat([rays[:, 0], inverse_depth[:, None]], -1)
    basis = torch.stack([motion[:, :3, 0], motion[:, :3, 1], motion[:, :3, 3]], -1)  # [view, 3, unknown]
    weight = good[..., None].double()
    prior = torch.zeros_like(value)
    prior[:, 2] = (_NOISE / (_PRIOR * inverse_depth)).square()
    for _ in range(6):
        point = torch.einsum("vij,nj->nvi", basis, value) + motion[:, :3, 2]
        depth = point[..., 2:].clamp_min(0.05)
        residual = observed - point[..., :2] / depth * focal
        slope = (basis[:, :2] - (point[..., :2] / depth)[..., None] * basis[:, 2:]) / depth[..., None]
        slope = rearrange(slope * focal[..., None] * weight[..., None], "n v i j -> n (v i) j")
        right = (slope * rearrange(residual, "n v i -> n (v i) 1")).sum(1)
        right[:, 2] += prior[:, 2] * (inverse_depth - value[:, 2])
        matrix = slope.mT @ slope + torch.diag_embed(prior + 1e-6)
        value = value + torch.linalg.solve(matrix, right)
    point = torch.einsum("vij,nj->nvi", basis, value) + motion[:, :3, 2]
    residual = observed - point[..., :2] / point[..., 2:].clamp_min(0.05) * focal
    return value, residual.norm(dim=-1)


def _joined(parts: list[TrackedPoints]) -> TrackedPoints:
    starts = torch.tensor([0, *map(len, parts)]).cumsum(0)
    shifted = [replace(part, point=part.point + start) for part, start in zip(parts, starts[:-1], strict=True)]
    values = ([getattr(part, one.name) for part in [no_points(), *shifted]] for one in fields(TrackedPoints))
    return TrackedPoints(*map(torch.cat, values))
