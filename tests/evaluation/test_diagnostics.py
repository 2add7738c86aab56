"""Each sign of collapse is found on a broken model and not on a sound one."""

import pytest
import torch
from evaluation_fakes import make_clip

from video_ae.evaluation.metrics import collapse
from video_ae.evaluation.metrics.pose_errors import coverage_90, normalised_errors
from video_ae.evaluation.protocols.base import PoseEstimate
from video_ae.evaluation.report.records import diagnose_poses
from video_ae.geometry.se3 import invert, rigid, se3_exp, so3_exp
from video_ae.types import Cameras

CLIP = make_clip("a", 20)
TRUE = CLIP.cameras.world_from_camera.double()
STILL = torch.eye(4, dtype=torch.float64).repeat(20, 1, 1)


def moved(poses, centres):
    return rigid(poses[:, :3, :3], centres)


def test_poses_alike():
    assert collapse.poses_alike(STILL, TRUE).triggered
    assert not collapse.poses_alike(TRUE, TRUE).triggered
    assert collapse.poses_alike(STILL, STILL) is None
    turning = moved(TRUE, torch.zeros(20, 3).double())
    assert not collapse.poses_alike(turning, TRUE).triggered


def test_a_standing_camera_is_seen_from_the_pictures_alone():
    assert collapse.camera_stands_still(STILL, CLIP.frames).triggered
    assert not collapse.camera_stands_still(TRUE, CLIP.frames).triggered
    assert collapse.camera_stands_still(STILL, CLIP.frames[:1].expand(20, -1, -1, -1)) is None


def test_poses_that_count_frames():
    back = collapse.there_and_back(CLIP.select(slice(0, 8)))
    assert back.frames.shape[0] == 15
    assert torch.equal(back.frames[14], back.frames[0])
    assert back.indices.tolist() == list(range(15))
    assert not collapse.poses_encode_time(back.cameras.world_from_camera).triggered
    index = torch.arange(15, dtype=torch.float64)
    zero = torch.zeros_like(index)
    counting = rigid(so3_exp(torch.stack([zero, 0.02 * index, zero], -1)), torch.stack([index, zero, zero], -1))
    finding = collapse.poses_encode_time(counting)
    assert finding.triggered
    assert finding.value == pytest.approx(1)
    assert not collapse.poses_encode_time(STILL).triggered


def test_flat_structure():
    maps = 0.2 + torch.rand(5, 6, 8)
    assert not collapse.flat_structure(maps).triggered
    assert collapse.flat_structure(torch.full((5, 6, 8), 0.7)).triggered


def test_prediction_is_the_nearest_context():
    contexts, targets = torch.rand(4, 2, 3, 8, 9), torch.rand(4, 3, 8, 9)
    assert collapse.copies_context(contexts[:, 1], contexts, targets).triggered
    assert not collapse.copies_context(targets, contexts, targets).triggered
    assert not collapse.copies_context(contexts.mean(1), contexts, targets).triggered
    assert collapse.copies_context(targets, targets[:, None], targets) is None


@pytest.mark.parametrize(("focal", "triggered"), [(0.8, False), (0.5, False), (3.0, True), (0.2, True), (-1.0, True)])
def test_runaway_focal(focal, triggered):
    intrinsics = torch.tensor([focal, focal, 0.5, 0.5]).repeat(3, 1)
    assert collapse.runaway_focal(intrinsics, (200, 100)).triggered is triggered


def test_wrong_sign_of_translation():
    assert collapse.wrong_sign(moved(TRUE, -TRUE[:, :3, 3]), TRUE).triggered
    assert not collapse.wrong_sign(TRUE, TRUE).triggered
    assert not collapse.wrong_sign(STILL, TRUE).triggered
    assert collapse.wrong_sign(TRUE, STILL) is None


def test_scale_drift():
    steps = TRUE[:, :3, 3].diff(dim=0)
    growing = torch.cat([torch.zeros(1, 3), (steps * torch.linspace(0, 1.5, 19)[:, None].exp()).cumsum(0)]).double()
    finding = collapse.scale_drift(moved(TRUE, growing), TRUE)
    assert finding.triggered
    assert finding.value == pytest.approx(4.48, rel=0.01)
    assert collapse.scale_drift(moved(TRUE, 7 * TRUE[:, :3, 3]), TRUE).value == pytest.approx(1, rel=1e-4)
    assert collapse.scale_drift(TRUE, STILL) is None


def test_a_sound_model_is_silent_and_a_broken_one_is_not():
    sound = PoseEstimate(CLIP.cameras.to(torch.float64), inverse_depth=0.2 + torch.rand(20, 4, 5))
    findings = diagnose_poses(sound.cameras, sound, CLIP)
    assert len(findings) == 5
    assert not [finding["name"] for finding in findings if finding["triggered"]]
    wild = Cameras(STILL, torch.full((20, 4), 9.0).double())
    broken = PoseEstimate(wild, inverse_depth=torch.ones(20, 4, 5))
    names = {f["name"] for f in diagnose_poses(wild, broken, CLIP) if f["triggered"]}
    assert names == {"poses all alike", "runaway focal length", "flat structure"}


def test_covariances_cover_what_they_say():
    generator = torch.Generator().manual_seed(0)
    root = 0.01 * torch.eye(6).double() + 0.003 * torch.rand(6, 6, generator=generator).double()
    count = 2000
    centres = torch.randn(count, 3, generator=generator).double()
    true = rigid(so3_exp(0.3 * torch.randn(count, 3, generator=generator).double()), centres)
    true = invert(true[:1]) @ true
    noise = torch.randn(count, 6, generator=generator).double() @ root.T
    noise[0] = 0
    found = invert(se3_exp(noise) @ invert(true))
    covariance = (root @ root.T).repeat(count, 1, 1)
    posed = torch.ones(count, dtype=torch.bool)
    scaled = moved(true, 5 * true[:, :3, 3])
    for dimensions in (3, 6):
        assert coverage_90(found, scaled, covariance, posed, dimensions) == pytest.approx(90, abs=2)
        assert coverage_90(found, scaled, covariance / 9, posed, dimensions) < 60
    assert normalised_errors(found, scaled, covariance).mean().item() == pytest.approx(6, rel=0.05)
    assert coverage_90(found[:1], true[:1], covariance[:1], posed[:1]) is None
