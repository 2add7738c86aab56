"""Camera paths: interpolated, smoothed, and new ones about a point that the cameras look at.

All functions take and return `Cameras` without batch axis. Lengths are in the cameras' own (arbitrary) scale; how far a
new path departs from the input path follows from the depth of the scene and from the extent of the input path, so that
views stay plausible.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.covisibility import NEAR_SURFACES, view_displacement
from video_ae.geometry.pinhole import transform
from video_ae.geometry.se3 import invert, rigid, se3_exp, se3_log, so3_exp, so3_log
from video_ae.types import Cameras

LEAST_MOVEMENT = 0.05  # of the scene's depth: less parallax than this is hard to see
MOST_MOVEMENT = 0.1  # of the scene's depth: beyond it, regions that the input never showed come into view
ALIKE = 0.25  # image widths: near surfaces move by no more than this between frames of similar content
MOST_SMOOTHING = 0.1  # image widths: most displacement of the image that smoothing may cause
LEAST_SIGMA = 1.0  # frames
_SAMPLED_FRAMES = 64  # whose reach is measured
_WINDOW = 3  # standard deviations at which the Gaussian is cut


def scene_depth(inverse_depth: Float[Tensor, "*maps"]) -> float:
    """A typical depth: one over the median of the inverse depths that are positive and finite; 1 if there are none.

    Args:
        inverse_depth: 1 / z, NaN where unknown.

    >>> scene_depth(torch.tensor([0.25, 0.5, 4.0, float("nan")]))
    2.0
    """
    usable = inverse_depth[inverse_depth.isfinite() & (inverse_depth > 0)]
    return 1 / usable.median().item() if len(usable) else 1.0


def movement_radius(cameras: Cameras, depth: float, reference: int | None = None) -> float:
    """How far a new path goes: half the sideways reach of the input path, within 5 % and 10 % of the scene's depth.

    The reach of a frame is the distance from its viewing axis of the farthest frame of similar content, in which even
    near surfaces have hardly moved. Motion along the axis reveals little and does not count.

    Args:
        cameras: the input path.
        depth: typical depth of the scene.
        reference: the frame whose reach counts; by default the lower quartile over frames of the whole path.
    """
    count = len(cameras)
    sampled = [reference] if reference is not None else spread_frames(count, _SAMPLED_FRAMES)
    views = cameras.select(sampled)
    near = views.intrinsics.new_full((len(sampled),), NEAR_SURFACES / depth)
    alike = view_displacement(views, near, cameras) <= ALIKE
    centres = cameras.world_from_camera[:, :3, 3]
    sideways = transform(invert(views.world_from_camera)[:, None], centres)[..., :2].norm(dim=-1)
    reach = (sideways * alike).amax(1).quantile(0.25).item()
    return min(max(float(reach) / 2, LEAST_MOVEMENT * depth), MOST_MOVEMENT * depth)


def spread_frames(count: int, most: int) -> list[int]:
    """Numbers of evenly spread frames, the first and the last among them.

    Args:
        count: number of frames to choose from.
        most: largest number of frames to choose.

    >>> spread_frames(9, 3)
    [0, 4, 8]
    """
    return sorted(set(torch.linspace(0, count - 1, min(count, most)).round().long().tolist()))


def interpolate(
    cameras: Cameras, positions: Float[Tensor, "time"], method: Literal["linear", "spline"] = "spline"
) -> Cameras:
    """Cameras at fractional frame numbers; whole numbers give the input.

    Rotations are interpolated at constant speed between neighbours (slerp), intrinsics linearly.

    Args:
        cameras: the path.
        positions: frame numbers, clamped to 0 .. frames - 1.
        method: centres move on straight lines ("linear") or on the Catmull-Rom spline through all of them ("spline").
    """
    pose = cameras.world_from_camera
    last = len(cameras) - 1
    time = positions.to(pose).clamp(0, last)
    left = time.floor().long().clamp(max=max(last - 1, 0))
    right = (left + 1).clamp(max=last)
    part = (time - left)[:, None]
    rotation_vector = so3_log(pose[left, :3, :3].mT @ pose[right, :3, :3])
    rotation = pose[left, :3, :3] @ so3_exp(part * rotation_vector)
    centre = pose[:, :3, 3]
    if method == "linear":
        moved = torch.lerp(centre[left], centre[right], part)
    else:
        moved = _catmull_rom(centre, left, right, part)
    intrinsics = torch.lerp(cameras.intrinsics[left], cameras.intrinsics[right], part)
    return Cameras(rigid(rotation, moved), intrinsics)


def _catmull_rom(points: Tensor, left: Tensor, right: Tensor, part: Tensor) -> Tensor:
    """Catmull & Rom 1974, uniform; beyond the ends the path is continued straight."""
    neighbours = points if len(points) > 1 else points.expand(2, 3)
    first, last = 2 * neighbours[:1] - neighbours[1:2], 2 * neighbours[-1:] - neighbours[-2:-1]
    extended = torch.cat([first, points, last])
    before, after = extended[left], extended[(right + 2).clamp(max=len(extended) - 1)]
    start, end = points[left], points[right]
    square, cube = part**2, part**3
    return (
        start
        + 0.5 * part * (end - before)
        + square * (before - 2.5 * start + 2 * end - 0.5 * after)
        + cube * (-0.5 * before + 1.5 * start - 1.5 * end + 0.5 * after)
    )


def smooth(cameras: Cameras, sigma: float, times: Float[Tensor, "frame"] | None = None) -> Cameras:
    """Each pose replaced by a Gaussian average of its neighbours in its own tangent space.

    The average is the value of a line that is fitted to them (local linear regression; Cleveland 1979), so that a
    motion at constant speed is not changed at all, however uneven the times are. Towards the ends the window shrinks,
    so the first and last pose stay. Intrinsics stay.

    Args:
        cameras: the path.
        sigma: standard deviation of the Gaussian, in the unit of `times`.
        times: at which the cameras saw, ascending; by default the numbers of the frames.
    """
    pose = cameras.world_from_camera
    count, reach = len(cameras), _WINDOW * sigma * (1 + 1e-6)  # a frame at the window's end counts, however rounded
    moments = torch.arange(count, device=pose.device) if times is None else times.to(pose.device)
    moments = moments.to(pose.dtype)
    first = torch.searchsorted(moments, moments - reach).tolist()
    last = torch.searchsorted(moments, moments + reach, right=True).tolist()
    smoothed = []
    for frame in range(count):
        radius = min(frame, count - 1 - frame)
        near = slice(max(first[frame], frame - radius), min(last[frame], frame + radius + 1))
        offsets = moments[near] - moments[frame]
        weights = torch.exp(-0.5 * (offsets / max(sigma, 1e-6)) ** 2)
        twists = se3_log(invert(pose[frame]) @ pose[near])
        smoothed.append(pose[frame] @ se3_exp(_value_of_line(weights, offsets) @ twists))
    return Cameras(torch.stack(smoothed), cameras.intrinsics)


def _value_of_line(weights: Float[Tensor, "n"], offsets: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """What values at `offsets` contribute to the value at 0 of the line that is fitted to them by weighted squares."""
    mean = (weights @ offsets) / weights.sum()
    spread = weights @ (offsets - mean) ** 2
    tilt = torch.where(spread > 0, mean / spread, 0.0)
    return weights / weights.sum() - tilt * weights * (offsets - mean)


def resample(cameras: Cameras, frames: int) -> Cameras:
    """The same path in another number of frames, from its first camera to its last.

    Args:
        cameras: the path.
        frames: number of frames wanted.
    """
    return interpolate(cameras, torch.linspace(0, len(cameras) - 1, frames, dtype=torch.float64))


def input_path(cameras: Cameras, depth: float = 1.0, frames: int | None = None, reference: int = 0) -> Cameras:
    """The input path itself.

    Args:
        cameras: the input path.
        depth: not used.
        frames: number of frames to resample it to; by default it stays as it is.
        reference: not used.
    """
    return cameras if frames is None else resample(cameras, frames)


def novel(
    cameras: Cameras,
    depth: float,
    frames: int | None = None,
    reference: int = 0,
    swing: Float[Tensor, "frame"] | float = 1.0,
) -> Cameras:
    """A path that swings around the smoothed input path, and starts and ends on it.

    Smoothing moves no image by more than `MOST_SMOOTHING` of its width, or a fast walk would be shown from viewpoints
    that nothing was observed from. The swing is one and a half turns of an ellipse across the viewing direction that
    opens and closes smoothly; the camera keeps looking at the point `depth` in front of the path.

    Args:
        cameras: the input path.
        depth: typical depth of the scene.
        frames: number of frames of the new path; by default that of the input.
        reference: not used.
        swing: part of the radius (`movement_radius`) that is swung, of each frame of the new path.
    """
    count = frames or len(cameras)
    base = resample(_smoothed_nearby(cameras, depth), count)
    radius = movement_radius(cameras, depth)
    phase = torch.linspace(0, 1, count, dtype=torch.float64)
    opening = radius * swing * torch.sin(math.pi * phase) ** 2
    angle = 2 * math.pi * 1.5 * phase
    shift = torch.stack([opening * angle.sin(), -0.5 * opening * angle.cos(), torch.zeros_like(phase)], -1)
    return _displaced(base, shift, depth, look_at=True)


def orbit(cameras: Cameras, depth: float, frames: int | None = None, reference: int = 0) -> Cameras:
    """A swing to the right and left on a circle about a point in front of the reference frame, kept in view.

    It starts and ends at the reference frame's camera.

    Args:
        cameras: the input path.
        depth: of the point in front of the reference frame.
        frames: number of frames of the new path; by default that of the input.
        reference: position of the reference frame in `cameras`.
    """
    base, phase, radius = _about(cameras, depth, frames, reference)
    angle = radius / depth * torch.sin(2 * math.pi * phase)
    shift = depth * torch.stack([angle.sin(), torch.zeros_like(angle), 1 - angle.cos()], -1)
    return _displaced(base, shift, depth, look_at=True)


def spiral(cameras: Cameras, depth: float, frames: int | None = None, reference: int = 0) -> Cameras:
    """Two turns of a spiral about the reference frame's viewing direction that opens, moves forward, and closes again.

    After the paths of Local Light Field Fusion (Mildenhall et al. 2019). It starts and ends at the reference frame's
    camera, and keeps the pivot in view.

    Args:
        cameras: the input path.
        depth: of the pivot in front of the reference frame.
        frames: number of frames of the new path; by default that of the input.
        reference: position of the reference frame in `cameras`.
    """
    base, phase, radius = _about(cameras, depth, frames, reference)
    opening = radius * torch.sin(math.pi * phase)
    angle = 4 * math.pi * phase
    shift = torch.stack([opening * angle.cos(), 0.6 * opening * angle.sin(), 0.5 * opening], -1)
    return _displaced(base, shift, depth, look_at=True)


def dolly(cameras: Cameras, depth: float, frames: int | None = None, reference: int = 0) -> Cameras:
    """A motion along the reference frame's viewing direction and back, which starts and ends smoothly at its camera.

    Args:
        cameras: the input path.
        depth: typical depth of the scene.
        frames: number of frames of the new path; by default that of the input.
        reference: position of the reference frame in `cameras`.
    """
    base, phase, radius = _about(cameras, depth, frames, reference)
    forward = 1.5 * radius * torch.sin(math.pi * phase) ** 2
    shift = torch.stack([torch.zeros_like(forward), torch.zeros_like(forward), forward], -1)
    return _displaced(base, shift, depth, look_at=False)


PATHS: dict[str, Callable[[Cameras, float, int | None, int], Cameras]] = {
    "input": input_path,
    "orbit": orbit,
    "spiral": spiral,
    "dolly": dolly,
}


def _smoothed_nearby(cameras: Cameras, depth: float) -> Cameras:
    """Smoothed with a twelfth of the path as `sigma`, or less where that would move an image too far."""
    sigma = max(LEAST_SIGMA, len(cameras) / 12)
    while True:
        smoothed = smooth(cameras, sigma)
        twist = se3_log(invert(cameras.world_from_camera) @ smoothed.world_from_camera)
        moved = (twist[:, :3].norm(dim=-1) + twist[:, 3:].norm(dim=-1) / depth) * cameras.intrinsics[:, 0]
        if sigma <= LEAST_SIGMA or moved.max() <= MOST_SMOOTHING:
            return smoothed
        sigma = max(LEAST_SIGMA, sigma / 1.5)


def _about(cameras: Cameras, depth: float, frames: int | None, reference: int) -> tuple[Cameras, Tensor, float]:
    """The reference frame's camera once a frame of the new path, the part of the path before each, and its radius."""
    count = frames or len(cameras)
    phase = torch.linspace(0, 1, count, dtype=torch.float64)
    return cameras.select([reference] * count), phase, movement_radius(cameras, depth, reference)


