"""How well the poses are determined: covariances from the normal equations, confidences, notes for people."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.bundle_adjustment import normal_equations, reduced_system
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.records import Matches, Priors, SceneState
from video_ae.geometry.cameras import pinhole_intrinsics
from video_ae.geometry.se3 import invert
from video_ae.types import CameraEstimate, Cameras

_EFFECTIVE = 0.1  # neighbouring matches share pixels: this part of them counts as independent
_ROTATION_SPREAD = 0.02  # radians at which a frame's confidence is 1/2
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


def describe(
    state: SceneState, matches: Matches, priors: Priors, graph: FrameGraph, clip: Float[Tensor, "frame 3 height width"]
) -> CameraEstimate:
    """The solved scene as a record (batch of one)."""
    covariance = pose_covariance(state, matches, priors)
    spread = covariance[:, :3, :3].diagonal(dim1=-2, dim2=-1).sum(-1).sqrt()
    confidence = 1 / (1 + spread / _ROTATION_SPREAD)
    notes = []
    texture, moved = _texture(matches), parallax(state, matches)
    if texture < 0.05:
        notes.append("no texture: there was next to nothing to match, the poses are a guess")
        confidence = confidence * 0.1
    elif moved < _PARALLAX:
        notes.append("no parallax: rotation is found, translation and depth are a guess")
    height, width = clip.shape[-2:]
    focal = (state.log_focal.exp() / graph.width).expand(graph.count)
    world_from_camera = invert(state.camera_from_world @ invert(state.camera_from_world[:1]))
    return CameraEstimate(
        Cameras(world_from_camera[None], pinhole_intrinsics(focal, width, height)[None]),
        state.inverse_depth.view(1, graph.count, graph.rows, graph.columns),
        confidence.clamp(0, 1)[None],
        covariance[None],
        (tuple(notes),),
    )
