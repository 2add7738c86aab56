"""Dense bundle adjustment: camera poses, a focal length and inverse depths from matched image points.

All frames of a window are solved together by Levenberg-Marquardt. Inverse depths, far more than cameras, are
eliminated by the Schur complement (Triggs et al. 1999, section 6.1; DROID-SLAM, Teed & Deng 2021, eq. 4-5).
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from video_ae.camera.problem import FreeParameters, Matches, Priors, SceneState
from video_ae.geometry.se3 import adjoint, invert, orthonormal, se3_exp, skew

MAXIMUM_INVERSE_DEPTH = 20.0  # in units of the window's mean inverse depth
MINIMUM_INVERSE_DEPTH = 1e-3
_NEAREST = 0.05  # depths (in units of the source depth) below this count as behind the camera


@dataclass(frozen=True)
class PredictedPoints:
    """Points of source frames as target cameras see them.

    image: pixels from the principal point; points: in target axes, scaled by the source's inverse depth.
    rays: viewing rays of the source points, z = 1.
    """

    image: Float[Tensor, "edge point 2"]
    points: Float[Tensor, "edge point 3"]
    rays: Float[Tensor, "point 3"]
    target_from_source: Float[Tensor, "edge 4 4"]

    @property
    def in_front(self) -> Tensor:
        return self.points[..., 2] > _NEAREST


@dataclass(frozen=True)
class Linearisation:
    """Residuals in pixels and their derivatives, point last so that every operation runs along memory.

    by_target: by the target's left twist and the logarithm of the focal length; by_inverse_depth: by each depth.
    adjoint: the derivative by the source's left twist is that by the target's times minus this.
    """

    residual: Float[Tensor, "edge 2 point"]
    by_target: Float[Tensor, "edge 2 7 point"]
    by_inverse_depth: Float[Tensor, "edge 2 point"]
    adjoint: Float[Tensor, "edge 6 6"]
    in_front: Float[Tensor, "edge point"]


@dataclass(frozen=True)
class NormalEquations:
    """The Gauss-Newton system: camera block of 6 per frame and 1 for the focal length, and one row per depth."""

    camera: Float[Tensor, "unknown unknown"]
    camera_right: Float[Tensor, "unknown"]
    coupling: Float[Tensor, "frame unknown point"]
    depth: Float[Tensor, "frame point"]
    depth_right: Float[Tensor, "frame point"]


def predict_points(state: SceneState, points: Tensor, source: Tensor, target: Tensor) -> PredictedPoints:
    """Where the state sees points (pixels from the principal point) of source frames in target frames."""
    focal = state.log_focal.exp()
    rays = torch.cat([points / focal, torch.ones_like(points[:, :1])], -1)
    target_from_source = state.camera_from_world[target] @ invert(state.camera_from_world[source])
    rotated = rays @ target_from_source[:, :3, :3].transpose(-1, -2)
    moved = rotated + state.inverse_depth[source][..., None] * target_from_source[:, None, :3, 3]
    return PredictedPoints(focal * moved[..., :2] / moved[..., 2:].clamp_min(_NEAREST), moved, rays, target_from_source)


def linearise(state: SceneState, matches: Matches) -> Linearisation:
    """Residuals of all matches and their analytic derivatives."""
    focal = state.log_focal.exp()
    seen = predict_points(state, matches.points, matches.source, matches.target)
    x, y, depth = seen.points.unbind(-1)
    depth = depth.clamp_min(_NEAREST)
    x, y, scale = x / depth, y / depth, focal / depth

    def image_motion(by_x: Tensor, by_y: Tensor, by_z: Tensor) -> Tensor:
        return torch.stack([scale * (by_x - x * by_z), scale * (by_y - y * by_z)], 1)

    pulled = scale * state.inverse_depth[matches.source]
    zero, across = torch.zeros_like(x), x * y
    turned = -seen.target_from_source[:, :3, :2] @ seen.rays[:, :2].T  # of rays that grow with the focal length
    by_focal = image_motion(*turned.unbind(1)) + focal * torch.stack([x, y], 1)
    by_target = torch.stack(
        [
            focal * torch.stack([-across, -(1 + y * y)], 1),
            focal * torch.stack([1 + x * x, across], 1),
            focal * torch.stack([-y, x], 1),
            torch.stack([pulled, zero], 1),
            torch.stack([zero, pulled], 1),
            torch.stack([-x * pulled, -y * pulled], 1),
            by_focal,
        ],
        2,
    )
    by_inverse_depth = image_motion(*seen.target_from_source[:, :3, 3:].unbind(1))
    residual = (seen.image - matches.matched).transpose(1, 2).contiguous()
    return Linearisation(
        residual, by_target, by_inverse_depth, adjoint(seen.target_from_source), seen.in_front.to(x.dtype)
    )


def _squared_error(residual: Tensor, information: Tensor) -> Tensor:
    x, y = residual.unbind(-1)
    return information[..., 0, 0] * x * x + 2 * information[..., 0, 1] * x * y + information[..., 1, 1] * y * y


def match_costs(state: SceneState, matches: Matches) -> Float[Tensor, "edge point"]:
    """Cauchy cost of each match; a point behind the target camera costs as much as one that is 3 pixels off."""
    seen = predict_points(state, matches.points, matches.source, matches.target)
    error = _squared_error(seen.image - matches.matched, matches.information)
    behind = 9 * matches.information.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.log1p(torch.where(seen.in_front, error, error + behind))


def robust_cost(state: SceneState, matches: Matches, priors: Priors) -> Tensor:
    """Cauchy cost of the matches plus the priors, summed."""
    cost = match_costs(state, matches).sum()
    cost = cost + (priors.depth_weight * (state.inverse_depth - priors.inverse_depth).square()).sum()
    cost = cost + priors.focal_weight * (state.log_focal - priors.log_focal).square()
    return cost + priors.translation_weight * _neighbour_motion(state)[:, :3, 3].square().sum()


def _neighbour_motion(state: SceneState) -> Float[Tensor, "pair 4 4"]:
    return state.camera_from_world[1:] @ invert(state.camera_from_world[:-1])


def normal_equations(state: SceneState, matches: Matches, priors: Priors) -> NormalEquations:
    """The Gauss-Newton system of all unknowns, matches reweighted by the Cauchy cost. The camera block is float64."""
    lin = linearise(state, matches)
    frames, count = state.inverse_depth.shape
    size = 6 * frames + 1
    error = _squared_error(lin.residual.transpose(1, 2), matches.information)
    robust = lin.in_front / (1 + error)
    xx, xy, yy = (robust * matches.information[..., i, j] for i, j in ((0, 0), (0, 1), (1, 1)))

    def weigh(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return xx * x + xy * y, xy * x + yy * y

    x, y = lin.by_target.unbind(1)
    xx, xy, yy = xx[:, None], xy[:, None], yy[:, None]
    weighted_x, weighted_y = weigh(x, y)
    blocks = weighted_x @ x.mT + weighted_y @ y.mT  # [edge, 7, 7]
    sides = -(weighted_x @ lin.residual[:, 0, :, None] + weighted_y @ lin.residual[:, 1, :, None])
    by_depth = lin.by_inverse_depth
    mixed = weighted_x * by_depth[:, :1] + weighted_y * by_depth[:, 1:]  # [edge, 7, point]
    depth_x, depth_y = weigh(by_depth[:, :1], by_depth[:, 1:])
    curvature = (depth_x * by_depth[:, :1] + depth_y * by_depth[:, 1:])[:, 0]
    slope = (depth_x * lin.residual[:, :1] + depth_y * lin.residual[:, 1:])[:, 0]

    spread = _both_twists(lin.adjoint)
    blocks, sides, mixed = spread.mT @ blocks @ spread, (spread.mT @ sides).squeeze(-1), spread.mT @ mixed
    columns = _columns(matches, size)
    camera = torch.zeros(size * size, dtype=torch.float64, device=error.device)
    camera.index_add_(0, (columns[:, :, None] * size + columns[:, None, :]).flatten(), blocks.double().flatten())
    camera = camera.view(size, size)
    right = torch.zeros(size, dtype=torch.float64, device=error.device)
    right.index_add_(0, columns.flatten(), sides.double().flatten())
    _add_camera_priors(camera, right, state, priors)

    coupling = torch.zeros(frames * size, count, dtype=error.dtype, device=error.device)
    coupling.index_add_(0, (matches.source[:, None] * size + columns).flatten(), mixed.flatten(0, 1))
    depth = priors.depth_weight.index_add(0, matches.source, curvature)
    pull = priors.depth_weight * (priors.inverse_depth - state.inverse_depth)
    depth_right = pull.index_add(0, matches.source, -slope)
    return NormalEquations(camera, right, coupling.view(frames, size, count), depth, depth_right)


def _both_twists(adjoint: Float[Tensor, "edge 6 6"]) -> Float[Tensor, "edge 7 13"]:
    """From derivatives by the target's twist and the focal length to those by both twists and the focal length."""
    spread = adjoint.new_zeros(len(adjoint), 7, 13)
    spread[:, :6, :6] = -adjoint
    spread[:, :6, 6:12] = torch.eye(6, dtype=adjoint.dtype, device=adjoint.device)
    spread[:, 6, 12] = 1
    return spread


