"""The camera solver on rendered and on degenerate clips."""

import pytest
import torch
import torch.nn.functional as F

from video_ae.camera.problem import KnownParameters
from video_ae.camera.solver import CameraSolver
from video_ae.camera.working_images import WorkingImages
from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.evaluation.metrics.pose_errors import absolute_trajectory_error
from video_ae.geometry.pinhole import camera_rays, pinhole_intrinsics, transform
from video_ae.geometry.se3 import invert, rotation_angle, se3_exp

FAST = {"size": 36, "search_size": 36, "stages": ((1, 2, 4),), "focal_starts": (0.7, 1.0), "candidates": 1, "steps": 5}


def smooth_noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    layers = [torch.rand(1, 3, height // s, width // s, generator=generator) for s in (4, 8, 16)]
    return sum(F.interpolate(x, size=(height, width), mode="bicubic", align_corners=False) for x in layers) / 3


def render_room(world_from_camera: torch.Tensor, focal_over_width: float, height: int, width: int) -> torch.Tensor:
    """Frames of a textured wedge: a floor-like and a wall-like plane that meet behind each other."""
    texture = smooth_noise(256, 256)
    frames = []
    intrinsics = pinhole_intrinsics(torch.tensor(focal_over_width), width, height)
    for pose in world_from_camera:
        origin = pose[:3, 3]
        rays = transform(pose, camera_rays(intrinsics, height, width)) - origin
        distances = []
        for normal, offset in (((0.0, 0.0, 1.0), 3.0), ((0.0, 0.8, 0.6), 1.5), ((0.9, 0.0, 0.45), 1.6)):
            normal = torch.tensor(normal)
            distance = (offset - normal @ origin) / (rays @ normal)
            distances.append(torch.where(distance > 0, distance, torch.full_like(distance, 1e3)))
        points = origin + rays * torch.stack(distances).amin(0)[..., None]
        grid = torch.stack([points[..., 0] + 0.7 * points[..., 2], points[..., 1] - 0.4 * points[..., 2]], -1) / 4
        frames.append(F.grid_sample(texture, grid[None], padding_mode="reflection", align_corners=False)[0])
    return torch.stack(frames).clamp(0, 1)


def walk(frames: int) -> torch.Tensor:
    time = torch.arange(frames)[:, None]
    return se3_exp(time * torch.tensor([[0.004, 0.02, 0.0, 0.06, 0.01, 0.03]]))


@pytest.mark.parametrize(("height", "width"), [(96, 128), (128, 96)])
def test_poses_and_focal_length_of_a_rendered_room(height, width):
    truth = walk(8)
    focal = 0.8 * max(height, width) / width
    solver = CameraSolver(size=96, search_size=36, candidates=2, steps=6)
    estimate = solver.solve(render_room(truth, focal, height, width))
    found = estimate.cameras.world_from_camera
    torch.testing.assert_close(found[0], torch.eye(4), atol=1e-5, rtol=0)
    turn = rotation_angle(found[:, :3, :3].mT @ truth[:, :3, :3])
    assert turn.max() < 0.04  # of 0.14 radians
    directions = F.cosine_similarity(found[1:, :3, 3], truth[1:, :3, 3], dim=-1)
    assert directions.min() > 0.97
    assert estimate.cameras.intrinsics[0, 0].item() == pytest.approx(focal, rel=0.2)  # parallax is small
    assert estimate.inverse_depth.mean().item() == pytest.approx(1, abs=1e-3)
    assert estimate.confidence.min() > 0.3
    assert all(note.startswith("focal length: ") for note in estimate.notes)  # known to 15 %


def test_a_zoom_is_followed():
    truth, focal = walk(9), 0.8 * torch.linspace(1, 1.4, 9)
    frames = torch.cat([render_room(truth[[i]], focal[i].item(), 96, 128) for i in range(9)])
    estimate = CameraSolver(size=48, search_size=48, candidates=2, steps=6).solve(frames, refine_steps=1)
    found = estimate.cameras.intrinsics[:, 0]
    torch.testing.assert_close(found / found[0], focal / focal[0], atol=0.04, rtol=0)
    assert any(note.startswith("zoom") for note in estimate.notes)
    assert estimate.inverse_depth.isfinite().all()


def test_a_few_frames_along_a_wall_are_solved():
    """All hypotheses of these eight frames see the wall the wrong way round: an error of 0.39."""
    clip = open_dataset("data/walkthroughs/validation").load(0).select(slice(20, 28))
    solver = CameraSolver()
    images = WorkingImages(clip.frames, solver.features, solver.levels)
    state = solver.initialization.run(images.graph(64, 4), KnownParameters(None))
    found = invert(state.relative_to_first().camera_from_world)[:, :3, 3]
    assert absolute_trajectory_error(found, clip.cameras.centers).rmse_over_extent < 0.1


def test_given_focal_length_is_kept_in_every_clip_of_a_batch():
    clip = render_room(walk(4), 0.8, 48, 64)
    estimate = CameraSolver(**FAST)(torch.stack([clip, clip.flip(0)]), focal_over_width=0.8)
    torch.testing.assert_close(estimate.cameras.intrinsics[..., 0], torch.full((2, 4), 0.8))
    torch.testing.assert_close(estimate.cameras.intrinsics[..., 1], torch.full((2, 4), 0.8 * 64 / 48))


DEGENERATE = {
    "black": torch.zeros(5, 3, 40, 60),
    "standing": smooth_noise(40, 60).expand(5, 3, 40, 60),
    "noise": torch.rand(4, 3, 40, 60, generator=torch.Generator().manual_seed(0)),
    "two frames": render_room(walk(2), 0.8, 40, 60),
    "tiny": torch.rand(3, 3, 9, 16, generator=torch.Generator().manual_seed(1)),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_clips_give_finite_rigid_poses(name):
    estimate = CameraSolver(**FAST).solve(DEGENERATE[name], refine_steps=1)
    poses = estimate.cameras.world_from_camera
    assert poses.isfinite().all()
    assert estimate.inverse_depth.isfinite().all()
    assert estimate.covariance.isfinite().all()
    assert ((estimate.confidence >= 0) & (estimate.confidence <= 1)).all()
    torch.testing.assert_close(poses @ invert(poses), torch.eye(4).expand_as(poses), atol=1e-4, rtol=0)


@pytest.mark.parametrize("joint", [64, 8])  # at last solved as a whole, or by keyframes
def test_long_clip_is_solved_in_submaps_with_one_focal_length(joint):
    truth = walk(12)
    solver = CameraSolver(**FAST, longest=6, window=6, overlap=3, joint=joint)
    estimate = solver.solve(render_room(truth, 0.8, 48, 64), refine_steps=1)
    found = estimate.cameras.world_from_camera
    assert rotation_angle(found[:, :3, :3].mT @ truth[:, :3, :3]).max() < 0.08  # of 0.22 radians
    assert F.cosine_similarity(found[1:, :3, 3], truth[1:, :3, 3], dim=-1).min() > 0.95
    assert estimate.cameras.intrinsics[:, 0].unique().numel() == 1


def test_refining_a_solved_clip_does_not_make_it_worse():
    truth = walk(6)
    clip = render_room(truth, 0.8, 96, 128)
    estimates = [CameraSolver(**FAST).solve(clip, refine_steps=steps) for steps in (0, 2)]
    angles = [rotation_angle(e.cameras.world_from_camera[:, :3, :3].mT @ truth[:, :3, :3]) for e in estimates]
    assert angles[1].max() < max(1.1 * angles[0].max(), 0.01)


def test_standing_camera_is_found_standing_and_says_so():
    estimate = CameraSolver(**FAST).solve(DEGENERATE["standing"])
    angles = rotation_angle(estimate.cameras.world_from_camera[:, :3, :3])
    assert angles.max() < 0.01
    assert "standing camera" in estimate.notes[0]


def test_camera_that_only_turns_gets_its_rotation_and_says_so():
    truth = se3_exp(torch.arange(6)[:, None] * torch.tensor([[0.01, 0.03, 0.0, 0.0, 0.0, 0.0]]))
    estimate = CameraSolver(**FAST).solve(render_room(truth, 0.8, 48, 64), focal_over_width=0.8)
    found = estimate.cameras.world_from_camera
    assert rotation_angle(found[:, :3, :3].mT @ truth[:, :3, :3]).max() < 0.02  # of 0.16 radians
    assert found[:, :3, 3].norm(dim=-1).max() < 0.05  # of the mean depth
    assert "no parallax" in estimate.notes[0]


def test_an_image_whose_parts_move_apart_says_that_no_scene_fits():
    """Tiles of one texture, each of which moves in a direction of its own."""
    texture = smooth_noise(96, 128, seed=4)[0]
    angles = torch.linspace(0, 20, 12)
    frames = torch.empty(8, 3, 48, 64)
    for time in range(8):
        for tile, angle in enumerate(angles):
            top, left = 16 * (tile // 4), 16 * (tile % 4)
            y, x = (
                round(20 + start + 1.2 * time * move.item())
                for start, move in ((top, angle.sin()), (left, angle.cos()))
            )
            frames[time, :, top : top + 16, left : left + 16] = texture[:, y : y + 16, x : x + 16]
    estimate = CameraSolver(**FAST).solve(frames)
    assert "poor fit" in estimate.notes[0]
    assert estimate.confidence.max() < 0.1


def test_black_frames_say_that_there_is_no_texture():
    assert "no texture" in CameraSolver(**FAST).solve(DEGENERATE["black"]).notes[0]


def test_one_frame_is_a_users_error():
    with pytest.raises(UserError, match="at least 2"):
        CameraSolver().solve(torch.zeros(1, 3, 40, 60))
