"""Camera paths: between given cameras, smoother than given cameras, and new ones about a point that they look at.

All functions take and return `Cameras` without batch axis. Lengths are in the cameras' own (arbitrary) scale; how far a
new path strays follows from the depth of the scene and from how far the input path went, so that views stay plausible.
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
MOST_MOVEMENT = 0.1  # of the scene's depth: beyond it, what the input never saw comes into view
ALIKE = 0.25  # picture widths: by no more do near surfaces move between frames that show much the same
MOST_SMOOTHING = 0.1  # picture widths that the pictures of a new path move through its being smooth
LEAST_SIGMA = 1.0  # frames
_ASKED = 64  # frames whose reach is looked at
_WINDOW = 3  # standard deviations at which the Gaussian is cut


def scene_depth(inverse_depth: Float[Tensor, "*maps"]) -> float:
    """A typical depth: one over the median of the inverse depths that are positive and finite; 1 if there are none.

    >>> scene_depth(torch.tensor([0.25, 0.5, 4.0, float("nan")]))
    2.0
    """
    usable = inverse_depth[inverse_depth.isfinite() & (inverse_depth > 0)]
    return 1 / usable.median().item() if len(usable) else 1.0


def movement_radius(cameras: Cameras, depth: float, reference: int | None = None) -> float:
    """How far a new path goes: half the sideways reach of the input path, within 5 % and 10 % of the scene's depth.

    The reach of a frame is how far off its viewing axis the farthest frame lies in which even near surfaces have hardly
    moved: only such frames say what would come into view, and moving straight ahead says little of it. That of the
    frame `reference`, or a lower quartile over frames spread over the path.
    """
    count = len(cameras)
    asked = [reference] if reference is not None else spread_frames(count, _ASKED)
    views = cameras.select(asked)
    near = views.intrinsics.new_full((len(asked),), NEAR_SURFACES / depth)
    alike = view_displacement(views, near, cameras) <= ALIKE
    centres = cameras.world_from_camera[:, :3, 3]
    sideways = transform(invert(views.world_from_camera)[:, None], centres)[..., :2].norm(dim=-1)
    reach = (sideways * alike).amax(1).quantile(0.25).item()
    return min(max(reach / 2, LEAST_MOVEMENT * depth), MOST_MOVEMENT * depth)


def spread_frames(count: int, most: int) -> list[int]:
    """Up to `most` of `count` frames, the first and the last among them, evenly spread.

    >>> spread_frames(9, 3)
    [0, 4, 8]
    """
    return sorted(set(torch.linspace(0, count - 1, min(count, most)).round().long().tolist()))


def interpolate(
    cameras: Cameras, positions: Float[Tensor, "time"], method: Literal["linear", "spline"] = "spline"
) -> Cameras:
    """Cameras at fractional frame numbers (clamped to 0 .. frames - 1).

    Rotations turn at constant speed between neighbours (slerp); centres move on straight lines (`linear`) or on the
    Catmull-Rom spline through all of them (`spline`); intrinsics change linearly. Whole numbers give the input.
    """
    pose = cameras.world_from_camera
    last = len(cameras) - 1
    place = positions.to(pose).clamp(0, last)
    left = place.floor().long().clamp(max=max(last - 1, 0))
    right = (left + 1).clamp(max=last)
    part = (place - left)[:, None]
    turn = so3_log(pose[left, :3, :3].mT @ pose[right, :3, :3])
    rotation = pose[left, :3, :3] @ so3_exp(part * turn)
    centre = pose[:, :3, 3]
    if method == "linear":
        moved = torch.lerp(centre[left], centre[right], part)
    else:
        moved = _catmull_rom(centre, left, right, part)
    intrinsics = torch.lerp(cameras.intrinsics[left], cameras.intrinsics[right], part)
    return Cameras(rigid(rotation, moved), intrinsics)


def _catmull_rom(points: Tensor, left: Tensor, right: Tensor, part: Tensor) -> Tensor:
    """Catmull and Rom 1974, uniform; beyond the ends the path goes on straight."""
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


def smooth(cameras: Cameras, sigma: float) -> Cameras:
    """Each pose replaced by a Gaussian average of its neighbours (`sigma` in frames), taken in its own tangent space.

    Towards the ends the window shrinks on both sides alike, so the first and last pose stay, and a motion at constant
    speed is not changed at all. Intrinsics stay.
    """
    pose = cameras.world_from_camera
    count = len(cameras)
    reach = int(_WINDOW * sigma)
    smoothed = []
    for frame in range(count):
        radius = min(reach, frame, count - 1 - frame)
        window = pose[frame - radius : frame + radius + 1]
        offsets = torch.arange(-radius, radius + 1, dtype=pose.dtype, device=pose.device)
        weights = torch.exp(-0.5 * (offsets / max(sigma, 1e-6)) ** 2)
        twists = se3_log(invert(pose[frame]) @ window)
        smoothed.append(pose[frame] @ se3_exp((weights / weights.sum()) @ twists))
    return Cameras(torch.stack(smoothed), cameras.intrinsics)


def resample(cameras: Cameras, frames: int) -> Cameras:
    """The same path in another number of frames, from its first camera to its last."""
    return interpolate(cameras, torch.linspace(0, len(cameras) - 1, frames, dtype=torch.float64))


def input_path(cameras: Cameras, depth: float = 1.0, frames: int | None = None, reference: int = 0) -> Cameras:
    """The input path itself, resampled if `frames` is given. `depth` and `reference` are not used."""
    return cameras if frames is None else resample(cameras, frames)


def novel(cameras: Cameras, depth: float, frames: int | None = None, reference: int = 0) -> Cameras:
    """Follows the smoothed input path and swings around it: it starts and ends on it and leaves it in between.

    Smoothing moves no picture by more than `MOST_SMOOTHING` of its width, or a fast walk would be shown from where
    nobody has been. The swing is one turn of an ellipse across the viewing direction that opens and closes smoothly;
    the camera keeps looking at the point `depth` in front of the path.
    """
    count = frames or len(cameras)
    base = resample(_smoothed_nearby(cameras, depth), count)
    radius = movement_radius(cameras, depth)
    phase = torch.linspace(0, 1, count, dtype=torch.float64)
    opening = radius * torch.sin(math.pi * phase) ** 2
    angle = 2 * math.pi * 1.5 * phase
    shift = torch.stack([opening * angle.sin(), -0.5 * opening * angle.cos(), torch.zeros_like(phase)], -1)
    return _displaced(base, shift, depth, turn=True)


def orbit(cameras: Cameras, depth: float, frames: int | None = None, reference: int = 0) -> Cameras:
    """Swings right and left on a circle about the point `depth` in front of the reference frame, kept in view.

    It starts and ends at the reference frame's camera (position `reference` in `cameras`).
    """
    count = frames or len(cameras)
    phase = torch.linspace(0, 1, count, dtype=torch.float64)
    angle = movement_radius(cameras, depth, reference) / depth * torch.sin(2 * math.pi * phase)
    shift = depth * torch.stack([angle.sin(), torch.zeros_like(angle), 1 - angle.cos()], -1)
    return _displaced(_held(cameras, reference, count), shift, depth, turn=True)


def spiral(cameras: Cameras, depth: float, frames: int | None = None, reference: int = 0) -> Cameras:
    """Two turns of a spiral about the reference frame's viewing direction that opens, moves forward, and closes again.

    After the paths of Local Light Field Fusion (Mildenhall et al. 2019); the pivot stays in view. It starts and ends at
    the reference frame's camera.
    """
    count = frames or len(cameras)
    phase = torch.linspace(0, 1, count, dtype=torch.float64)
    opening = movement_radius(cameras, depth, reference) * torch.sin(math.pi * phase)
    angle = 4 * math.pi * phase
    shift = torch.stack([opening * angle.cos(), 0.6 * opening * angle.sin(), 0.5 * opening], -1)
    return _displaced(_held(cameras, reference, count), shift, depth, turn=True)


def dolly(cameras: Cameras, depth: float, frames: int | None = None, reference: int = 0) -> Cameras:
    """Moves along the reference frame's viewing direction and back, starting and ending gently at its camera."""
    count = frames or len(cameras)
    phase = torch.linspace(0, 1, count, dtype=torch.float64)
    forward = 1.5 * movement_radius(cameras, depth, reference) * torch.sin(math.pi * phase) ** 2
    shift = torch.stack([torch.zeros_like(forward), torch.zeros_like(forward), forward], -1)
    return _displaced(_held(cameras, reference, count), shift, depth, turn=False)


