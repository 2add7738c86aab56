"""Which frames are solved, and how the others are registered."""

import pytest
import torch

from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.frame_selection import select_frames
from video_ae.camera.iteration import OuterLoop
from video_ae.camera.problem import SceneState, Submap
from video_ae.camera.registration import register_frames
from video_ae.camera.solver import CameraSolver
from video_ae.datasets.open import open_dataset
from video_ae.evaluation.metrics.pose_errors import absolute_trajectory_error, focal_ratio

FOCAL = 60.0


def shifted(offsets: list[float]) -> torch.Tensor:
    """Frames of a flat texture that moves to the left by so many pixels."""
    texture = torch.rand(1, 3, 18, 45, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(texture, size=(144, 360), mode="bicubic")[0].clamp(0, 1)
    frames = []
    for offset in offsets:
        whole = int(offset)
        left, right = wide[..., whole : whole + 96], wide[..., whole + 1 : whole + 97]
        frames.append((left + (offset - whole) * (right - left))[:, :64])
    return torch.stack(frames)


def graph_of(offsets: list[float]) -> FrameGraph:
    return FrameGraph(shifted(offsets), LocalContrast(), 4, 4)


def test_selected_are_frames_that_have_moved_far_enough():
    offsets = [0.5 * i for i in range(60)]
    selected = select_frames(graph_of(offsets))
    assert (selected[0], selected[-1]) == (0, 59)
    steps = torch.tensor(selected).diff()[:-1].tolist()
    assert set(steps) <= {4, 5}, "two pixels, at half a pixel a frame"


def test_of_frames_that_move_far_all_are_selected():
    assert select_frames(graph_of([3.0 * i for i in range(20)])) == list(range(20))


def test_a_short_clip_is_solved_whole():
    assert select_frames(graph_of([0.1 * i for i in range(15)])) == list(range(15))


def test_a_camera_that_stands_for_a_while_is_selected_once():
    offsets = [3.0 * i for i in range(10)] + [27.0] * 8 + [30.0 + 3 * i for i in range(10)]
    selected = select_frames(graph_of(offsets))
    assert [frame for frame in selected if 10 <= frame < 18] == []
    assert len(selected) == 20


def test_of_a_clip_that_hardly_moves_eight_frames_are_selected():
    assert 8 <= len(select_frames(graph_of([0.3 * i for i in range(40)]))) <= 12


def test_a_picture_that_is_repeated_leaves_its_two_ends():
    assert select_frames(graph_of([5.0] * 30)) == [0, 29]


def camera_from_world(offsets: list[float]) -> torch.Tensor:
    """Of cameras that look at a wall at depth 1 while it moves by these pixels."""
    poses = torch.eye(4).repeat(len(offsets), 1, 1)
    poses[:, 0, 3] = -torch.tensor(offsets) / FOCAL
    return poses


@pytest.mark.parametrize("standing", [False, True])
def test_other_frames_are_registered_where_they_are(standing: bool):
    offsets = [0.0, 1.5, 2.0, 2.5, 6.0, 6.2, 9.0, 12.0]
    if standing:  # halfway by time is not halfway by motion
        offsets[2:4] = [5.9, 5.95]
    selected, graph = [0, 4, 7], graph_of(offsets)
    points = len(graph.points)
    state = SceneState(
        camera_from_world([offsets[i] for i in selected]), torch.ones(3, points), torch.tensor(FOCAL).log()
    )
    covariance = torch.eye(6).repeat(3, 1, 1) * torch.tensor([0.0, 1.0, 2.0])[:, None, None]
    solved = Submap(state, graph.grid, covariance, torch.tensor([1.0, 0.5, 0.7]), ("frames 1 to 2: a note",))
    found = register_frames(solved, selected, graph, OuterLoop(10, 1.0))
    assert len(found) == 8
    assert found.notes == ("frames 4 to 7: a note",), "by the numbers of the clip, not of the selected frames"
    centres = found.world_from_camera[:, :3, 3] / found.state.inverse_depth.mean()
    true = torch.tensor(offsets) / FOCAL
    scale = centres[-1, 0] / true[-1]
    torch.testing.assert_close(centres[:, 0] / scale, true, atol=0.15 / FOCAL, rtol=0)
    assert centres[:, 1:].abs().max() < 0.01
    torch.testing.assert_close(found.confidence[[0, 2, 4, 7]], torch.tensor([1.0, 0.75, 0.5, 0.7]))
    assert found.covariance[:, 0, 0].argsort().tolist()[-1] == 7
    torch.testing.assert_close(found.state.inverse_depth.mean(), torch.tensor(1.0))


def six_ways(frames: int) -> dict[str, list[int]]:
    """Frames of a video of 60 a second at 60, 30, 20, 15 and 12 a second, and at a rate that changes."""
    random = torch.Generator().manual_seed(0)
    changing = (1 + torch.randperm(frames - 2, generator=random)[:40]).sort().values.tolist()
    return {str(60 // step): list(range(0, frames, step)) for step in (1, 2, 3, 4, 5)} | {
        "changing": [0, *changing, frames - 1]
    }


@pytest.mark.parametrize("clip", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_cameras_do_not_depend_on_how_densely_a_walk_was_filmed(clip: int):
    video = open_dataset("data/walkthroughs/dense").load(clip)
    for rate, frames in six_ways(len(video)).items():
        part = video.select(frames)
        found = CameraSolver().solve(part.frames).cameras
        error = absolute_trajectory_error(found.centers, part.cameras.centers).rmse_over_extent
        assert error < (0.015 if clip == 0 else 0.045), rate
        assert focal_ratio(found.intrinsics, part.cameras.intrinsics) == pytest.approx(1, abs=0.03), rate