def _displaced(base: Cameras, shift: Tensor, depth: float, look_at: bool) -> Cameras:
    """Each camera moved by `shift` in its own axes; with `look_at`, it keeps looking at the point `depth` ahead."""
    shift = shift.to(base.world_from_camera)
    if look_at:
        pivot = torch.tensor([0.0, 0.0, depth], dtype=shift.dtype, device=shift.device)
        rotation = _rotation_to(pivot - shift)
    else:
        rotation = torch.eye(3, dtype=shift.dtype, device=shift.device).expand(len(shift), 3, 3)
    return Cameras(base.world_from_camera @ rigid(rotation, shift), base.intrinsics)


def _rotation_to(direction: Tensor) -> Tensor:
    """The smallest rotations (hence without roll) that map the z axis to directions in front of the camera."""
    axis = torch.stack([-direction[:, 1], direction[:, 0], torch.zeros_like(direction[:, 0])], -1)  # z x direction
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, direction[:, 2:])
    return so3_exp(torch.where(sine > 0, angle * axis / sine.clamp_min(1e-30), torch.zeros_like(axis)))


def frustum_scale(cameras: Cameras, depth: float) -> float:
    """Length of the drawn cameras: small beside the scene, and beside the path where there is one.

    Args:
        cameras: the path.
        depth: a typical depth of the scene.
    """
    extent = (cameras.centers - cameras.centers[:1]).norm(dim=-1).max().item()
    return min(max(0.25 * extent, 0.04 * depth), 0.07 * depth)