PATHS: dict[str, Callable[[Cameras, float, int | None, int], Cameras]] = {
    "input": input_path,
    "orbit": orbit,
    "spiral": spiral,
    "dolly": dolly,
}


def _smoothed_nearby(cameras: Cameras, depth: float) -> Cameras:
    """As smooth as a twelfth of the path can make it, and less where the path would leave what its frames have seen."""
    sigma = max(LEAST_SIGMA, len(cameras) / 12)
    while True:
        smoothed = smooth(cameras, sigma)
        twist = se3_log(invert(cameras.world_from_camera) @ smoothed.world_from_camera)
        moved = (twist[:, :3].norm(dim=-1) + twist[:, 3:].norm(dim=-1) / depth) * cameras.intrinsics[:, 0]
        if sigma <= LEAST_SIGMA or moved.max() <= MOST_SMOOTHING:
            return smoothed
        sigma = max(LEAST_SIGMA, sigma / 1.5)


def _held(cameras: Cameras, frame: int, count: int) -> Cameras:
    """One frame's camera, `count` times."""
    return cameras.select([frame] * count)


def _displaced(base: Cameras, shift: Tensor, depth: float, turn: bool) -> Cameras:
    """Each camera moved by `shift` in its own axes and, with `turn`, turned back to the point `depth` ahead of it."""
    shift = shift.to(base.world_from_camera)
    if turn:
        pivot = torch.tensor([0.0, 0.0, depth], dtype=shift.dtype, device=shift.device)
        rotation = _turn_to(pivot - shift)
    else:
        rotation = torch.eye(3, dtype=shift.dtype, device=shift.device).expand(len(shift), 3, 3)
    return Cameras(base.world_from_camera @ rigid(rotation, shift), base.intrinsics)


def _turn_to(direction: Tensor) -> Tensor:
    """The smallest rotations (hence without roll) that turn the z axis to directions in front of the camera."""
    sideways = torch.stack([-direction[:, 1], direction[:, 0], torch.zeros_like(direction[:, 0])], -1)  # z x direction
    sine = sideways.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, direction[:, 2:])
    return so3_exp(torch.where(sine > 0, angle * sideways / sine.clamp_min(1e-30), torch.zeros_like(sideways)))
