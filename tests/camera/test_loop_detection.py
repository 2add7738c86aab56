"""Places that come again: recognised by their images, verified by geometry, and no others."""

import pytest
import torch
import torch.nn.functional as F

from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.loop_detection import find_loops
from video_ae.camera.loop_verification import verify_place
from video_ae.camera.place_recognition import find_alike_frames
from video_ae.camera.pose_graph import split_similarity
from video_ae.camera.problem import SceneState
from video_ae.geometry.pinhole import camera_rays, pinhole_intrinsics, transform
from video_ae.geometry.se3 import invert, rotation_angle, se3_exp

HEIGHT, WIDTH, STEP, FOCAL = 48, 64, 3, 0.8
NORMAL, OFFSET = torch.tensor([0.25, 0.1, 1.0]), 2.0  # a slanted wall
STILL = torch.zeros(2)


def noise(seed: int, height: int = 192, width: int = 1536) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    layers = [torch.rand(1, 3, height // size, width // size, generator=generator) for size in (3, 6, 12)]
    return sum(F.interpolate(x, size=(height, width), mode="bicubic", align_corners=False) for x in layers) / 3


def seen(poses: torch.Tensor, texture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames of the wall and their inverse depths at every pixel."""
    rays = camera_rays(pinhole_intrinsics(torch.tensor(FOCAL), WIDTH, HEIGHT), HEIGHT, WIDTH)
    frames, depths = [], []
    for pose in poses:
        towards = transform(pose, rays) - pose[:3, 3]
        distance = (OFFSET - NORMAL @ pose[:3, 3]) / (towards @ NORMAL)
        points = pose[:3, 3] + distance[..., None] * towards
        grid = torch.stack([points[..., 0] / 16, points[..., 1] / 2], -1)
        frames.append(F.grid_sample(texture, grid[None], padding_mode="reflection", align_corners=False)[0])
        depths.append(1 / distance)
    return torch.stack(frames), torch.stack(depths)


def scene(poses: torch.Tensor, texture: torch.Tensor) -> tuple[FrameGraph, SceneState]:
    frames, depths = seen(poses, texture)
    graph = FrameGraph(frames, LocalContrast(), 4, STEP)
    return graph, SceneState(invert(poses), depths.flatten(1)[:, graph.pixels], torch.tensor(FOCAL * WIDTH).log())


def test_how_two_frames_of_one_wall_stand_and_in_which_units():
    poses = se3_exp(torch.tensor([[0.0] * 6, [0.02, 0.05, 0.03, 0.12, -0.05, 0.1]]))
    graph, state = scene(poses, noise(0))
    other_unit = state.inverse_depth / torch.tensor([[1.0], [1.25]])  # a metre is 1.25 units of the second frame
    found = verify_place(graph, SceneState(state.camera_from_world, other_unit, state.log_focal), STILL, 2)
    pose, scale = split_similarity(found)
    expected = invert(poses[1]) @ poses[0]
    assert scale.item() == pytest.approx(1.25, rel=0.02)
    assert rotation_angle(pose[:3, :3].mT @ expected[:3, :3]) < 0.01
    assert (pose[:3, 3] / 1.25 - expected[:3, 3]).norm() < 0.02


def test_another_wall_is_another_place():
    poses = torch.eye(4).repeat(2, 1, 1)
    graph, state = scene(poses, noise(0))
    other, _ = scene(poses, noise(1))
    mixed = graph.part([0, 1])
    mixed.pyramid = [torch.stack([a[0], b[1]]) for a, b in zip(graph.pyramid, other.pyramid, strict=True)]
    assert verify_place(graph, state, STILL, 2) is not None
    assert verify_place(mixed, state, STILL, 2) is None


def there_and_back(frames: int = 24) -> torch.Tensor:
    """Along the wall and back again, past the start in the end."""
    half = torch.cat([torch.arange(frames), torch.arange(frames - 1, -4, -1)]).float()[:, None]
    return se3_exp(half * torch.tensor([[0.0, 0.0, 0.0, 0.25, 0.0, 0.0]]))


def test_alike_are_frames_that_come_again_and_not_neighbours():
    graph, _ = scene(there_and_back(), noise(0))
    alike = find_alike_frames(graph.pyramid[2], 3)
    assert len(alike.first) == 3
    assert (alike.first + alike.second - 47).abs().max() <= 1  # frame i is where frame 47 - i is
    assert (alike.second - alike.first).min() > 4
    assert alike.correlation[0] > 0.9
    assert alike.shift[0].abs().max() <= 2


def test_loops_are_found_although_the_path_has_drifted():
    poses = there_and_back()
    graph, state = scene(poses, noise(0))
    drift = se3_exp(torch.arange(len(poses))[:, None] * torch.tensor([[0.0, 0.002, 0.0, 0.0, 0.0, 0.005]]))
    drifted = SceneState(invert(drift @ poses), state.inverse_depth, state.log_focal)
    loops = find_loops(graph, drifted)
    assert len(loops.source) > 0
    expected = invert(poses[loops.target]) @ poses[loops.source]
    torch.testing.assert_close(loops.target_from_source, expected, atol=0.03, rtol=0)
    # A place that would need the path to be bent by half its length is not believed.
    jump = torch.where(torch.arange(len(poses)) < 24, 0.0, 8.0)[:, None] * torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    moved = SceneState(invert(se3_exp(jump) @ poses), state.inverse_depth, state.log_focal)
    assert find_loops(graph, moved).source.numel() == 0


def test_no_loop_where_the_camera_does_not_come_back():
    poses = se3_exp(torch.arange(30)[:, None] * torch.tensor([[0.0, 0.0, 0.0, 0.25, 0.0, 0.0]]))
    graph, state = scene(poses, noise(0))
    assert find_loops(graph, state).source.numel() == 0
