"""Signs that a model has collapsed: it reconstructs, or seems to, without having found structure or motion.

Pure functions on a model's outputs. Poses are `world_from_camera` (OpenCV axes); each function returns a `Finding`, or
None where the question does not arise (a camera that truly stands still has no direction).
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from video_ae.evaluation.metrics.images import Images
from video_ae.evaluation.metrics.pose_errors import Poses, pair_errors, pairs_apart, rms_extent
from video_ae.geometry.se3 import relative_to_first, rotation_angle, so3_log
from video_ae.types import VideoClip

LEAST_TURN = 0.1  # degrees: a path that rotates less stands still
LEAST_PATH = 1e-3  # of the scene's depth (mean inverse depth 1): so does one that moves less
MOST_INDEX_SHARE = 0.5  # of the variance of the poses on a there-and-back clip
LEAST_RELIEF = 0.02  # standard deviation over mean of the inverse depths within a frame
MOST_COPYING = 0.25  # distance to the context over the context's distance to the target
LEAST_CHANGE = 0.02  # mean absolute difference of a clip's first and last frame (RGB in [0, 1])
FOCAL_RANGE = 2.5  # times longer or shorter than one longer side: fields of view of 22 to 103 degrees
MOST_WRONG_DIRECTION = 120.0  # degrees, mean: worse than chance (90) by far
MOST_DRIFT = 2.0  # between the scale at a path's beginning and at its end


@dataclass(frozen=True)
class Finding:
    """One sign of collapse, looked for in one clip.

    Args:
        name: of the sign.
        value: that was measured.
        limit: beyond which the sign is there.
        triggered: whether `value` lies on the wrong side of `limit`.
        meaning: for people.
    """

    name: str
    value: float
    limit: float
    triggered: bool
    meaning: str


def poses_alike(found: Poses, true: Poses, scene_depth: float = 1.0) -> Finding | None:
    """The found camera neither moves nor rotates, though the true one does. Value: the larger of both, in limits.

    Args:
        found, true: poses of the same frames.
        scene_depth: typical depth in the scale of the found poses.
    """
    if _movement(true, rms_extent(true[:, :3, 3]) or 1.0) <= 1:
        return None
    moved = _movement(found, scene_depth)
    return Finding("poses all alike", moved, 1.0, moved <= 1, "the camera is said to stand still, but it moves")


def camera_stands_still(found: Poses, frames: Images, scene_depth: float = 1.0) -> Finding | None:
    """As `poses_alike` where the truth is unknown: the frames of the clip change, and the found camera does not move.

    Args:
        found: poses of the frames.
        frames: RGB in [0, 1].
        scene_depth: as in `poses_alike`.
    """
    if (frames[-1] - frames[0]).abs().mean() < LEAST_CHANGE:
        return None
    moved = _movement(found, scene_depth)
    return Finding("poses all alike", moved, 1.0, moved <= 1, "the camera is said to stand still, but frames change")


def _movement(poses: Tensor, depth: float) -> float:
    """How far a path moves and rotates, in units of what still counts as standing still."""
    angle = rotation_angle(poses[0, :3, :3].mT @ poses[:, :3, :3]).rad2deg().max().item()
    return max(angle / LEAST_TURN, rms_extent(poses[:, :3, 3]) / (LEAST_PATH * depth))


def there_and_back(clip: VideoClip) -> VideoClip:
    """The clip, followed by itself backwards without its last frame: 0, 1, ... n - 1, ... 1, 0, numbered onwards.

    Args:
        clip: n frames.
    """
    order = [*range(len(clip)), *range(len(clip) - 2, -1, -1)]
    numbers = torch.arange(len(order))
    return replace(clip.select(order), indices=numbers, times=numbers.to(clip.times.dtype))


def poses_encode_time(found: Poses) -> Finding:
    """On a `there_and_back` clip: the share of the poses' variance that the frame index explains linearly.

    True motion comes back, so that it is even in time and the index explains nothing of it; poses that merely count
    frames are explained wholly.

    Args:
        found: poses of such a clip.
    """
    relative = relative_to_first(found.double())
    rotations, centres = so3_log(relative[:, :3, :3]), relative[:, :3, 3]
    unit = [part / part.std().clamp_min(1e-12) for part in (rotations, centres) if part.std() > 1e-9]
    if not unit:
        return Finding("poses encode time", 0.0, MOST_INDEX_SHARE, False, "the poses do not vary")
    values = torch.cat(unit, -1)
    values = values - values.mean(0)
    index = torch.arange(len(found), dtype=torch.float64)
    index = (index - index.mean()) / (index - index.mean()).norm()
    share = ((index @ values).square().sum() / values.square().sum()).item()
    meaning = "the poses count frames: played there and back, the camera does not come back"
    return Finding("poses encode time", share, MOST_INDEX_SHARE, share > MOST_INDEX_SHARE, meaning)


def flat_structure(inverse_depth: Float[Tensor, "frame rows columns"]) -> Finding:
    """Inverse depth hardly varies within the frames (median over frames of its deviation over its mean).

    Args:
        inverse_depth: maps of the frames, in any scale.
    """
    maps = inverse_depth.double().flatten(1)
    relief = (maps.std(-1) / maps.mean(-1).abs().clamp_min(1e-12)).median().item()
    meaning = "the scene is said to be a wall in front of the camera"
    return Finding("flat structure", relief, LEAST_RELIEF, relief < LEAST_RELIEF, meaning)


def copies_context(
    predictions: Images, contexts: Float[Tensor, "batch context 3 height width"], targets: Images
) -> Finding | None:
    """The predictions lie at their nearest context instead of at the target (median over the views that change).

    Args:
        predictions: RGB in [0, 1].
        contexts: the given frames of each view.
        targets: the true frame of each view.
    """
    to_context = (predictions[:, None] - contexts).abs().mean((-3, -2, -1))
    nearest = to_context.argmin(-1, keepdim=True)
    change = (targets[:, None] - contexts).abs().mean((-3, -2, -1)).gather(-1, nearest)[:, 0]
    differs = change > 1e-3
    if not differs.any():
        return None
    ratio = (to_context.gather(-1, nearest)[:, 0] / change)[differs].median().item()
    meaning = "what is rendered is a given frame, not the view asked for"
    return Finding("prediction is the nearest context", ratio, MOST_COPYING, ratio < MOST_COPYING, meaning)


def shrink(frames: Float[Tensor, "*batch 3 height width"]) -> Float[Tensor, "*batch 3 rows columns"]:
    """At most 64 pixels high: enough to see whether an image is a copy.

    Args:
        frames: RGB in [0, 1].
    """
    height, width = frames.shape[-2:]
    size = (min(64, height), max(1, round(width * min(64, height) / height)))
    return interpolate(frames.flatten(0, -4), size, mode="area").unflatten(0, frames.shape[:-3])


def runaway_focal(intrinsics: Float[Tensor, "frame 4"], image_size: tuple[int, int]) -> Finding:
    """The focal length left the range of real cameras.

    Value: how many times it is longer or shorter than the longer side of the image.

    Args:
        intrinsics: as in `Cameras`.
        image_size: (width, height) in pixels.
    """
    focal = (intrinsics[:, 0].double().mean() * image_size[0] / max(image_size)).item()
    valid = math.isfinite(focal) and focal > 0
    times = max(focal, 1 / focal) if valid else math.inf
    return Finding("runaway focal length", times, FOCAL_RANGE, times > FOCAL_RANGE, "no real camera sees like this")


def wrong_sign(found: Poses, true: Poses, gap: int = 5) -> Finding | None:
    """The camera moves, on the whole, opposite to the truth (the depth-reversed solution).

    Args:
        found, true: poses of the same frames.
        gap: frames between the pairs that are compared.
    """
    error = pair_errors(found, true, pairs_apart(len(true), min(gap, len(true) - 1))).mean_direction
    if error is None:
        return None
    wrong, meaning = error > MOST_WRONG_DIRECTION, "the camera is said to move backwards"
    return Finding("wrong sign of translation", error, MOST_WRONG_DIRECTION, wrong, meaning)


def scale_drift(found: Poses, true: Poses) -> Finding | None:
    """The ratio of found to true step lengths grows or shrinks over the clip.

    Value: its change from end to end by a straight line through its logarithm, over the steps that truly move (at least
    four).

    Args:
        found, true: poses of the same frames.
    """
    steps = [poses[:, :3, 3].double().diff(dim=0).norm(dim=-1) for poses in (found, true)]
    usable = (steps[1] > 0.1 * steps[1].mean()) & (steps[0] > 0)
    if usable.sum() < 4:
        return None
    ratio = (steps[0][usable] / steps[1][usable]).log()
    index = torch.arange(len(usable), dtype=torch.float64)[usable]
    centred = index - index.mean()
    slope = (centred @ ratio / (centred @ centred)).item()
    drift = math.exp(min(abs(slope) * (len(usable) - 1), 100.0))
    return Finding("scale drift", drift, MOST_DRIFT, drift > MOST_DRIFT, "steps grow or shrink along the path")
