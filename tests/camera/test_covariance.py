"""Error bars of cameras: what correspondences leave open, and what biases all of them."""

import math
from dataclasses import replace

import pytest
import torch

from video_ae.camera import covariance as module
from video_ae.camera.covariance import (
    dependence,
    error_covariance,
    focal_deviation,
    pose_covariance,
    rotation_confidence,
)
from video_ae.camera.problem import Correspondences, PointGrid, Priors, SceneState, Submap
from video_ae.camera.solver import CameraSolver
from video_ae.geometry.se3 import invert, se3_exp

FEW, MANY = PointGrid(5, 8, 64, 48), PointGrid(10, 16, 64, 48)


def submap(step, grid=FEW, spread=1e-3, frames=4):
    """A camera that does the same step again and again, all points at depth 1."""
    poses = se3_exp(torch.arange(frames)[:, None] * torch.tensor([step]))
    state = SceneState(invert(poses), torch.ones(frames, grid.rows * grid.columns), torch.tensor(50.0).log())
    covariance = torch.eye(6).repeat(frames, 1, 1) * spread**2
    return Submap(state, grid, covariance, rotation_confidence(covariance), (), 1e-4)


def deviations(solved):
    return error_covariance(solved).diagonal(dim1=-2, dim2=-1).sqrt()


def test_variances_of_a_lost_scene_are_finite_and_positive(monkeypatch):
    system = torch.diag(torch.tensor([1.0] * 12 + [-1.0], dtype=torch.float64))  # by rounding, it should be positive
    monkeypatch.setattr(module, "normal_equations", lambda *_: None)
    monkeypatch.setattr(module, "reduced_system", lambda _: (system, None))
    state, one = submap([0.0] * 6, FEW, frames=2).state, torch.ones(1, 40, 2)
    matches = Correspondences(torch.tensor([0]), torch.tensor([1]), one[0], one, one[..., None] * torch.eye(2))
    priors = Priors(state.inverse_depth, state.inverse_depth, state.log_focal, 1.0)
    covariance, variance = pose_covariance(state, matches, priors)
    assert variance == pytest.approx(100)
    torch.testing.assert_close(covariance[1], torch.eye(6) / 0.11)


def test_neighbouring_points_count_as_one():
    assert dependence(40) == 1
    assert dependence(160) == 4
    still = [0.0] * 6
    ratio = deviations(submap(still, MANY)) / deviations(submap(still, FEW))
    torch.testing.assert_close(ratio, torch.full((4, 6), 2.0))  # four times the points, the same information


def test_errors_grow_with_the_turn_and_the_distance():
    turning = deviations(submap([0.0, 0.3, 0.0, 0.0, 0.0, 0.0], spread=1e-6))
    torch.testing.assert_close(turning[:, 0], 0.013 * 0.3 * torch.arange(4.0), atol=1e-5, rtol=1e-3)
    assert turning[:, 3:].max() < 1e-5
    moving = deviations(submap([0.0, 0.0, 0.0, 0.0, 0.0, 0.5], spread=1e-6))
    torch.testing.assert_close(moving[:, 4], 0.013 * 0.5 * torch.arange(4.0), atol=1e-5, rtol=1e-3)
    assert moving[:, :3].max() < 1e-5


def test_where_no_rigid_scene_explains_the_matches_errors_are_larger():
    good = submap([0.0] * 6)
    lost = replace(good, confidence=good.confidence * 0.01)
    torch.testing.assert_close(deviations(lost), 10 * deviations(good))


def test_focal_length_is_known_to_what_lenses_differ_by_at_worst():
    assert focal_deviation(replace(submap([0.0] * 6), focal_variance=0.0)) == pytest.approx(0.022, rel=0.01)
    assert focal_deviation(replace(submap([0.0] * 6), focal_variance=1e6)) == pytest.approx(0.43, rel=0.01)


def test_a_guess_counts_where_the_frames_do_not_tell_the_focal_length():
    solver = CameraSolver(size=32, search_size=24, directions=40, candidates=1, stages=((1, 2),))
    frames = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(0)).expand(4, 3, 40, 60)  # stands still
    found = solver.solve(frames)
    assert found.focal_deviation > 0.08
    assert any(note.startswith("focal length: ") for note in found.notes)
    alone = found.cameras.intrinsics[0, 0].item()
    guessed = solver.solve(frames, expected_focal=1.2 * alone)
    assert guessed.focal_deviation < 0.16
    assert guessed.cameras.intrinsics[0, 0].item() == pytest.approx(1.2 * alone, rel=0.05)
    given = solver.solve(frames, focal_over_width=0.7)
    assert given.focal_deviation is None
    assert math.isclose(given.cameras.intrinsics[0, 0].item(), 0.7, rel_tol=1e-5)