def _columns(matches: Matches, size: int) -> Int[Tensor, "edge 13"]:
    """Which unknowns an edge touches: six of the source, six of the target, the focal length (the last one)."""
    six = torch.arange(6, device=matches.source.device)
    focal = torch.full_like(matches.source, size - 1)[:, None]
    return torch.cat([6 * matches.source[:, None] + six, 6 * matches.target[:, None] + six, focal], 1)


def _add_camera_priors(camera: Tensor, right: Tensor, state: SceneState, priors: Priors) -> None:
    camera[-1, -1] += priors.focal_weight
    right[-1] -= priors.focal_weight * (state.log_focal - priors.log_focal).double()
    if priors.translation_weight == 0:
        return
    motion = _neighbour_motion(state)
    translation = motion[:, :3, 3]
    identity = torch.eye(3, dtype=motion.dtype, device=motion.device).expand(len(motion), 3, 3)
    by_next = torch.cat([-skew(translation), identity], -1)
    jacobian = torch.cat([-by_next @ adjoint(motion), by_next], -1).double()
    for i in range(len(motion)):
        part = slice(6 * i, 6 * i + 12)
        camera[part, part] += priors.translation_weight * jacobian[i].T @ jacobian[i]
        right[part] -= priors.translation_weight * jacobian[i].T @ translation[i].double()


