"""Pose metrics on trajectories whose errors are known by hand, and on degenerate ones."""

import math

import pytest
import torch

from video_ae.evaluation.metrics.pose_errors import (
    PairErrors,
    absolute_trajectory_error,
    accuracy_at,
    all_pairs,
    area_under_curve,
    pair_errors,
    pairs_apart,
    relative_pose_error,
    rms_extent,
    rotation_error_from_first,
)
from video_ae.geometry.se3 import rigid, so3_exp
from video_ae.geometry.umeyama import Similarity


def walk(frames=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turns = torch.randn(frames, 3, generator=generator, dtype=torch.float64).cumsum(0) * 0.1
    steps = torch.rand(frames, 3, generator=generator, dtype=torch.float64) + torch.tensor([0.0, 0.0, 1.0])
    return rigid(so3_exp(turns), steps.cumsum(0))


def similar(poses):
    turn = so3_exp(torch.tensor([0.3, -1.0, 0.5]).double())
    return Similarity(torch.tensor(0.2).double(), turn, torch.tensor([1.0, 2, 3]).double()).apply_to_poses(poses)


def test_a_similar_trajectory_has_no_error():
    truth = walk()
    found = similar(truth)
    error = absolute_trajectory_error(found[:, :3, 3], truth[:, :3, 3])
    pairs = pair_errors(found, truth, pairs_apart(12, 5))
    step = relative_pose_error(found, truth)
    assert error.rmse == pytest.approx(0, abs=1e-9)
    assert pairs.mean_rotation == pytest.approx(0, abs=1e-5)
    assert pairs.mean_direction == pytest.approx(0, abs=1e-5)
    assert rotation_error_from_first(found, truth) == pytest.approx(0, abs=1e-5)
    assert step.translation_rmse == pytest.approx(0, abs=1e-9)
    assert area_under_curve(pair_errors(found, truth, all_pairs(12))) == 1


def test_standing_still_scores_one_extent():
    truth = walk()
    still = torch.eye(4).double().repeat(12, 1, 1)
    assert absolute_trajectory_error(still[:, :3, 3], truth[:, :3, 3]).rmse_over_extent == pytest.approx(1)
    assert pair_errors(still, truth, pairs_apart(12, 5)).direction.tolist() == [90.0] * 7


def test_statistics_of_the_trajectory_error():
    truth = torch.tensor([[0.0, 0, 0], [2, 0, 0], [4, 0, 0], [6, 0, 0]])
    found = truth + torch.tensor([[0.0, 1, 0], [0, -1, 0], [0, 1, 0], [0, 3, 0]])
    error = absolute_trajectory_error(found, truth, "none")
    assert (error.mean, error.maximum) == (1.5, 3)
    assert error.rmse == pytest.approx(math.sqrt(3))
    assert error.extent == pytest.approx(math.sqrt(5))


def test_a_known_turn_and_a_backward_step():
    truth = torch.eye(4).double().repeat(3, 1, 1)
    truth[:, 2, 3] = torch.tensor([0.0, 1.0, 2.0])
    found = truth.clone()
    found[1, :3, :3] = so3_exp(torch.tensor([0.0, math.radians(30), 0.0]).double())
    found[2, 2, 3] = 0.0
    errors = pair_errors(found, truth, pairs_apart(3, 1))
    # Frame 1 looks 30 degrees to the right: the way back is 180 - 30 degrees away from the truth in its own axes.
    torch.testing.assert_close(errors.rotation, torch.tensor([30.0, 30.0]).double())
    torch.testing.assert_close(errors.direction, torch.tensor([0.0, 150.0]).double())


def test_direction_is_measured_in_the_first_cameras_axes():
    truth = walk()
    mirrored = truth.clone()
    mirrored[:, :3, 3] *= -1
    torch.testing.assert_close(
        pair_errors(mirrored, truth, pairs_apart(12, 5)).direction, torch.full((7,), 180.0).double()
    )


def test_short_true_movements_are_left_out():
    truth = torch.eye(4).repeat(4, 1, 1)
    truth[:, 0, 3] = torch.tensor([0.0, 0.001, 1.0, 2.0])
    assert pair_errors(truth, truth, pairs_apart(4, 1)).moves.tolist() == [False, True, True]


def test_rpe_of_a_known_drift():
    truth = torch.eye(4).double().repeat(5, 1, 1)
    truth[:, 2, 3] = torch.arange(5)
    found = truth.clone()
    found[:, 2, 3] *= 1.1
    error = relative_pose_error(found, truth, alignment="se3")
    assert error.translation_rmse == pytest.approx(0.1)
    assert error.rotation_rmse == pytest.approx(0, abs=1e-5)


def test_accuracy_and_area_by_hand():
    errors = PairErrors(torch.tensor([0.5, 4.5, 40.0]), torch.tensor([0.0, 9.5, 0.0]), torch.tensor([True, True, True]))
    assert accuracy_at(errors.rotation, 5) == pytest.approx(2 / 3)
    # Pair 1 lies below all 30 thresholds, pair 2 below 10..30, pair 3 below none.
    assert area_under_curve(errors) == pytest.approx((30 + 21) / 90)


def test_pure_rotation_counts_rotation_alone():
    truth = rigid(so3_exp(torch.arange(6)[:, None] * torch.tensor([0.0, 0.1, 0.0])), torch.ones(6, 3))
    errors = pair_errors(truth, truth, all_pairs(6))
    assert errors.mean_direction is None
    assert area_under_curve(errors) == 1
    assert absolute_trajectory_error(walk(6)[:, :3, 3], truth[:, :3, 3].double()).rmse_over_extent is None


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_few_frames_have_defined_answers(frames):
    truth, found = walk(frames), walk(frames, 1)
    error = absolute_trajectory_error(found[:, :3, 3], truth[:, :3, 3])
    assert (error is None) == (frames == 0)
    assert error is None or math.isfinite(error.rmse)
    assert rms_extent(truth[:, :3, 3]) == pytest.approx(0 if frames < 2 else rms_extent(truth[:, :3, 3]))
    assert pair_errors(found, truth, pairs_apart(frames, 5)).mean_rotation is None
    assert (rotation_error_from_first(found, truth) is None) == (frames < 2)
    assert (relative_pose_error(found, truth) is None) == (frames < 2)
    assert (area_under_curve(pair_errors(found, truth, all_pairs(frames))) is None) == (frames < 2)
