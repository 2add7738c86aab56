"""Bundle adjustment: derivatives, the Schur complement, exact recovery, and that no step makes things worse."""

from dataclasses import replace

import pytest
import torch

from video_ae.camera.bundle_adjustment import minimise, robust_cost, solve_step
from video_ae.camera.covariance import pose_covariance
from video_ae.camera.frame_graph import frame_pairs
from video_ae.camera.normal_equations import NormalEquations, normal_equations
from video_ae.camera.problem import Correspondences, FreeParameters, Priors, SceneState
from video_ae.camera.reprojection import linearise, predict_points
from video_ae.geometry.se3 import invert, rotation_angle, se3_exp
from video_ae.threads import mean_of_all


def make_scene(frames: int = 4, dtype=torch.float64, seed: int = 0) -> tuple[SceneState, Correspondences]:
    """A scene of random depths and the exact matches between all its frames."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.meshgrid(torch.linspace(-30, 30, 6), torch.linspace(-20, 20, 5), indexing="ij")
    points = torch.stack([x.flatten(), y.flatten()], -1).to(dtype)
    twists = torch.randn(frames, 6, generator=generator, dtype=dtype) * 0.08
    twists[0] = 0
    depth = 0.5 + torch.rand(frames, len(points), generator=generator, dtype=dtype)
    state = SceneState(se3_exp(twists), depth, torch.tensor(60.0, dtype=dtype).log()).normalized()
    source, target = frame_pairs(frames, tuple(range(1, frames)))
    image = predict_points(state, points, source, target).image
    information = torch.eye(2, dtype=dtype).expand(len(source), len(points), 2, 2).clone()
    return state, Correspondences(source, target, points, image, information)


def weak_priors(state: SceneState, weight: float = 1e-9) -> Priors:
    ones = torch.ones_like(state.inverse_depth)
    return Priors(ones, weight * ones, state.log_focal, 0.0)


def test_analytic_derivatives_are_those_of_autograd():
    state, matches = make_scene()
    lin = linearise(state, matches)
    edge = 3
    pair = (matches.source[edge].item(), matches.target[edge].item())

    def residual(twists, depth_change, focal_change):
        poses = list(state.camera_from_world)
        for frame, twist in zip(pair, twists, strict=True):
            poses[frame] = se3_exp(twist) @ poses[frame]
        depth = state.inverse_depth.clone()
        depth[pair[0]] = depth[pair[0]] + depth_change
        moved = SceneState(torch.stack(poses), depth, state.log_focal + focal_change)
        return predict_points(moved, matches.points, matches.source, matches.target).image[edge]

    zeros = (torch.zeros(2, 6).double(), torch.zeros(len(matches.points)).double(), torch.tensor(0.0).double())
    by_twists, by_depth, by_focal = torch.autograd.functional.jacobian(residual, zeros)
    by_target = lin.by_target[edge, :, :6].permute(2, 0, 1)
    torch.testing.assert_close(by_target, by_twists[:, :, 1])
    torch.testing.assert_close(-by_target @ lin.adjoint[edge], by_twists[:, :, 0])
    torch.testing.assert_close(lin.by_inverse_depth[edge], by_depth.diagonal(dim1=0, dim2=2))
    torch.testing.assert_close(lin.by_target[edge, :, 6].mT, by_focal)


def dense_step(equations: NormalEquations, damping: float) -> torch.Tensor:
    """The slow, obvious twin: all unknowns in one dense system, first pose fixed."""
    frames, _, points = equations.coupling.shape
    wide = equations.coupling.new_zeros(frames, points, len(equations.camera) + 1)
    index = equations.columns[:, None].expand(-1, points, -1)
    coupling = wide.scatter_add(2, index, equations.coupling.mT)[..., :-1].flatten(0, 1)
    depth = equations.depth.flatten() * (1 + damping) + 1e-6
    matrix = torch.cat([torch.cat([equations.camera, coupling.T], 1), torch.cat([coupling, torch.diag(depth)], 1)])
    right = torch.cat([equations.camera_right, equations.depth_right.flatten()])
    return torch.linalg.solve(matrix[6:, 6:], right[6:])


def test_schur_solution_is_the_dense_solution():
    state, matches = make_scene()
    moved = replace(state, inverse_depth=state.inverse_depth * 1.05, log_focal=state.log_focal + 0.02)
    priors = weak_priors(state, 1.0)
    equations = normal_equations(moved, matches, priors)
    step = solve_step(moved, equations, 0.0, FreeParameters())
    dense = dense_step(equations, 0.0)
    cameras = 6 * (len(moved.camera_from_world) - 1)
    depth_change = dense[cameras + 1 :].view_as(moved.inverse_depth)
    torch.testing.assert_close(step.inverse_depth - moved.inverse_depth, depth_change, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(step.log_focal - moved.log_focal, dense[cameras], atol=1e-4, rtol=1e-3)


def test_exact_matches_give_back_poses_focal_length_and_depths():
    truth, matches = make_scene()
    generator = torch.Generator().manual_seed(5)
    noise = 0.03 * torch.randn(4, 6, generator=generator, dtype=torch.float64)
    noise[0] = 0
    start = SceneState(
        se3_exp(noise) @ truth.camera_from_world, torch.ones_like(truth.inverse_depth), truth.log_focal + 0.1
    )
    found, _ = minimise(start, matches, weak_priors(truth), 100, tolerance=0.0)
    found = found.normalized()
    turn = found.camera_from_world[:, :3, :3] @ truth.camera_from_world[:, :3, :3].mT
    assert rotation_angle(turn).max() < 1e-4
    torch.testing.assert_close(found.camera_from_world, truth.camera_from_world, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.log_focal, truth.log_focal, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.inverse_depth, truth.inverse_depth, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_minimise_never_raises_the_cost_even_from_nonsense(seed):
    truth, matches = make_scene(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    start = SceneState(
        se3_exp(torch.randn(4, 6, generator=generator, dtype=torch.float64)),
        torch.rand(truth.inverse_depth.shape, generator=generator, dtype=torch.float64) * 5,
        truth.log_focal + 1.0,
    )
    priors = weak_priors(truth, 0.1)
    before = robust_cost(start, matches, priors).item()
    found, cost = minimise(start, matches, priors, 10)
    assert cost <= before
    assert cost == pytest.approx(robust_cost(found, matches, priors).item())


def test_costs_steps_and_covariances_are_the_same_on_any_number_of_threads():
    state, matches = make_scene(frames=40)
    noise = torch.Generator().manual_seed(1)
    matched = matches.matched + torch.randn(matches.matched.shape, generator=noise, dtype=torch.float64)
    matches, priors = replace(matches, matched=matched), weak_priors(state)
    assert matched[..., 0].numel() > 32768, "torch adds fewer numbers on one thread"
    equations = normal_equations(state, matches, priors)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            step = solve_step(state, equations, 1e-4, FreeParameters())
            covariance, spread = pose_covariance(state, matches, priors)
            cost = robust_cost(state, matches, priors)
            found.append((cost, step.camera_from_world, mean_of_all(matched), covariance, torch.tensor(spread)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for one in found[1:]:
        assert all(map(torch.equal, one, found[0]))


def test_frozen_parts_do_not_move():
    truth, matches = make_scene()
    start = replace(truth, inverse_depth=torch.ones_like(truth.inverse_depth))
    found, _ = minimise(start, matches, weak_priors(truth), 5, FreeParameters(cameras=False))
    assert torch.equal(found.camera_from_world, start.camera_from_world)
    assert found.log_focal == start.log_focal
    assert (found.inverse_depth - truth.inverse_depth).abs().max() < (1 - truth.inverse_depth).abs().max() / 10


def test_world_is_the_first_frame():
    truth, matches = make_scene()
    found, _ = minimise(replace(truth, log_focal=truth.log_focal + 0.2), matches, weak_priors(truth), 5)
    torch.testing.assert_close(found.camera_from_world[0] @ invert(truth.camera_from_world[0]), torch.eye(4).double())
