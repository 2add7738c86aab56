"""Dense bundle adjustment: camera poses, a focal length and inverse depths from matched image points.

All frames of a window are solved together by Levenberg-Marquardt.
"""

import torch
from torch import Tensor

from video_ae.camera.normal_equations import NormalEquations, depth_step, normal_equations, reduced_system
from video_ae.camera.problem import Correspondences, FreeParameters, Priors, SceneState
from video_ae.camera.reprojection import match_costs
from video_ae.geometry.se3 import orthonormal, se3_exp
from video_ae.threads import one_thread

MAXIMUM_INVERSE_DEPTH = 20.0  # in units of the window's mean inverse depth
MINIMUM_INVERSE_DEPTH = 1e-3


def robust_cost(state: SceneState, matches: Correspondences, priors: Priors) -> Tensor:
    """Cauchy cost of the correspondences plus the priors, summed.

    Args:
        state: the scene.
        matches: its correspondences.
        priors: weak knowledge.
    """
    costs = match_costs(state, matches)
    depths = priors.depth_weight * (state.inverse_depth - priors.inverse_depth).square()
    with one_thread():
        cost = costs.sum() + depths.sum()
    return cost + priors.focal_weight * (state.log_focal - priors.log_focal).square()


def _free_columns(frames: int, free: FreeParameters, device: torch.device) -> Tensor:
    moves = torch.full((6 * frames + 1,), free.cameras, device=device)
    poses = moves[:-1].view(frames, 6)
    poses[[0, *free.held]] = False  # the first camera is the world
    if not free.translation:
        poses[:, 3:] = False
    moves[-1] &= free.focal
    return moves


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
    step = torch.zeros_like(right)
    with one_thread():
        factor, info = torch.linalg.cholesky_ex(system)
        if info.item() != 0:
            return None
        step[moves] = torch.cholesky_solve(right[moves][:, None], factor).squeeze(-1)
    step = step.to(state.inverse_depth.dtype)
    inverse_depth = state.inverse_depth
    if free.depth:
        inverse_depth = (inverse_depth + depth_step(equations, step, damping)).clamp(
            MINIMUM_INVERSE_DEPTH, MAXIMUM_INVERSE_DEPTH
        )
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