def _free_columns(frames: int, unknowns: FreeParameters, device: torch.device) -> Tensor:
    free = torch.full((6 * frames + 1,), unknowns.cameras, device=device)
    free[:6] = False  # the first camera is the world
    if not unknowns.translation:
        free[:-1].view(frames, 6)[:, 3:] = False
    free[-1] &= unknowns.focal
    return free


def reduced_system(equations: NormalEquations, damping: float = 0.0) -> tuple[Tensor, Tensor]:
    """Camera block and right side with the depths eliminated (Schur complement)."""
    depth = equations.depth * (1 + damping) + 1e-6
    scaled = equations.coupling / depth[:, None]
    camera = equations.camera - (scaled @ equations.coupling.mT).double().sum(0)
    right = (scaled @ equations.depth_right[..., None]).double().sum(0).squeeze(-1)
    return camera, equations.camera_right - right


def solve_step(
    state: SceneState, equations: NormalEquations, damping: float, unknowns: FreeParameters
) -> SceneState | None:
    """One damped step from the equations; None where the system is not positive definite."""
    frames = len(state.camera_from_world)
    if unknowns.depth:
        camera, right = reduced_system(equations, damping)
    else:
        camera, right = equations.camera, equations.camera_right
    free = _free_columns(frames, unknowns, camera.device)
    system = camera[free][:, free]
    diagonal = system.diagonal()
    system = system + torch.diag(damping * diagonal.clamp_min(0) + 1e-6 * diagonal.abs().mean() + 1e-9)
    factor, info = torch.linalg.cholesky_ex(system)
    if info.item() != 0:
        return None
    step = torch.zeros_like(right)
    step[free] = torch.cholesky_solve(right[free][:, None], factor).squeeze(-1)
    step = step.to(state.inverse_depth.dtype)
    inverse_depth = state.inverse_depth
    if unknowns.depth:
        change = (equations.depth_right - (step @ equations.coupling)) / (equations.depth * (1 + damping) + 1e-6)
        inverse_depth = (inverse_depth + change).clamp(MINIMUM_INVERSE_DEPTH, MAXIMUM_INVERSE_DEPTH)
    poses = state.camera_from_world
    if unknowns.cameras:
        poses = orthonormal(se3_exp(step[:-1].view(frames, 6)) @ poses)
    return SceneState(poses, inverse_depth, state.log_focal + step[-1])


def minimise(
    state: SceneState,
    matches: Matches,
    priors: Priors,
    steps: int,
    unknowns: FreeParameters | None = None,
    damping: float = 1e-3,
    tolerance: float = 1e-4,
) -> tuple[SceneState, float]:
    """Levenberg-Marquardt with accept/reject steps. Returns (state, cost), never of higher cost than the start's."""
    unknowns = unknowns or FreeParameters()
    cost = robust_cost(state, matches, priors).item()
    equations = None
    for _ in range(steps):
        equations = equations or normal_equations(state, matches, priors)
        proposal = solve_step(state, equations, damping, unknowns)
        new_cost = float("inf") if proposal is None else robust_cost(proposal, matches, priors).item()
        if proposal is not None and new_cost < cost:
            converged = cost - new_cost < tolerance * cost
            state, cost, equations, damping = proposal, new_cost, None, max(damping / 5, 1e-7)
            if converged:
                break
        else:
            damping *= 8
            if damping > 1e4:
                break
    return state, cost


def normalise_scale(state: SceneState) -> SceneState:
    """The same scene at the scale where the mean inverse depth is 1."""
    mean = state.inverse_depth.mean()
    pose = state.camera_from_world.clone()
    pose[:, :3, 3] *= mean
    return replace(state, inverse_depth=state.inverse_depth / mean, camera_from_world=pose)
