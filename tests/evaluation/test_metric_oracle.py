"""Our numbers against those of evo and scikit-image, made once by tools/make_metric_oracle.py."""

import json
from pathlib import Path

import pytest
import torch
from einops import rearrange

from video_ae.evaluation.metrics.images import psnr, ssim
from video_ae.evaluation.metrics.pose_errors import absolute_trajectory_error, relative_pose_error

ORACLE = json.loads((Path(__file__).parent / "metric_oracle.json").read_text())


def square(rows):
    """[frame, 3, 4] as written -> [frame, 4, 4]."""
    poses = torch.eye(4, dtype=torch.float64).repeat(len(rows), 1, 1)
    poses[:, :3] = torch.tensor(rows, dtype=torch.float64)
    return poses


@pytest.mark.parametrize("alignment", ["sim3", "se3"])
@pytest.mark.parametrize("case", ORACLE["trajectories"], ids=range(len(ORACLE["trajectories"])))
def test_trajectory_errors_are_those_of_evo(case, alignment):
    true, found, evo = square(case["true"]), square(case["found"]), case["evo"][alignment]
    error = absolute_trajectory_error(found[:, :3, 3], true[:, :3, 3], alignment)
    assert error.rmse == pytest.approx(evo["ate_rmse"], rel=1e-6)
    assert error.mean == pytest.approx(evo["ate_mean"], rel=1e-6)
    assert error.maximum == pytest.approx(evo["ate_max"], rel=1e-6)
    for gap in (1, 5):
        step = relative_pose_error(found, true, gap, alignment)
        assert step.translation_rmse == pytest.approx(evo[f"rpe_{gap}_translation_rmse"], rel=1e-6)
        assert step.rotation_rmse == pytest.approx(evo[f"rpe_{gap}_rotation_rmse"], rel=1e-6)


@pytest.mark.parametrize("case", ORACLE["pictures"], ids=range(len(ORACLE["pictures"])))
def test_psnr_and_ssim_are_those_of_scikit_image(case):
    first, second = (
        rearrange(torch.tensor(case[name], dtype=torch.float64), "h w c -> 1 c h w") for name in ("first", "second")
    )
    assert psnr(first, second).item() == pytest.approx(case["psnr"], abs=1e-6)
    assert ssim(first, second).item() == pytest.approx(case["ssim"], abs=1e-6)
