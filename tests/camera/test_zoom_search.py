"""A focal length that changes is found from matches where it does, and only there."""

import pytest
import torch

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.problem import Correspondences, PointGrid, Priors, SceneState, Submap
from video_ae.camera.reprojection import predict_points
from video_ae.camera.zoom_search import (
    SolvedClip,
    SolvedPart,
    between_frames,
    follow_zoom,
    predicted_gain,
    zoom_change,
    zoomed,
)
from video_ae.geometry.se3 import se3_exp
from video_ae.types import CameraEstimate, Cameras

FOCAL, FRAMES = 80.0, 12
TIME = torch.arange(FRAMES) / (FRAMES - 1)
SMOOTH = 0.3 * TIME.square() * (3 - 2 * TIME)
JUMP = 0.3 * (torch.arange(FRAMES) > 6)


def seen(zoom: torch.Tensor, taken: torch.Tensor | None = None, first: int = 0, spread: float = 0.6) -> SolvedPart:
    """Matches of a camera that zooms while it walks ahead and aside, in frames from which a zoom is `taken` away, and
    the scene that one focal length makes of them; they are said to be off by `spread` pixels."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(-33, 34, 6.0), torch.arange(-45, 46, 6.0), indexing="ij")
    points = torch.stack([x, y], -1).flatten(0, 1)
    turns = 0.08 * torch.stack([(5 * TIME).sin(), (4 * TIME).cos() - 1, 1.5 * (3 * TIME).sin()], -1)
    moves = 0.25 * torch.stack([2 * TIME, (6 * TIME).sin(), 2 * TIME], -1)
    inverse_depth = 0.5 + torch.rand(FRAMES, len(points), generator=generator)
    state = SceneState(se3_exp(torch.cat([turns, moves], -1)), inverse_depth, torch.tensor(FOCAL).log())
    left = zoom if taken is None else zoom - taken
    edges = torch.tensor([(i, j) for i in range(FRAMES) for j in range(FRAMES) if 0 < abs(i - j) <= 4]).T
    image = torch.cat(
        [
            left[j].exp() * predict_points(state, points / left[i].exp(), edge[:1], edge[1:]).image
            for edge in edges.T
            for i, j in [edge.tolist()]
        ]
    )
    image = image + 0.05 * torch.randn(image.shape, generator=generator)
    information = (torch.eye(2) / spread**2).expand(*image.shape, 2).contiguous()
    ones = torch.ones_like(inverse_depth)
    priors = Priors(ones, 0.1 * ones, torch.tensor(75.0).log(), 50.0)
    matches = Correspondences(*edges, points, image, information)
    solved = minimise(state, matches, priors, 30)[0]
    return SolvedPart(list(range(first, first + FRAMES)), solved, matches, priors)


def solved(zoom: torch.Tensor, taken: torch.Tensor | None = None, spread: float = 0.6) -> SolvedClip:
    part = seen(zoom, taken, spread=spread)
    grid = PointGrid(12, 16, 96, 72)
    return SolvedClip(Submap(part.state, grid, torch.zeros(FRAMES, 6, 6), torch.ones(FRAMES)), [part])


@pytest.mark.parametrize("zoom", [SMOOTH, JUMP])
def test_a_zoom_is_followed(zoom):
    found = follow_zoom(solved(zoom), lambda taken, before: solved(zoom, taken))
    torch.testing.assert_close((found.zoom - found.zoom[0]).float(), zoom - zoom[0], atol=0.01, rtol=0)
    assert len(found.solved) == FRAMES


def test_one_focal_length_is_left_alone():
    part = seen(torch.zeros(FRAMES))
    assert predicted_gain(part) < 0.005
    assert zoom_change([part]).abs().max() < 0.003
    nothing = solved(torch.zeros(FRAMES))
    assert follow_zoom(nothing, lambda taken, before: pytest.fail("nothing is to be solved anew")) is None


def test_a_zoom_that_does_not_bear_out_what_it_promised_is_not_ruled_out():
    bent, asked = solved(SMOOTH), []
    found = follow_zoom(bent, lambda taken, before: asked.append(before) or bent)
    assert found.solved is None
    assert found.zoom[-1] - found.zoom[0] > 0.1
    assert asked == [None]


def test_a_zoom_with_which_the_scene_stays_lost_is_not_believed():
    def lost(taken):
        return solved(SMOOTH, taken, spread=0.02)  # matches that contradict each other: they are off by more

    rounds = []
    assert follow_zoom(lost(None), lambda taken, before: rounds.append(lost(taken)) or rounds[-1]).solved is None
    assert len(rounds) == 3, "the zoom gained enough to be tried to the end"


def test_parts_that_share_frames_are_put_together():
    whole = zoom_change([seen(SMOOTH)])
    both = zoom_change([seen(SMOOTH), seen(SMOOTH, first=FRAMES - 1)])
    assert len(both) == 2 * FRAMES - 1
    torch.testing.assert_close(both[:FRAMES].diff(), whole.diff())
    torch.testing.assert_close(both[FRAMES - 1 :].diff(), whole.diff())


def test_frames_between_zoom_alike():
    found = between_frames([0, 2, 3], torch.tensor([0.1, 0.3, 0.5], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([-0.2, -0.1, 0.0, 0.2], dtype=torch.float64))


def test_what_was_found_without_zoom_holds_for_the_frames_themselves():
    ramp = (torch.arange(8) + 0.5).expand(2, 1, 6, 8)[:, 0]
    cameras = Cameras(torch.eye(4).expand(2, 4, 4), torch.tensor([0.8, 1.0, 0.5, 0.5]).expand(2, 4))
    estimate = CameraEstimate(cameras, ramp, torch.ones(2), torch.zeros(2, 6, 6), static=ramp / 8)
    shown = zoomed(estimate, torch.tensor([0.0, 2.0]).log1p().double())  # the second frame's focal length is 3 times
    torch.testing.assert_close(shown.cameras.intrinsics[1], torch.tensor([2.4, 3.0, 0.5, 0.5]))
    torch.testing.assert_close(shown.inverse_depth[0], ramp[0])
    torch.testing.assert_close(shown.inverse_depth[1], 4 + (ramp[1] - 4) / 3)
    torch.testing.assert_close(shown.static[1], (4 + (ramp[1] - 4) / 3) / 8)
