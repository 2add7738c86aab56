"""A lens is found from matches where there is one, and only there."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from video_ae.camera import lens_search
from video_ae.camera import solver as camera_solver
from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.clip_solving import ClipSolving, Solution
from video_ae.camera.correction_fit import CorrectionFit, resampled
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.lens_search import bend_back, search_lens
from video_ae.camera.problem import (
    Correspondences,
    FreeParameters,
    KnownParameters,
    PointGrid,
    Priors,
    SceneState,
    Submap,
)
from video_ae.camera.quality_flags import MISFIT
from video_ae.camera.reprojection import predict_points
from video_ae.camera.solver import CameraSolver
from video_ae.camera.working_images import WorkingImages
from video_ae.geometry.se3 import se3_exp
from video_ae.types import LensOffset

SIZE, FOCAL = (96, 72), 80.0
FRAMES = 8


def scene() -> tuple[SceneState, torch.Tensor, torch.Tensor]:
    """A hand-held camera that walks past points of many depths; what it sees without a lens."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(-33, 34, 6.0), torch.arange(-45, 46, 6.0), indexing="ij")
    points = torch.stack([x, y], -1).flatten(0, 1)
    time = torch.arange(FRAMES) / (FRAMES - 1)
    turns = 0.08 * torch.stack([(5 * time).sin(), (4 * time).cos() - 1, 1.5 * (3 * time).sin()], -1)
    moves = 0.25 * torch.stack([2 * time, (6 * time).sin(), (4 * time).cos() - 1], -1)
    poses = se3_exp(torch.cat([turns, moves], -1))
    inverse_depth = 0.5 + torch.rand(FRAMES, len(points), generator=generator)
    pairs = [(i, j) for i in range(FRAMES) for j in range(FRAMES) if 0 < abs(i - j) <= 4]
    return SceneState(poses, inverse_depth, torch.tensor(FOCAL).log()), points, torch.tensor(pairs).T


