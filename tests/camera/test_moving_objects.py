"""What moves by itself is found and left out."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

import video_ae.camera.solver as camera_solver
from video_ae.camera.clip_solving import ClipSolving
from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph, frame_pairs
from video_ae.camera.moving_objects import (
    ROUNDS,
    UnguidedFlow,
    looks_moving,
    path_change,
    static_part,
    trimmed_error,
)
from video_ae.camera.problem import SceneState, Submap
from video_ae.camera.working_images import WorkingImages

COUNT, HEIGHT, WIDTH, FOCAL = 10, 64, 96, 80.0


def texture(seed: int, size: tuple[int, int]) -> torch.Tensor:
    noise = torch.rand(1, 3, size[0] // 3, size[1] // 3, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, size=size, mode="bicubic")[0].clamp(0, 1)


def walk(moving: bool) -> torch.Tensor:
    """A camera moves right by a pixel a frame along a wall; a square walks to the right in the image."""
    wall, person = texture(0, (HEIGHT, WIDTH + 4 * COUNT)), texture(1, (30, 30))
    frames = torch.stack([wall[..., number : number + WIDTH] for number in range(COUNT)])
    if moving:
        for number in range(COUNT):
            left = 4 + 4 * number
            frames[number, :, 20:50, left : left + 30] = person
    return frames


def solution(graph: FrameGraph) -> Submap:
    """The truth: a wall at depth 1."""
    poses = torch.eye(4).repeat(COUNT, 1, 1)
    poses[:, 0, 3] = -torch.arange(COUNT) / FOCAL
    ones = torch.ones(COUNT, len(graph.points))
    state = SceneState(poses, ones, torch.tensor(FOCAL).log())
    return Submap(state, graph.grid, torch.zeros(COUNT, 6, 6), torch.ones(COUNT))


def person(graph: FrameGraph) -> torch.Tensor:
    """Which points of the grid lie on the square that walks."""
    inside = torch.zeros(COUNT, HEIGHT, WIDTH, dtype=torch.bool)
    for number in range(COUNT):
        left = 4 + 4 * number
        inside[number, 20:50, left : left + 30] = True
    return inside.flatten(1)[:, graph.pixels].unflatten(1, (graph.grid.rows, graph.grid.columns))


@cache
def matches_of(moving: bool) -> UnguidedFlow:
    return UnguidedFlow.of(FrameGraph(walk(moving), LocalContrast(), 4, 3))


def errors_of(moving: bool) -> tuple[torch.Tensor, FrameGraph]:
    matches = matches_of(moving)
    return matches.errors(solution(matches.graph)), matches.graph


def test_a_still_scene_is_left_alone():
    errors, _ = errors_of(moving=False)
    assert not looks_moving(errors)
    assert static_part(errors).mean() > 0.95


def test_what_moves_by_itself_is_found_where_it_is():
    errors, graph = errors_of(moving=True)
    assert looks_moving(errors)
    found, true = static_part(errors) < 0.5, person(graph)
    assert (found & true).sum() / (found | true).sum() > 0.6
    assert trimmed_error(errors) < 0.3 * errors.mean()


def test_long_clips_are_matched_in_stretches_that_overlap():
    frames = F.interpolate(torch.cat([walk(True)] * 7), scale_factor=0.25)
    matches = UnguidedFlow.of(FrameGraph(frames, LocalContrast(), 4, 6))
    numbers = [part for part, _ in matches.stretches]
    assert [part[0] for part in numbers] == [0, 26, 52]
    assert numbers[-1][-1] == len(frames) - 1
    assert set().union(*numbers) == set(range(len(frames)))


def test_matches_of_and_to_what_moves_carry_no_information():
    frames = walk(False)
    static = torch.ones(COUNT, 4, 6)
    static[:, :, :3] = 0  # the left half
    graph = FrameGraph(frames, LocalContrast(), 4, 3, static)
    whole = FrameGraph(frames, LocalContrast(), 4, 3)
    edges = frame_pairs(COUNT, (2,))
    left = graph.points[:, 0] < -12  # beyond the soft edge
    kept, all_of = (one.correspondences(edges, one.flow(edges)).information for one in (graph, whole))
    assert (kept[:, left] == 0).all()
    right = graph.points[:, 0] > 16
    torch.testing.assert_close(kept[:, right], all_of[:, right])
    part = graph.part([3, 5]).correspondences(frame_pairs(2, (1,)), graph.part([3, 5]).flow(frame_pairs(2, (1,))))
    assert (part.information[:, left] == 0).all()


def test_depths_that_suit_the_matches_leave_only_what_the_cameras_cannot_explain():
    matches = matches_of(moving=False)
    true = solution(matches.graph)
    wrong = replace(true, state=replace(true.state, inverse_depth=torch.full_like(true.state.inverse_depth, 3.0)))
    assert trimmed_error(matches.errors(wrong, fit_depth=True)) < 0.1 * trimmed_error(matches.errors(wrong))
    moving = matches_of(moving=True)
    fitted = moving.errors(solution(moving.graph), fit_depth=True)
    true_part = person(moving.graph)
    assert fitted[true_part].mean() > 3 * fitted[~true_part].mean()


def test_averages_along_matches_stay_with_what_moves():
    flow = matches_of(moving=True)
    inside = person(flow.graph)
    followed = flow.averaged_along(inside.float())
    eroded = -F.max_pool2d(-inside.float()[:, None], 5, 1, 2)[:, 0] > 0.5
    assert followed[eroded].min() > 0.7
    outside = F.max_pool2d(inside.float()[:, None], 9, 1, 4)[:, 0] < 0.5
    assert followed[outside].mean() < 0.1


@pytest.mark.parametrize(("left", "taken"), [((0.9, 0.5, 0.4, 0.6, 0.7), 2), ((1.2, 0.98, 0.99, 1.0, 1.1), None)])
def test_of_what_is_solved_without_moving_parts_the_best_is_taken_where_it_is_better(left, taken, monkeypatch):
    """The first mask comes from trajectories, each later one from the solution before; errors are uniform here."""
    images = WorkingImages(torch.rand(4, 3, 8, 8), LocalContrast(), 1)
    solver = camera_solver.CameraSolver()
    first, rounds = replace(solution(matches_of(False).graph), notes=("first",)), iter(range(ROUNDS))
    sizes = {"first": 1.0} | {str(number): size for number, size in enumerate(left)}

    def solved(part: ClipSolving, *before: Submap) -> Submap:
        assert part.images.static is not None
        number = next(rounds)
        assert len(before) == (number > 0)
        return replace(first, notes=(str(number),))

    flow = SimpleNamespace(
        errors=lambda found, fit_depth=False: torch.full((4, 6, 6), 0.02 * sizes[found.notes[0]]),
        averaged_along=lambda errors: errors,
    )
    monkeypatch.setattr(ClipSolving, "feed_forward", solved)
    monkeypatch.setattr(ClipSolving, "iterate", solved)
    monkeypatch.setattr(camera_solver, "trajectory_errors", lambda flow: torch.ones(4, 6, 6))
    monkeypatch.setattr(camera_solver.CameraSolver, "_unguided", lambda *given: flow)
    before = ClipSolving(solver, images, None)
    after, found = solver._leave_out_moving(before, first)
    assert found.notes == (("first",) if taken is None else (str(taken),))
    assert (after is before) == (taken is None)
    assert (after.images.static is None) == (taken is None)
    assert next(rounds, None) is None


def test_a_path_changes_by_its_form_alone():
    path = solution(matches_of(False).graph)
    larger = replace(path, state=path.state.scaled(3.0))
    assert path_change(path, larger) < 1e-5
    poses = path.state.camera_from_world.clone()
    poses[COUNT // 2 :, 1, 3] += 0.01
    assert path_change(path, replace(path, state=replace(path.state, camera_from_world=poses))) > 0.05
