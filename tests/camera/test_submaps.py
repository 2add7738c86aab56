"""Submaps: a known trajectory is put together from pieces of any scale; a wrong piece is solved again."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from video_ae.camera.problem import PointGrid, SceneState, Submap
from video_ae.camera.submaps import common_focal, merge_submaps, solve_submaps, split_frames
from video_ae.geometry.se3 import invert, se3_exp

GRID = PointGrid(3, 4, 64, 48)
FRAMES = 20
TRUTH = se3_exp(torch.arange(FRAMES)[:, None] * torch.tensor([0.01, 0.04, 0.0, 0.1, 0.0, 0.2]))
PARTS = split_frames(FRAMES, 8, 2)


def make_submap(frames: int, focal_over_width: float = 0.8) -> Submap:
    generator = torch.Generator().manual_seed(0)
    twists = torch.randn(frames, 6, generator=generator) * 0.1
    twists[0] = 0
    depth = 0.5 + torch.rand(frames, 12, generator=generator)
    state = SceneState(invert(se3_exp(twists)), depth / depth.mean(), torch.tensor(focal_over_width * GRID.width).log())
    return Submap(state, GRID, torch.eye(6).expand(frames, 6, 6) * 1e-4, torch.ones(frames))


def true_submap(numbers: list[int], scale: float = 1.0) -> Submap:
    """The true poses of some frames, translations `scale` times as long."""
    count = len(numbers)
    state = SceneState(invert(TRUTH[numbers]), torch.ones(count, 12), torch.tensor(50.0).log()).relative_to_first()
    poses = state.camera_from_world.clone()
    poses[:, :3, 3] *= scale
    return Submap(replace(state, camera_from_world=poses), GRID, torch.zeros(count, 6, 6), torch.ones(count))


def error(numbers: list[int], found: Submap) -> float:
    return (found.world_from_camera - true_submap(numbers).world_from_camera).abs().max().item()


@pytest.mark.parametrize(
    ("frames", "length", "overlap"), [(5, 8, 2), (8, 8, 2), (9, 8, 2), (50, 24, 8), (300, 24, 8), (8, 8, 8)]
)
def test_submaps_cover_the_video_and_overlap(frames, length, overlap):
    parts = split_frames(frames, length, overlap)
    assert parts[0][0] == 0
    assert parts[-1][-1] == frames - 1
    assert all(part == list(range(part[0], part[0] + min(length, frames))) for part in parts)
    assert all(len(set(a) & set(b)) >= overlap for a, b in pairwise(parts))


def test_submaps_of_any_scale_merge_to_the_whole():
    whole = make_submap(20)
    parts = split_frames(20, 8, 3)
    submaps = [whole.frames(part) for part in parts]
    submaps = [replace(one, state=one.state.scaled(0.5 + i)) for i, one in enumerate(submaps)]
    merged = merge_submaps(submaps, parts)
    torch.testing.assert_close(merged.world_from_camera, whole.world_from_camera, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(merged.state.inverse_depth, whole.state.inverse_depth, atol=1e-4, rtol=1e-4)
    spread = merged.covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    assert spread[-1] > 1.5 * spread[0]  # uncertainty adds up from submap to submap
    first, second, last = merged.confidence[[2, 7, 19]]
    assert first > second > last  # and confidence, though each submap's own begins at 1, does not begin again


def test_notes_of_submaps_say_which_frames_they_are_about():
    parts = split_frames(10, 6, 2)
    submaps = [true_submap(part) for part in parts]
    assert merge_submaps(submaps, parts).notes == ()
    submaps[1] = replace(submaps[1], notes=("no parallax: a guess",))
    assert merge_submaps(submaps, parts).notes == ("frames 4 to 9: no parallax: a guess",)


def test_selected_frames_begin_at_their_own_world_and_keep_relative_poses():
    whole = make_submap(6)
    part, poses = whole.frames(slice(2, 5)).world_from_camera, whole.world_from_camera
    torch.testing.assert_close(part[0], torch.eye(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(invert(part[1]) @ part[2], invert(poses[3]) @ poses[4], atol=1e-5, rtol=1e-5)


def test_twice_backwards_is_forwards():
    forwards = true_submap(list(range(FRAMES)), 0.7)
    torch.testing.assert_close(forwards.reversed().reversed().world_from_camera, forwards.world_from_camera)
    assert not torch.allclose(forwards.reversed().world_from_camera, forwards.world_from_camera)


def test_one_wrong_focal_length_does_not_decide():
    assert common_focal([make_submap(3, f) for f in (0.8, 0.81, 3.0)]) == pytest.approx(0.81)


@pytest.mark.parametrize("wrong", [0, 1, None])
def test_a_wrong_submap_is_solved_again_backwards(wrong):
    """Submap `wrong` comes out wrong forwards and from nothing; what leans on it does not. Costs show it."""
    asked = []

    def continue_from(part, previous, shared):
        asked.append(part)
        neighbour = previous.world_from_camera[-shared:]
        forwards = part[0] < part[-1]
        if not forwards:  # what it is started from belongs to its own first frames
            expected = true_submap(part[:shared]).world_from_camera
            torch.testing.assert_close(invert(neighbour[:1]) @ neighbour, expected)
        return true_submap(part, 3.0 if forwards and wrong == 1 and part[0] == PARTS[1][0] else 1.0)

    def cost(part, found):
        return 0.3 if error(part, found) > 1e-4 else 0.1 + 0.01 * (part[0] % 2)

    def solve(part):
        return true_submap(part, 3.0 if wrong is not None and part == PARTS[wrong] else 1.0)

    submaps = solve_submaps(PARTS, solve, continue_from, cost)
    for part, submap in zip(PARTS, submaps, strict=True):
        assert error(part, submap) < 1e-5
    again = [part for part in asked if part[0] > part[-1]]
    assert again == ([] if wrong is None else [PARTS[wrong][::-1]])


def test_a_submap_that_is_led_astray_is_solved_from_nothing():
    asked = []

    def solve(part):
        asked.append(part)
        return true_submap(part)

    def continue_from(part, previous, shared):
        return true_submap(part, 3.0 if part == PARTS[1] else 1.0)

    def cost(part, found):
        return 0.3 if error(part, found) > 1e-4 else 0.1

    submaps = solve_submaps(PARTS, solve, continue_from, cost)
    assert max(error(part, submap) for part, submap in zip(PARTS, submaps, strict=True)) < 1e-5
    assert asked == [PARTS[0], PARTS[1]]


def test_a_pure_rotation_does_not_take_the_place_of_a_submap_with_a_scale():
    still = make_submap(len(PARTS[1]))
    poses = still.state.camera_from_world.clone()
    poses[:, :3, 3] = 0
    still = replace(still, state=replace(still.state, camera_from_world=poses))

    def cost(part, found):
        return 0.05 if found is still else 0.3 if part == PARTS[1] else 0.2

    submaps = solve_submaps(
        PARTS, lambda part: still if part == PARTS[1] else true_submap(part), lambda part, *_: true_submap(part), cost
    )
    assert error(PARTS[1], submaps[1]) < 1e-5


def test_a_second_attempt_that_is_no_better_is_dropped():
    def cost(part, found):
        return 1.0 if 0 in part else 0.1  # the first submap is hard, whatever is tried

    submaps = solve_submaps(PARTS, true_submap, lambda part, *_: true_submap(part, 5.0 if part[0] > 5 else 1.0), cost)
    assert error(PARTS[0], submaps[0]) < 1e-5
