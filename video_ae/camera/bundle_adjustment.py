"""Dense bundle adjustment: camera poses, a focal length and inverse depths from matched image points.

All frames of a window are solved together by Levenberg-Marquardt. Inverse depths, far more than cameras, are
eliminated by the Schur complement (Triggs et al. 1999, section 6.1; DROID-SLAM, Teed & Deng 2021, eq. 4-5).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from video_ae.camera.problem import Correspondences, FreeParameters, Priors, SceneState
from video_ae.geometry.se3 import adjoint, invert, orthonormal, se3_exp

MAXIMUM_INVERSE_DEPTH = 20.0  # in units of the window's mean inverse depth
MINIMUM_INVERSE_DEPTH = 1e-3
_NEAREST = 0.05  # depths (in units of the source depth) below this count as behind the camera


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
        return self.points[..., 2] > _NEAREST


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


@dataclass(frozen=True)
class NormalEquations:
    """The Gauss-Newton system: camera block of 6 per frame and 1 for the focal length, and one row per depth.

    Args:
        camera, camera_right: matrix and right side of the cameras and the focal length.
        coupling: between these and the depths.
        depth, depth_right: diagonal and right side of the depths.
    """

    camera: Float[Tensor, "unknown unknown"]
    camera_right: Float[Tensor, "unknown"]
    coupling: Float[Tensor, "frame unknown point"]
    depth: Float[Tensor, "frame point"]
    depth_right: Float[Tensor, "frame point"]


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
    target_from_source = state.camera_from_world[target] @ invert(state.camera_from_world[source])
    rotated = rays @ target_from_source[:, :3, :3].transpose(-1, -2)
    moved = rotated + state.inverse_depth[source][..., None] * target_from_source[:, None, :3, 3]
    return PredictedPoints(focal * moved[..., :2] / moved[..., 2:].clamp_min(_NEAREST), moved, rays, target_from_source)


def linearise(state: SceneState, matches: Correspondences) -> Linearisation:
    """Residuals of all correspondences and their analytic derivatives.

    Args:
        state: the scene.
        matches: its correspondences.
    """
    focal = state.log_focal.exp()
    seen = predict_points(state, matches.points, matches.source, matches.target)
    x, y, depth = seen.points.unbind(-1)
    depth = depth.clamp_min(_NEAREST)
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


def _squared_error(residual: Tensor, information: Tensor) -> Tensor:
    x, y = residual.unbind(-1)
    return information[..., 0, 0] * x * x + 2 * information[..., 0, 1] * x * y + information[..., 1, 1] * y * y


def match_costs(state: SceneState, matches: Correspondences) -> Float[Tensor, "edge point"]:
    """Cauchy cost of each correspondence; a point behind the target camera costs as much as one 3 pixels off.

    Args:
        state: the scene.
        matches: its correspondences.
    """
    seen = predict_points(state, matches.points, matches.source, matches.target)
    error = _squared_error(seen.image - matches.matched, matches.information)
    behind = 9 * matches.information.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.log1p(torch.where(seen.in_front, error, error + behind))


def robust_cost(state: SceneState, matches: Correspondences, priors: Priors) -> Tensor:
    """Cauchy cost of the correspondences plus the priors, summed.

    Args:
        state: the scene.
        matches: its correspondences.
        priors: weak knowledge.
    """
    cost = match_costs(state, matches).sum()
    cost = cost + (priors.depth_weight * (state.inverse_depth - priors.inverse_depth).square()).sum()
    return cost + priors.focal_weight * (state.log_focal - priors.log_focal).square()


def normal_equations(state: SceneState, matches: Correspondences, priors: Priors) -> NormalEquations:
    """The Gauss-Newton system of all unknowns, correspondences reweighted by the Cauchy cost.

    Args:
        state: the scene.
        matches: its correspondences.
        priors: weak knowledge.

    Returns:
        The system; its camera block is float64.
    """
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
    camera[-1, -1] += priors.focal_weight
    right[-1] -= priors.focal_weight * (state.log_focal - priors.log_focal).double()

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


def _columns(matches: Correspondences, size: int) -> Int[Tensor, "edge 13"]:
    """Which unknowns an edge touches: six of the source, six of the target, the focal length (the last one)."""
    six = torch.arange(6, device=matches.source.device)
    focal = torch.full_like(matches.source, size - 1)[:, None]
    return torch.cat([6 * matches.source[:, None] + six, 6 * matches.target[:, None] + six, focal], 1)


def _free_columns(frames: int, free: FreeParameters, device: torch.device) -> Tensor:
    moves = torch.full((6 * frames + 1,), free.cameras, device=device)
    moves[:6] = False  # the first camera is the world
    if not free.translation:
        moves[:-1].view(frames, 6)[:, 3:] = False
    moves[-1] &= free.focal
    return moves


def reduced_system(equations: NormalEquations, damping: float = 0.0) -> tuple[Tensor, Tensor]:
    """Camera block and right side with the depths eliminated (Schur complement).

    Args:
        equations: of all unknowns.
        damping: of Levenberg-Marquardt, relative to the diagonal.
    """
    depth = equations.depth * (1 + damping) + 1e-6
    scaled = equations.coupling / depth[:, None]
    camera = equations.camera - (scaled @ equations.coupling.mT).double().sum(0)
    right = (scaled @ equations.depth_right[..., None]).double().sum(0).squeeze(-1)
    return camera, equations.camera_right - right


def solve_step(
    state: SceneState, equations: NormalEquations, damping: float, free: FreeParameters
) -> SceneState | None:
    """One damped step from the equations; None where the system is not positive definite.

    Args:
        state: to step from.
        equations: of all unknowns, at that state.
        damping: of Levenberg-Marquardt, relative to the diagonal.
        free: what may move.
    """
    frames = len(state.camera_from_world)
    if free.depth:
        camera, right = reduced_system(equations, damping)
    else:
        camera, right = equations.camera, equations.camera_right
    moves = _free_columns(frames, free, camera.device)
    system = camera[moves][:, moves]
    diagonal = system.diagonal()
    system = system + torch.diag(damping * diagonal.clamp_min(0) + 1e-6 * diagonal.abs().mean() + 1e-9)
    factor, info = torch.linalg.cholesky_ex(system)
    if info.item() != 0:
        return None
    step = torch.zeros_like(right)
    step[moves] = torch.cholesky_solve(right[moves][:, None], factor).squeeze(-1)
    step = step.to(state.inverse_depth.dtype)
    inverse_depth = state.inverse_depth
    if free.depth:
        change = (equations.depth_right - (step @ equations.coupling)) / (equations.depth * (1 + damping) + 1e-6)
        inverse_depth = (inverse_depth + change).clamp(MINIMUM_INVERSE_DEPTH, MAXIMUM_INVERSE_DEPTH)
    poses = state.camera_from_world
    if free.cameras:
        poses = orthonormal(se3_exp(step[:-1].view(frames, 6)) @ poses)
    return SceneState(poses, inverse_depth, state.log_focal + step[-1])


def minimise(
    state: SceneState,
    matches: Correspondences,
    priors: Priors,
    steps: int,
    free: FreeParameters | None = None,
    damping: float = 1e-3,
    tolerance: float = 1e-4,
) -> tuple[SceneState, float]:
    """Levenberg-Marquardt with accept/reject steps.

    Args:
        state: to start from.
        matches: its correspondences.
        priors: weak knowledge.
        steps: at most so many.
        free: what may move, by default all.
        damping: at the start, relative to the diagonal.
        tolerance: ends where a step lowers the cost by less than this part.

    Returns:
        The state and its cost, which is never higher than the start's.
    """
    free = free or FreeParameters()
    cost = robust_cost(state, matches, priors).item()
    equations = None
    for _ in range(steps):
        equations = equations or normal_equations(state, matches, priors)
        proposal = solve_step(state, equations, damping, free)
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
