"""How well the poses are determined: covariances from the normal equations, confidences, notes for people."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.bundle_adjustment import normal_equations, reduced_system
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.problem import Matches, Priors, SceneState
from video_ae.geometry.pinhole import camera_rays, pinhole_intrinsics, project, transform
from video_ae.geometry.se3 import invert
from video_ae.types import CameraEstimate, Cameras

_EFFECTIVE = 0.1  # neighbouring matches share pixels: this part of them counts as independent
_ROTATION_SPREAD = 0.02  # radians at which a frame's confidence is 1/2
NO_TEXTURE, NO_PARALLAX, STANDING = GUESSES = ("no texture", "no parallax", "standing camera")
_LEAST_TEXTURE = 0.05  # part of the matches that carry information
_STANDING = 0.2  # pixels
_BLURRED = 0.5  # of the steepness of a sharp frame's edges
_OVERLAP = 0.5  # of a frame, in the next one
_NAMED = 3  # frames that a note names
_PARALLAX = 0.75  # pixels of median parallax below which a translation is called a guess


def pose_covariance(state: SceneState, matches: Matches, priors: Priors) -> Float[Tensor, "frame 6 6"]:
    """Covariance of each pose's left twist relative to the first frame, depths and focal length marginalised.

    The gauge is the first frame and the mean inverse depth; unobserved directions get a large, finite variance.
    """
    frames = len(state.camera_from_world)
    camera, _ = reduced_system(normal_equations(state, matches, priors))
    system = camera[6:, 6:] * _EFFECTIVE
    weak = torch.full_like(system.diagonal(), 1e-2)  # a spread of 10 radians or mean depths: nothing is known
    inverse = torch.linalg.pinv(system + torch.diag(weak), hermitian=True)
    covariance = torch.zeros(frames, 6, 6, dtype=torch.float64, device=camera.device)
    for i in range(1, frames):
        part = slice(6 * (i - 1), 6 * i)
        covariance[i] = inverse[part, part]
    return ((covariance + covariance.mT) / 2).to(state.inverse_depth.dtype)


def rotation_confidence(covariance: Float[Tensor, "frame 6 6"]) -> Float[Tensor, "frame"]:
    """1 where a frame's rotation relative to the first one is certain, 1/2 at a spread of 0.02 radians, towards 0.

    >>> round(rotation_confidence(torch.eye(6)[None] * 0.02**2 / 3).item(), 3)
    0.5
    """
    spread = covariance[:, :3, :3].diagonal(dim1=-2, dim2=-1).sum(-1).sqrt()
    return 1 / (1 + spread / _ROTATION_SPREAD)


def parallax(state: SceneState, matches: Matches) -> float:
    """Median over the well-matched points of the flow that comes from translation, in pixels, for the widest pairs."""
    relative = state.camera_from_world[matches.target] @ invert(state.camera_from_world[matches.source])
    shift = relative[:, None, :2, 3] - matches.points / state.log_focal.exp() * relative[:, None, 2:3, 3]
    pixels = state.log_focal.exp() * state.inverse_depth[matches.source] * shift.norm(dim=-1)
    good = matches.information.diagonal(dim1=-2, dim2=-1).sum(-1) > 1
    return pixels[good].quantile(0.75).item() if good.any() else 0.0


def _texture(matches: Matches) -> float:
    """Part of the matches that carry information."""
    return (matches.information.diagonal(dim1=-2, dim2=-1).sum(-1) > 1).float().mean().item()


def stands_still(matches: Matches) -> bool:
    """Whether even the widest pairs show next to no motion: three quarters of the good matches stay where they were."""
    good = matches.information.diagonal(dim1=-2, dim2=-1).sum(-1) > 1
    moved = (matches.matched - matches.points).norm(dim=-1)[good]
    return bool(len(moved)) and moved.quantile(0.75).item() < _STANDING


def blurred_frames(clip: Float[Tensor, "frame 3 height width"]) -> list[int]:
    """Frames whose edges are less than half as steep as those of the clip's sharp frames (its 80 % quantile)."""
    grey = clip.float().mean(1)
    steepness = grey.diff(dim=-1).abs().mean((-1, -2)) + grey.diff(dim=-2).abs().mean((-1, -2))
    return (steepness < _BLURRED * steepness.quantile(0.8)).nonzero()[:, 0].tolist()


