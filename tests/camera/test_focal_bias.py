"""What noise makes of a focal length is taken off, and of nothing else."""

from dataclasses import replace

import pytest
import torch

from video_ae.camera import focal_bias
from video_ae.camera.features import LocalContrast
from video_ae.camera.focal_bias import without_focal_bias
from video_ae.camera.frame_graph import FrameGraph, frame_pairs
from video_ae.camera.iteration import OuterLoop
from video_ae.camera.problem import Correspondences, KnownParameters, SceneState
from video_ae.camera.reprojection import predict_points
from video_ae.geometry.se3 import se3_exp

FOCAL, FRAMES = 80.0, 6
LOOP, NOTHING_KNOWN = OuterLoop(10, 1.0), KnownParameters(None)


def solved_in_noise(seed: int, noise: float = 0.4) -> tuple[FrameGraph, SceneState, Correspondences]:
    """A camera that hardly moves, matches that are off by chance, and what is made of them."""
    generator = torch.Generator().manual_seed(seed)
    graph = FrameGraph(torch.zeros(FRAMES, 3, 72, 96), LocalContrast(), 1, 8)
    time = torch.linspace(0, 1, FRAMES)[:, None]
    turns = 0.05 * torch.cat([(4 * time).sin(), (3 * time).cos() - 1, (5 * time).sin()], 1)
    moves = 0.12 * torch.cat([time, (3 * time).sin(), time], 1)
    inverse_depth = 0.5 + torch.rand(FRAMES, len(graph.points), generator=generator)
    true = SceneState(se3_exp(torch.cat([turns, moves], 1)), inverse_depth, torch.tensor(FOCAL).log())
    edges = frame_pairs(FRAMES, (1, 2, 3, 5))
    seen = predict_points(true, graph.points, *edges).image
    seen = seen + noise * torch.randn(seen.shape, generator=generator)
    information = (torch.eye(2) / 0.5**2).expand(*seen.shape, 2).contiguous()
    matches = Correspondences(*edges, graph.points, seen, information)
    return graph, LOOP.adjust(graph, true, matches, NOTHING_KNOWN), matches


def error(state: SceneState) -> float:
    """Of the logarithm of the focal length."""
    return state.log_focal.item() - torch.tensor(FOCAL).log().item()


def test_what_noise_makes_of_the_focal_length_is_taken_off():
    before, after = [], []
    for seed in range(4):
        graph, state, matches = solved_in_noise(seed)
        before.append(error(state))
        after.append(error(without_focal_bias(LOOP, graph, state, matches, NOTHING_KNOWN)))
    assert sum(before) / 4 > 0.008
    assert abs(sum(after)) < sum(before) / 3


def test_the_rest_of_the_scene_follows():
    graph, state, matches = solved_in_noise(1)
    found = without_focal_bias(LOOP, graph, state, matches, NOTHING_KNOWN)
    given = KnownParameters(found.log_focal.exp().item())
    again = LOOP.adjust(graph, found, matches, given)
    assert not torch.equal(found.camera_from_world, state.camera_from_world)
    torch.testing.assert_close(again.camera_from_world, found.camera_from_world, atol=2e-3, rtol=0)
    torch.testing.assert_close(found.inverse_depth.mean(), torch.tensor(1.0))


@pytest.mark.parametrize(("bias", "stays"), [(-0.5, True), (0.5, True), (-0.015, False)])
def test_a_bias_of_more_than_the_standard_deviation_stays(bias, stays, monkeypatch):
    graph, state, matches = solved_in_noise(1)
    monkeypatch.setattr(focal_bias, "_bias", lambda *given: bias)
    monkeypatch.setattr(focal_bias, "measured_focal_deviation", lambda *given: 0.02)
    found = without_focal_bias(LOOP, graph, state, matches, NOTHING_KNOWN)
    assert (found is state) == stays
    assert stays or error(found) - error(state) == pytest.approx(-bias, abs=1e-4)


@pytest.mark.parametrize("known", [KnownParameters(FOCAL), KnownParameters(None, pure_rotation=True)])
def test_what_is_given_stays(known):
    graph, state, matches = solved_in_noise(1)
    assert without_focal_bias(LOOP, graph, state, matches, known) is state


@pytest.mark.parametrize(("deviation", "stays"), [(0.01, True), (0.012, False)])
def test_what_is_well_known_stays(deviation, stays, monkeypatch):
    graph, state, matches = solved_in_noise(1)
    monkeypatch.setattr(focal_bias, "_bias", lambda *given: 0.001)
    monkeypatch.setattr(focal_bias, "measured_focal_deviation", lambda *given: deviation)
    assert (without_focal_bias(LOOP, graph, state, matches, NOTHING_KNOWN) is state) == stays


def test_a_prior_is_not_taken_off():
    """What a strong prior does is wanted: a focal length that it has moved is not moved back."""
    graph, state, matches = solved_in_noise(1)
    prior = replace(LOOP, focal=1.1 * FOCAL / 96, focal_deviation=0.01)
    moved = prior.adjust(graph, state, matches, NOTHING_KNOWN)
    kept = without_focal_bias(prior, graph, moved, matches, NOTHING_KNOWN)
    assert error(moved) - error(state) > 0.02
    assert error(kept) - error(state) > 0.5 * (error(moved) - error(state))
