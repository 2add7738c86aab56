"""A rolling shutter is found from matches where there is one, and only there."""

from dataclasses import replace

import pytest
import torch

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.problem import Correspondences, FreeParameters, Priors, SceneState
from video_ae.camera.reprojection import predict_points
from video_ae.camera.shutter_search import STRETCH, fit_readout, turning_stretch
from video_ae.geometry.rolling_shutter import camera_motion, motion_field
from video_ae.geometry.se3 import se3_exp

HEIGHT, FOCAL, FRAMES = 72, 80.0, 10


def shaken_walk(frames: int = FRAMES, shake: float = 0.03) -> torch.Tensor:
    """Poses of a camera that walks while a hand shakes it."""
    time = torch.arange(frames, dtype=torch.float32)
    turns = shake * torch.stack([(0.7 * time).sin(), (0.6 * time).cos(), (0.5 * time).sin()], -1)
    moves = 0.03 * torch.stack([time, (0.5 * time).sin(), 0.5 * time], -1)
    return se3_exp(torch.cat([turns, moves], -1))


def matched(readout: float) -> tuple[SceneState, Correspondences, Priors, torch.Tensor]:
    """What such a camera matches with this readout time, the scene that is made of it without one, and its motion."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(-33, 34, 6.0), torch.arange(-45, 46, 6.0), indexing="ij")
    points = torch.stack([x, y], -1).flatten(0, 1)
    poses, inverse_depth = shaken_walk(), 0.5 + torch.rand(FRAMES, len(points), generator=generator)
    state = SceneState(poses, inverse_depth, torch.tensor(FOCAL).log())
    edges = torch.tensor([(i, j) for i in range(FRAMES) for j in range(FRAMES) if 0 < abs(i - j) <= 4]).T
    velocity = camera_motion(poses)[0]

    def late(image: torch.Tensor, depth: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        return readout * image[..., 1:] / HEIGHT * FOCAL * motion_field(image / FOCAL, depth, velocity[frames])

    seen = predict_points(state, points, *edges)
    there = inverse_depth[edges[0]] / seen.points[..., 2]
    here = points.expand(len(edges[0]), -1, -1)
    image = seen.image + late(seen.image, there, edges[1]) - late(here, inverse_depth[edges[0]], edges[0])
    image = image + 0.05 * torch.randn(image.shape, generator=generator)
    information = (torch.eye(2) / 0.6**2).expand(*image.shape, 2).contiguous()
    ones = torch.ones_like(inverse_depth)
    priors = Priors(ones, 0.1 * ones, torch.tensor(75.0).log(), 50.0)
    matches = Correspondences(*edges, points, image, information)
    return minimise(state, matches, priors, 30)[0], matches, priors, velocity


@pytest.mark.parametrize("readout", [0.8, 0.3, -0.4])
def test_a_readout_time_is_found(readout):
    state, matches, priors, _ = matched(readout)
    found = fit_readout(state, matches, priors, FreeParameters(), camera_motion(state.camera_from_world)[0], HEIGHT)
    assert found == pytest.approx(readout, abs=0.06)


def test_a_global_shutter_is_left_alone():
    state, matches, priors, velocity = matched(0.0)
    assert fit_readout(state, matches, priors, FreeParameters(), velocity, HEIGHT) is None
    assert abs(fit_readout(state, matches, priors, FreeParameters(), velocity, HEIGHT, rolls=True)) < 0.02


def test_a_readout_longer_than_a_frame_is_not_believed():
    state, matches, priors, velocity = matched(0.6)
    slow = 0.4 * velocity  # as if the camera moved less: the readout would have to be 1.5 frames
    assert fit_readout(state, matches, priors, FreeParameters(), slow, HEIGHT) is None


def test_matches_that_are_merely_wrong_make_no_readout():
    state, matches, priors, velocity = matched(0.0)
    noise = 3 * torch.randn(matches.matched.shape, generator=torch.Generator().manual_seed(3))
    wrong = replace(matches, matched=matches.matched + noise)
    state, _ = minimise(state, wrong, priors, 10)
    assert fit_readout(state, wrong, priors, FreeParameters(), velocity, HEIGHT) is None


def test_the_stretch_that_turns_most_is_looked_at():
    still, shaken = shaken_walk(100, 0.001), shaken_walk(100)
    poses = torch.cat([still[:50], shaken[50:]])
    stretch = turning_stretch(poses)
    assert len(stretch) == STRETCH
    assert stretch[0] >= 20
    assert stretch[-1] > 90
    assert turning_stretch(poses[:10]) == list(range(10))