def lost_neighbours(estimate: CameraEstimate) -> list[int]:
    """Frames (of a batch of one) of which the next frame shows less than half, by the found scene."""
    cameras, maps = estimate.cameras, estimate.inverse_depth[0]
    rows, columns = maps.shape[-2:]
    lost = []
    for i in range(len(cameras) - 1):
        rays = camera_rays(cameras.intrinsics[0, i], rows, columns)
        next_from_this = invert(cameras.world_from_camera[0, i + 1]) @ cameras.world_from_camera[0, i]
        points = transform(next_from_this, rays / maps[i, ..., None].clamp_min(1e-6))
        seen = project(points, cameras.intrinsics[0, i + 1].expand(rows, columns, 4))
        inside = ((seen > 0) & (seen < 1)).all(-1) & (points[..., 2] > 0)
        lost += [i] if inside.float().mean() < _OVERLAP else []
    return lost


def with_clip_notes(estimate: CameraEstimate, clip: Float[Tensor, "frame 3 height width"]) -> CameraEstimate:
    """The estimate (batch of one) of a whole clip, with flags of frames that are hard whatever the solver does."""
    notes = list(estimate.notes)
    if (lost := lost_neighbours(estimate)) and not _is_guess(notes):
        notes.append(f"little overlap: the next frame shows less than half of what {_listed(lost)} shows")
    if blurred := blurred_frames(clip):
        notes.append(f"blur: poses and colours are less sure in {_listed(blurred)}, less sharp than the rest")
    return replace(estimate, notes=tuple(notes))


def _is_guess(notes: Sequence[str]) -> bool:
    """Whether a note says that poses are a guess; notes of windows begin with their frames."""
    return any(flag in note for note in notes for flag in GUESSES)


def solver_notes(state: SceneState, matches: Matches) -> list[str]:
    """What could not be determined and why: a flag and a colon, then a sentence."""
    if _texture(matches) < _LEAST_TEXTURE:
        return [f"{NO_TEXTURE}: there was next to nothing to match, the poses are a guess"]
    if stands_still(matches):
        return [f"{STANDING}: nothing moves between the frames, so there is no path and no depth to be found"]
    if parallax(state, matches) < _PARALLAX:
        return [f"{NO_PARALLAX}: rotation is found, translation and depth are a guess"]
    return []


def _listed(frames: list[int]) -> str:
    """The first few frames by number.

    >>> _listed([3]), _listed([1, 2, 5, 8])
    ('frame 3', 'frames 1, 2, 5 and 1 more')
    """
    if len(frames) == 1:
        return f"frame {frames[0]}"
    more = f" and {len(frames) - _NAMED} more" if len(frames) > _NAMED else ""
    return "frames " + ", ".join(map(str, frames[:_NAMED])) + more


def describe(
    state: SceneState, matches: Matches, priors: Priors, graph: FrameGraph, clip: Float[Tensor, "frame 3 height width"]
) -> CameraEstimate:
    """The solved scene as a record (batch of one)."""
    covariance = pose_covariance(state, matches, priors)
    confidence = rotation_confidence(covariance)
    notes = solver_notes(state, matches)
    if any(note.startswith(NO_TEXTURE) for note in notes):
        confidence = confidence * 0.1
    height, width = clip.shape[-2:]
    focal = (state.log_focal.exp() / graph.width).expand(graph.count)
    world_from_camera = invert(state.camera_from_world @ invert(state.camera_from_world[:1]))
    return CameraEstimate(
        Cameras(world_from_camera[None], pinhole_intrinsics(focal, width, height)[None]),
        state.inverse_depth.view(1, graph.count, graph.rows, graph.columns),
        confidence.clamp(0, 1)[None],
        covariance[None],
        tuple(notes),
    )