def shown(points: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
    """Where the lens shows points: what `bend_back` undoes."""
    return points * (1 + lens[0] * (points / FOCAL).square().sum(-1, keepdim=True)) + lens[1:]


def seen_through(lens: torch.Tensor, noise: float = 0.08) -> tuple[SceneState, Correspondences, Priors]:
    """The matches of a camera with this lens, and the scene that a pinhole makes of them."""
    state, points, edges = scene()
    straight = bend_back(points, lens, FOCAL)
    matched = shown(predict_points(state, straight, *edges).image, lens)
    matched = matched + noise * torch.randn(matched.shape, generator=torch.Generator().manual_seed(1))
    information = (torch.eye(2) / 0.6**2).expand(*matched.shape, 2)
    depth = torch.ones_like(state.inverse_depth)
    priors = Priors(depth, 0.1 * depth, torch.tensor(75.0).log(), 50.0)
    matches = Correspondences(*edges, points, matched, information.contiguous())
    return minimise(state, matches, priors, 30)[0], matches, priors


def test_points_are_bent_back():
    lens, points = torch.tensor([-0.2, 1.5, -2.0]), scene()[1]
    torch.testing.assert_close(bend_back(shown(points, lens), lens, FOCAL), points, atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("radial", "centre"), [(-0.15, (0.0, 0.0)), (0.08, (0.0, 0.0)), (0.0, (0.03, -0.04)), (-0.1, (0.02, 0.03))]
)
def test_a_lens_is_found(radial, centre):
    lens = torch.tensor([radial, centre[0] * SIZE[0], centre[1] * SIZE[1]])
    found = search_lens(*seen_through(lens), FreeParameters(), SIZE)
    assert found is not None
    assert found.radial == pytest.approx(radial, abs=0.02)
    assert found.centre == pytest.approx(centre, abs=0.015 if radial else 0.002)
    assert found.focal_over_width == pytest.approx(FOCAL / SIZE[0], rel=0.02)


def test_noise_bends_a_pinhole_by_as_much_as_resampling_says():
    state, matches, priors = seen_through(torch.zeros(3), noise=0.5)

    def found(scene: SceneState, seen: Correspondences) -> float:
        def straightened(k1: torch.Tensor) -> Correspondences:
            points, matched = (bend_back(one, torch.cat([k1, zeros]), FOCAL) for one in (seen.points, seen.matched))
            return replace(seen, points=points, matched=matched)

        zeros = torch.zeros(2)
        return CorrectionFit(scene, straightened, priors, FreeParameters(), (0.1,), (1e-3,)).run((0,))[0].item()

    bent, bias = found(state, matches), found(state, resampled(state, matches))
    assert bent > 0.004
    assert bias == pytest.approx(bent, abs=0.001)


@pytest.mark.parametrize("noise", [0.3, 0.5])
def test_a_weak_lens_is_found_in_noise(noise):
    found = search_lens(*seen_through(torch.tensor([0.03, 0.0, 0.0]), noise), FreeParameters(), SIZE)
    assert found is not None
    assert found.radial == pytest.approx(0.03, abs=0.005)
    assert found.focal_over_width == pytest.approx(FOCAL / SIZE[0], rel=0.005)
    assert search_lens(*seen_through(torch.zeros(3), noise), FreeParameters(), SIZE) is None


def test_a_pinhole_is_left_alone():
    assert search_lens(*seen_through(torch.zeros(3)), FreeParameters(), SIZE) is None


def test_a_radial_coefficient_that_no_phone_has_is_not_believed():
    """Forward motion finds such ones: depth takes their place."""
    assert search_lens(*seen_through(torch.tensor([0.3, 0.0, 0.0])), FreeParameters(), SIZE) is None


def test_matches_that_are_merely_wrong_make_no_lens():
    state, matches, priors = seen_through(torch.zeros(3), noise=1.0)
    assert search_lens(state, replace(matches), priors, FreeParameters(), SIZE) is None


def test_a_lens_that_saves_no_more_than_noise_would_is_not_believed(monkeypatch):
    given = (*seen_through(torch.tensor([0.03, 0.0, 0.0]), 0.3), FreeParameters(), SIZE)
    assert search_lens(*given) is not None
    monkeypatch.setattr(lens_search, "dependence", lambda points: 100.0)  # as if hardly a match counted
    assert search_lens(*given) is None


@pytest.mark.parametrize("lost", [False, True])
def test_a_principal_point_that_runs_away_in_a_lost_scene_is_not_believed(lost, monkeypatch):
    monkeypatch.setattr(lens_search, "typical_lost_cost", lambda size: 0.0 if lost else 1.0)
    far = torch.tensor([0.0, 0.16 * SIZE[0], 0.0])  # further off than the search goes
    assert (search_lens(*seen_through(far), FreeParameters(), SIZE) is None) == lost


STILL = SceneState(torch.eye(4)[None], torch.ones(1, 4), torch.tensor(0.0))
SOLVED = Submap(STILL, PointGrid(2, 2, 8, 8), torch.zeros(1, 6, 6), torch.ones(1))


@pytest.mark.parametrize(
    ("lost_steps", "used"), [((), range(6, 54, 2)), ((2,), range(18, 42)), ((1, 2), range(6, 54, 2))]
)
def test_a_stretch_that_is_lost_in_wide_steps_is_solved_frame_by_frame(lost_steps, used, monkeypatch):
    def feed_forward(part: ClipSolving) -> Submap:
        first, second = part.images.frames[:2, 0, 0, 0].tolist()
        return replace(SOLVED, notes=(MISFIT,) if second - first in lost_steps else ())

    monkeypatch.setattr(ClipSolving, "feed_forward", feed_forward)
    frames = torch.arange(60, dtype=torch.uint8)[:, None, None, None].expand(60, 3, 4, 4)
    solver = CameraSolver(window=24)
    part, _ = solver._solve_stretch(WorkingImages(frames, solver.features, solver.levels), None)
    assert part.images.frames[:, 0, 0, 0].tolist() == list(used)


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize(("k1", "centre", "told_apart"), [(0.04, 0.0, False), (-0.3, 0.0, True), (0.0, 0.03, True)])
def test_people_are_not_taken_for_a_weak_lens(k1, centre, told_apart, moves, monkeypatch):
    found = LensOffset(k1, (centre, 0.0), 0.7)
    solver = CameraSolver(search_size=8)
    graph = FrameGraph(torch.rand(1, 3, 8, 8), solver.features, 1, 4)
    none = torch.zeros(0, dtype=torch.long)
    matches = Correspondences(none, none, graph.points, torch.zeros(0, 4, 2), torch.zeros(0, 4, 2, 2))
    solution = Solution(graph, STILL, matches, KnownParameters(None))
    monkeypatch.setattr(ClipSolving, "feed_forward", lambda part: SOLVED)
    monkeypatch.setattr(ClipSolving, "polish", lambda part, *given: solution)
    monkeypatch.setattr(camera_solver, "select_frames", lambda graph: list(range(16)))
    monkeypatch.setattr(camera_solver, "search_lens", lambda *given: found)
    monkeypatch.setattr(camera_solver, "looks_moving", lambda errors: moves)
    monkeypatch.setattr(CameraSolver, "_unguided", lambda *given: SimpleNamespace(errors=lambda solved: None))
    assert solver.find_lens(torch.rand(16, 3, 8, 8)) == (found if told_apart or not moves else None)
