"""Alignment: a known similarity is found, and no input makes it fail."""

import pytest
import torch

from video_ae.geometry.se3 import rigid, se3_exp, so3_exp
from video_ae.geometry.umeyama import Similarity, align


def random_similarity(seed: int, scale: float = 2.5) -> Similarity:
    generator = torch.Generator().manual_seed(seed)
    rotation = so3_exp(torch.randn(3, generator=generator, dtype=torch.float64))
    return Similarity(torch.tensor(scale).double(), rotation, torch.randn(3, generator=generator, dtype=torch.float64))


def points(count: int, rank: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    axes = torch.randn(rank, 3, generator=generator, dtype=torch.float64)
    return torch.randn(count, rank, generator=generator, dtype=torch.float64) @ axes + 3.0


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_known_similarity_is_recovered(rank, seed):
    source, truth = points(12, rank, seed), random_similarity(seed)
    found = align(source, truth.apply(source))
    assert found.scale.item() == pytest.approx(2.5)
    torch.testing.assert_close(found.apply(source), truth.apply(source))
    assert torch.linalg.det(found.rotation).item() == pytest.approx(1)
    if rank > 1:
        torch.testing.assert_close(found.rotation, truth.rotation)


def test_mirrored_points_keep_a_proper_rotation():
    source = points(20)
    found = align(source, source * torch.tensor([1.0, 1.0, -1.0]))
    assert torch.linalg.det(found.rotation).item() == pytest.approx(1)


def test_sim3_is_the_least_squares_optimum():
    source, target = points(15), points(15, seed=7)
    best = align(source, target)
    least = (best.apply(source) - target).square().sum()
    for seed in range(20):
        step = torch.randn(7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.01
        motion = se3_exp(step[:6])
        other = Similarity(best.scale * (1 + step[6]), motion[:3, :3] @ best.rotation, best.translation + motion[:3, 3])
        assert (other.apply(source) - target).square().sum() >= least


def test_se3_keeps_the_scale_and_scale_keeps_the_rest():
    source, truth = points(12), random_similarity(1)
    rigidly = align(source, truth.apply(source), "se3")
    assert rigidly.scale.item() == 1
    torch.testing.assert_close(rigidly.rotation, truth.rotation)
    scaled = align(source, 4 * source, "scale")
    assert scaled.scale.item() == pytest.approx(4)
    torch.testing.assert_close(scaled.rotation, torch.eye(3).double())
    assert align(source, -source, "scale").scale.item() == 0
    torch.testing.assert_close(align(source, 4 * source, "none").apply(source), source)


@pytest.mark.parametrize("alignment", ["sim3", "se3", "scale", "none"])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        (torch.zeros(0, 3), torch.zeros(0, 3)),
        (torch.ones(1, 3), torch.zeros(1, 3)),
        (torch.ones(5, 3) / 3, points(5).float()),
        (points(5).float(), torch.ones(5, 3)),
        (torch.ones(5, 3), torch.ones(5, 3)),
        (points(2).float(), points(2, seed=1).float()),
        (torch.full((4, 3), torch.nan), points(4).float()),
        (torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), -torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])),
    ],
)
def test_degenerate_points_give_a_proper_transform(source, target, alignment):
    found = align(source, target, alignment)
    assert found.scale.isfinite()
    assert found.scale >= 0
    assert found.translation.isfinite().all()
    torch.testing.assert_close(found.rotation @ found.rotation.T, torch.eye(3).double())
    assert torch.linalg.det(found.rotation).item() == pytest.approx(1)


def test_a_standing_estimate_lands_on_the_mean_of_the_truth():
    target = points(6)
    found = align(torch.full((6, 3), 5.0), target)
    torch.testing.assert_close(found.apply(torch.full((6, 3), 5.0)), target.mean(0).expand(6, 3))


def test_straight_path_takes_the_smallest_rotation():
    path = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 0, 2]])
    torch.testing.assert_close(align(path, path).rotation, torch.eye(3).double())
    turned = align(path, path[:, [2, 0, 1]]).rotation
    assert (turned.diagonal().sum().item() - 1) / 2 == pytest.approx(0, abs=1e-9)  # a quarter turn, no roll
    torch.testing.assert_close(turned @ torch.tensor([0.0, 1, 0]).double(), torch.tensor([0.0, 1, 0]).double())


def test_rows_that_are_not_finite_are_left_out():
    source, truth = points(8), random_similarity(3)
    target = truth.apply(source)
    target[3] = torch.inf
    assert align(source, target).scale.item() == pytest.approx(2.5)


def test_poses_stay_rigid_and_their_centres_follow():
    truth = random_similarity(5)
    poses = rigid(so3_exp(torch.randn(4, 3).double()), points(4))
    moved = truth.apply_to_poses(poses)
    torch.testing.assert_close(moved[:, :3, 3], truth.apply(poses[:, :3, 3]))
    torch.testing.assert_close(moved[:, :3, :3] @ moved[:, :3, :3].mT, torch.eye(3).double().expand(4, 3, 3))


def test_unknown_alignment_is_refused():
    with pytest.raises(Exception, match=r"sim2|Literal"):
        align(points(3), points(3), "sim2")
