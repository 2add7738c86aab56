"""Notes for people: what could not be determined and why, a flag and a sentence each."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.camera.base import Frames
from video_ae.camera.covariance import explained_part, typical_lost_cost
from video_ae.camera.problem import Correspondences, SceneState, Submap
from video_ae.camera.reprojection import frame_fit
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.covisibility import covisible_fraction
from video_ae.geometry.se3 import invert
from video_ae.types import CameraEstimate

NO_TEXTURE, NO_PARALLAX, STANDING = GUESSES = ("no texture", "no parallax", "standing camera")
MISFIT, DOUBTFUL, UNSURE_FOCAL, FLAT = "poor fit", "doubtful fit", "focal length", "flat scene"
EITHER = "zoom or path"
_NAMED = 3  # frames, or stretches of them, that a note names


def solver_notes(state: SceneState, matches: Correspondences, size: int) -> tuple[str, ...]:
    """What the correspondences do not determine.

    Args:
        state: the solved scene.
        matches: that it was solved on.
        size: shorter side of the frames that they were found in, in pixels.
    """
    if matches.reliable.float().mean().item() < THRESHOLDS.textured_fraction:
        return (
            f"{NO_TEXTURE}: the images are too plain, dark or blurred for the same point to be found in two of them, "
            "so cameras and depth are a guess",
        )
    if stands_still(matches):
        return (f"{STANDING}: nothing moves between the frames, so there is no path and no depth to be found",)
    notes = []
    if frame_fit(state, matches).mean().item() > THRESHOLDS.misfit_ratio * typical_lost_cost(size):
        notes.append(
            f"{MISFIT}: no camera that moves through a still scene explains these images, as where people fill them, "
            "a pattern repeats or all is plain; do not trust the cameras or the depth"
        )
    if parallax(state, matches) < THRESHOLDS.parallax_pixels:
        notes.append(
            f"{NO_PARALLAX}: the camera only turns, or all it sees is far away; how it turns is found, where it goes "
            "and how far things are is a guess"
        )
    return tuple(notes)


def fit_notes(solved: Submap) -> tuple[str, ...]:
    """The frames that a still scene explains no better than it explains those of lost clips, where no note says so of
    all of them.

    Args:
        solved: all frames of a clip.
    """
    doubtful = (explained_part(solved) < THRESHOLDS.doubtful_fit).nonzero()[:, 0].tolist()
    if not doubtful or is_guess(solved.notes) or misfits(solved.notes):
        return ()
    return (
        f"{DOUBTFUL}: no camera that moves through a still scene explains {_listed(doubtful)} well, so the path there, "
        "and where few frames fit better all of it, may be wrong",
    )


def undecided(estimate: CameraEstimate, zoom: Float64[Tensor, "frame"]) -> CameraEstimate:
    """Cameras of one focal length with the note that another explanation stands beside them.

    Args:
        estimate: the cameras of a whole clip.
        zoom: logarithm of each frame's focal length over that of all, by the other explanation.
    """
    change = zoom.diff().abs().cumsum(0)
    begin, end = (int((change > part * change[-1]).float().argmax()) for part in (0.1, 0.9))
    note = (
        f"{EITHER}: a focal length that changes by {100 * (zoom.max() - zoom.min()).expm1():.0f} %, most of it in "
        f"frames {begin} to {end + 1}, would explain the images about as well as this path does; do not trust it "
        "unless you know that nobody zoomed"
    )
    return replace(estimate, notes=(*estimate.notes, note))


def clip_notes(estimate: CameraEstimate, frames: Frames) -> tuple[str, ...]:
    """The notes of an estimate and those of frames that are hard whatever the solver does.

    Args:
        estimate: the cameras of a whole clip.
        frames: of the clip.
    """
    notes = list(estimate.notes)
    if estimate.focal_deviation is not None and estimate.focal_deviation > THRESHOLDS.uncertain_focal:
        percent = f"{100 * estimate.focal_deviation:.0f} %"
        notes.append(
            f"{UNSURE_FOCAL}: it is known to {percent} only, as where the camera goes straight ahead or hardly moves; "
            "give it if you know it"
        )
    if not is_guess(notes) and looks_like_zoom(estimate):
        notes.append(
            f"{FLAT}: all that is seen lies at about one distance, and the camera seems to move only ahead or back, "
            "which looks the same as a zoom; do not trust the path unless you know that nobody zoomed"
        )
    if estimate.static is not None:
        moving = (estimate.static < 0.5).float().mean().item()
        notes.append(f"moving: {100 * moving:.0f} % of the images move by themselves and do not count for the cameras")
    if not estimate.cameras.share_intrinsics:
        focal = estimate.cameras.intrinsics[:, 0]
        notes.append(
            f"zoom: the focal length changes from {focal[0]:.3f} to {focal[-1]:.3f} of the width (between "
            f"{focal.min():.3f} and {focal.max():.3f}), so each frame has its own"
        )
    if estimate.readout:
        notes.append(
            f"rolling shutter: rows are read over {abs(estimate.readout):.2f} of a frame's time, the "
            f"{'first' if estimate.readout > 0 else 'last'} one first, so frames were straightened"
        )
    if (lost := frames_with_little_overlap(estimate)) and not is_guess(notes):
        notes.append(f"little overlap: the next frame shows less than half of what {_listed(lost)} shows")
    if blurred := blurred_frames(frames):
        notes.append(f"blur: cameras and colours are less sure in {_listed(blurred)}, less sharp than the rest")
    return tuple(notes)


def is_guess(notes: Sequence[str]) -> bool:
    """Whether a note says that poses are a guess; notes of submaps begin with their frames.

    Args:
        notes: of an estimate.
    """
    return any(flag in note for note in notes for flag in GUESSES)


def misfits(notes: Sequence[str]) -> bool:
    """Whether a note says that no still scene explains what was matched.

    Args:
        notes: of an estimate.
    """
    return any(MISFIT in note for note in notes)


def parallax(state: SceneState, matches: Correspondences) -> float:
    """Flow that comes from translation, in pixels, which a quarter of the reliable correspondences exceed.

    Args:
        state: the solved scene.
        matches: its correspondences.
    """
    relative = state.camera_from_world[matches.target] @ invert(state.camera_from_world[matches.source])
    shift = relative[:, None, :2, 3] - matches.points / state.log_focal.exp() * relative[:, None, 2:3, 3]
    pixels = state.log_focal.exp() * state.inverse_depth[matches.source] * shift.norm(dim=-1)
    reliable = matches.reliable
    return pixels[reliable].quantile(0.75).item() if reliable.any() else 0.0


def stands_still(matches: Correspondences) -> bool:
    """Whether even the widest pairs show next to no motion: three quarters of the points stay where they were.

    Args:
        matches: the correspondences; those that are not reliable do not count.
    """
    moved = (matches.matched - matches.points).norm(dim=-1)[matches.reliable]
    return bool(len(moved)) and moved.quantile(0.75).item() < THRESHOLDS.stationary_pixels


def looks_like_zoom(estimate: CameraEstimate) -> bool:
    """Whether a camera goes ahead or back before a scene of one distance: a zoom gives the same images.

    Args:
        estimate: the cameras of a whole clip.
    """
    near, typical, far = estimate.inverse_depth.flatten(1).nanquantile(
        torch.tensor([0.75, 0.5, 0.25], device=estimate.inverse_depth.device), dim=1
    )
    steps, axes = estimate.cameras.centers.diff(dim=0), estimate.cameras.world_from_camera[:-1, :3, 2]
    ahead = (steps * axes).sum(-1).square().sum() > THRESHOLDS.straight_part**2 * steps.square().sum()
    return bool(ahead and ((near - far) / typical).median() < THRESHOLDS.flat_spread)


def blurred_frames(frames: Frames) -> list[int]:
    """Frames whose edges are much less steep than those of the clip's sharp frames (its 80 % quantile).

    Args:
        frames: of a clip.
    """
    greys = (frame.float().mean(0) for frame in frames)
    steepness = torch.stack([grey.diff(dim=-1).abs().mean() + grey.diff(dim=-2).abs().mean() for grey in greys])
    return (steepness < THRESHOLDS.blurred_ratio * steepness.quantile(0.8)).nonzero()[:, 0].tolist()


def frames_with_little_overlap(estimate: CameraEstimate) -> list[int]:
    """Frames of which the next one shows less than half, by the found scene.

    Args:
        estimate: the cameras of a clip.
    """
    before, after = estimate.select(slice(None, -1)), estimate.cameras.select(slice(1, None))
    seen = covisible_fraction(before.cameras, before.inverse_depth, after)
    return (seen < THRESHOLDS.little_overlap).nonzero()[:, 0].tolist()


def _listed(frames: list[int]) -> str:
    """The first few frames by number, three and more in a row as a stretch.

    >>> _listed([3]), _listed([1, 2, 5, 8]), _listed([3, 4, 5, 6, 9])
    ('frame 3', 'frames 1, 2, 5 and 1 more', 'frames 3 to 6 and 9')
    """
    if len(frames) == 1:
        return f"frame {frames[0]}"
    stretches = [[frame for _, frame in run] for _, run in groupby(enumerate(frames), lambda pair: pair[1] - pair[0])]
    named = [part for run in stretches for part in ([run] if len(run) > 2 else [[frame] for frame in run])]
    words = [f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in named[:_NAMED]]
    if rest := sum(map(len, named[_NAMED:])):
        words.append(f"{rest} more")
    return f"frames {', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else f"frames {words[0]}"
