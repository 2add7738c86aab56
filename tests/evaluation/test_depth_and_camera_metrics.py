import math

import pytest
import torch

from video_ae.evaluation.metrics.depth import depth_error
from video_ae.evaluation.metrics.pose_errors import field_of_view_error, focal_ratio
from video_ae.evaluation.metrics.statistics import bootstrap_interval, rank_correlation


def intrinsics(focal):
    return torch.tensor([focal, focal, 0.5, 0.5]).repeat(3, 1)


def test_focal_ratio_and_field_of_view():
    assert focal_ratio(intrinsics(1.0), intrinsics(0.5)) == pytest.approx(2)
    expected = 90 - math.degrees(2 * math.atan(0.5))
    assert field_of_view_error(intrinsics(1.0), intrinsics(0.5)) == pytest.approx(expected)


@pytest.mark.parametrize("focal", [0.0, -1.0, math.nan, math.inf])
def test_a_focal_length_that_is_none_has_no_ratio(focal):
    assert focal_ratio(intrinsics(focal), intrinsics(0.5)) is None
    assert field_of_view_error(intrinsics(focal), intrinsics(0.5)) is None


def test_depth_is_compared_up_to_scale():
    true = torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    error = depth_error(true * 7, true)
    assert (error.absolute_relative, error.within_25_percent) == (0, 1)
    assert error.scale == pytest.approx(1 / 7)


def test_depth_error_by_hand_under_a_mask():
    true = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])
    found = torch.tensor([1.0, 1.0, 1.5, 99.0, 3.0])
    error = depth_error(found, true, torch.tensor([True, True, True, False, True]))
    assert error.pixels == 3
    assert error.absolute_relative == pytest.approx(0.5 / 3)
    assert error.within_25_percent == pytest.approx(2 / 3)


def test_depth_without_an_answer():
    assert depth_error(torch.ones(3), torch.zeros(3)) is None
    nothing = depth_error(torch.full((3,), math.nan), torch.ones(3))
    assert (nothing.absolute_relative, nothing.within_25_percent) == (1, 0)


def test_rank_correlation():
    a = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert rank_correlation(a, a.exp()) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, torch.ones(4)) is None
    assert rank_correlation(torch.tensor([1.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])) == pytest.approx(0.75**0.5)


def test_bootstrap_interval_holds_the_mean_and_is_seeded():
    values = [float(x) for x in range(20)]
    low, high = bootstrap_interval(values)
    assert 6 < low < 9.5 < high < 13
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval([3.0]) == (3.0, 3.0)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_interval([])
