"""Where the cameras of a scene see its points, how that depends on each unknown, and what the correspondences cost."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from video_ae.camera.kernels.adjustment_kernel import BEHIND_PIXELS, NEAREST, match_errors
from video_ae.camera.problem import Correspondences, SceneState
from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.se3 import adjoint, invert


@dataclass(frozen=True)
class PredictedPoints:
    """Points of source frames as target cameras see them.

    Args:
        image: pixels from the principal point.
        points: in target axes, scaled by the source's inverse depth.
        rays: viewing rays of the source points, z = 1.
        target_from_source: relative poses.
    """

    image: Float[Tensor, "edge point 2"]
    points: Float[Tensor, "edge point 3"]
    rays: Float[Tensor, "point 3"]
    target_from_source: Float[Tensor, "edge 4 4"]

    @property
    def in_front(self) -> Bool[Tensor, "edge point"]:
        """Which points lie before the target camera."""
        return self.points[..., 2] > NEAREST


@dataclass(frozen=True)
class Linearisation:
    """Residuals in pixels and their derivatives, point last so that every operation runs along memory.

    Args:
        residual: predicted less matched.
        by_target: by the target's left twist and the logarithm of the focal length.
        by_inverse_depth: by each depth.
        adjoint: the derivative by the source's left twist is that by the target's times minus this.
        in_front: 1 where the point lies before the target camera, else 0.
    """

    residual: Float[Tensor, "edge 2 point"]
    by_target: Float[Tensor, "edge 2 7 point"]
    by_inverse_depth: Float[Tensor, "edge 2 point"]
    adjoint: Float[Tensor, "edge 6 6"]
    in_front: Float[Tensor, "edge point"]


def predict_points(
    state: SceneState, points: Float[Tensor, "point 2"], source: Int[Tensor, "edge"], target: Int[Tensor, "edge"]
) -> PredictedPoints:
    """Where the state sees points of source frames in target frames.

    Args:
        state: the scene.
        points: in pixels from the principal point.
        source, target: frame numbers of each edge.
    """
    focal = state.log_focal.exp()
    rays = torch.cat([points / focal, torch.ones_like(points[:, :1])], -1)
    target_from_source = relative_poses(state, source, target)
    rotated = rays @ target_from_source[:, :3, :3].transpose(-1, -2)
    moved = rotated + state.inverse_depth[source][..., None] * target_from_source[:, None, :3, 3]
    return PredictedPoints(focal * moved[..., :2] / moved[..., 2:].clamp_min(NEAREST), moved, rays, target_from_source)


def linearise(state: SceneState, matches: Correspondences) -> Linearisation:
    """Residuals of all correspondences and their analytic derivatives.

    Args:
        state: the scene.
        matches: its correspondences.
    """
    focal = state.log_focal.exp()
    seen = predict_points(state, matches.points, matches.source, matches.target)
    x, y, depth = seen.points.unbind(-1)
    depth = depth.clamp_min(NEAREST)
    x, y, scale = x / depth, y / depth, focal / depth

    def image_motion(by_x: Tensor, by_y: Tensor, by_z: Tensor) -> Tensor:
        return torch.stack([scale * (by_x - x * by_z), scale * (by_y - y * by_z)], 1)

    by_translation = scale * state.inverse_depth[matches.source]
    zero, xy = torch.zeros_like(x), x * y
    ray_by_focal = -seen.target_from_source[:, :3, :2] @ seen.rays[:, :2].T  # by the logarithm of the focal length
    by_focal = image_motion(*ray_by_focal.unbind(1)) + focal * torch.stack([x, y], 1)
    by_target = torch.stack(  # three columns of the rotation, three of the translation, one of the focal length
        [
            focal * torch.stack([-xy, -(1 + y * y)], 1),
            focal * torch.stack([1 + x * x, xy], 1),
            focal * torch.stack([-y, x], 1),
            torch.stack([by_translation, zero], 1),
            torch.stack([zero, by_translation], 1),
            torch.stack([-x * by_translation, -y * by_translation], 1),
            by_focal,
        ],
        2,
    )
    by_inverse_depth = image_motion(*seen.target_from_source[:, :3, 3:].unbind(1))
    residual = (seen.image - matches.matched).transpose(1, 2).contiguous()
    return Linearisation(
        residual, by_target, by_inverse_depth, adjoint(seen.target_from_source), seen.in_front.to(x.dtype)
    )


def squared_errors(residual: Float[Tensor, "*edge point 2"], information: Float[Tensor, "*edge point 2 2"]) -> Tensor:
    """Squared lengths of residuals in units of their standard deviations.

    Args:
        residual: in pixels.
        information: inverse covariances.
    """
    x, y = residual.unbind(-1)
    return information[..., 0, 0] * x * x + 2 * information[..., 0, 1] * x * y + information[..., 1, 1] * y * y


def match_costs(state: SceneState, matches: Correspondences) -> Float[Tensor, "edge point"]:
    """Cauchy cost of each correspondence; a point behind the target camera costs as much as one 3 pixels off.

    Args:
        state: the scene.
        matches: its correspondences.
    """
    if usable(state.inverse_depth, matches.matched):
        return torch.log1p(_compiled_errors(state, matches))
    seen = predict_points(state, matches.points, matches.source, matches.target)
    error = squared_errors(seen.image - matches.matched, matches.information)
    behind = BEHIND_PIXELS**2 * matches.information.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.log1p(torch.where(seen.in_front, error, error + behind))


def frame_fit(state: SceneState, matches: Correspondences) -> Float[Tensor, "frame"]:
    """Mean cost of the reliable correspondences from and to each frame; that of all where a frame has none.

    Args:
        state: the scene.
        matches: its correspondences.
    """
    weight = matches.reliable.to(state.inverse_depth.dtype)
    costs, weights = (match_costs(state, matches) * weight).sum(-1), weight.sum(-1)
    total, count = torch.zeros(len(state), device=costs.device), torch.zeros(len(state), device=costs.device)
    for ends in (matches.source, matches.target):
        total, count = total.index_add(0, ends, costs), count.index_add(0, ends, weights)
    overall = costs.sum() / weights.sum().clamp_min(1)
    return torch.where(count > 0, total / count.clamp_min(1), overall)


def _compiled_errors(state: SceneState, matches: Correspondences) -> Float[Tensor, "edge point"]:
    errors = torch.empty_like(matches.matched[..., 0], memory_format=torch.contiguous_format)
    spread(len(errors), match_errors, *scene_arrays(state, matches), errors.numpy())
    return errors


def scene_arrays(state: SceneState, matches: Correspondences) -> tuple[Any, ...]:
    """A scene and its correspondences as the kernels take them.

    Args:
        state: the scene, in float32 on the CPU.
        matches: its correspondences.
    """
    poses = relative_poses(state, matches.source, matches.target)
    tensors = (matches.points.T, matches.matched, matches.information, matches.source, poses, state.inverse_depth)
    return (*arrays(*tensors), state.log_focal.exp().item())


def relative_poses(state: SceneState, source: Int[Tensor, "edge"], target: Int[Tensor, "edge"]) -> Tensor:
    """target_from_source of each edge.

    Args:
        state: the scene.
        source, target: frame numbers of each edge.
    """
    return state.camera_from_world[target] @ invert(state.camera_from_world[source])
