"""How far the image moves between two cameras, and what they both see."""

import math

import torch

from video_ae.geometry.covisibility import (
    covisible_fraction,
    inside_others,
    view_displacement,
    viewpoint_distance,
)
from video_ae.geometry.pinhole import camera_rays, pinhole_intrinsics, project, transform
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.types import Cameras


def cameras(twists: list[list[float]]) -> Cameras:
    return Cameras(se3_exp(torch.tensor(twists)), pinhole_intrinsics(torch.full((len(twists),), 0.8), 64, 48))


def test_sideways_motion_moves_the_image_by_focal_times_baseline_times_inverse_depth():
    still, moved = cameras([[0.0] * 6]), cameras([[0.0, 0.0, 0.0, 0.1, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, -0.2, 0.0]])
    found = view_displacement(still, torch.tensor([0.5]), moved)
    torch.testing.assert_close(found, torch.tensor([[0.8 * 0.1 * 0.5, 0.8 * 0.2 * 0.5]]))


def test_the_unit_is_the_image_width_along_both_axes():
    """Square pixels: a shift along y counts as many widths as the same shift along x."""
    both = cameras([[0.0, 0.0, 0.0, 0.1, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.1, 0.0]])
    found = view_displacement(cameras([[0.0] * 6]), torch.ones(1), both)
    torch.testing.assert_close(found[0, 0], found[0, 1])


def test_a_turn_counts_at_any_depth():
    rotated = cameras([[0.0, 0.1, 0.0, 0.0, 0.0, 0.0]])
    near = view_displacement(cameras([[0.0] * 6]), torch.tensor([10.0]), rotated)
    far = view_displacement(cameras([[0.0] * 6]), torch.tensor([0.0]), rotated)
    torch.testing.assert_close(near, far)
    assert 0.8 * math.tan(0.1) <= near.item() < 0.8 * math.tan(0.1) * 1.3


def test_views_and_others_keep_their_order_and_the_world_does_not_matter():
    three = cameras([[0.0] * 6, [0.0, 0.0, 0.0, 0.1, 0.0, 0.0], [0.0, 0.3, 0.0, 0.0, 0.0, 0.0]])
    found = view_displacement(three, torch.tensor([1.0, 2.0, 1.0]), three)
    torch.testing.assert_close(found.diagonal(), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(found[1, 0], 2 * found[0, 1])
    world = se3_exp(torch.tensor([0.3, -1.0, 0.5, 3.0, 2.0, 1.0]))
    elsewhere = Cameras(world @ three.world_from_camera, three.intrinsics)
    torch.testing.assert_close(
        view_displacement(elsewhere, torch.tensor([1.0, 2.0, 1.0]), elsewhere), found, atol=1e-5, rtol=0
    )


def test_a_camera_that_looks_the_other_way_is_one_width_away():
    back = cameras([[0.0, math.pi, 0.0, 0.0, 0.0, 0.0]])
    assert view_displacement(cameras([[0.0] * 6]), torch.ones(1), back).item() == 1.0


def test_what_a_view_sees_lies_inside_another_image_or_beyond_its_border():
    """A wall two units away, seen from 1.25 units to the right: 0.8 * 1.25 / 2 = half of the image is shared."""
    still, right = cameras([[0.0] * 6]), cameras([[0.0, 0.0, 0.0, 1.25, 0.0, 0.0], [0.0, math.pi, 0.0, 0.0, 0.0, 0.0]])
    found = inside_others(still, torch.full((6, 20), 0.5), right)
    assert found.shape == (2, 6, 20)
    torch.testing.assert_close(found[0, 2, 11:19], torch.ones(8))
    assert found[0, :, :10].max() == 0
    assert found[1].max() == 0  # it looks the other way
    torch.testing.assert_close(inside_others(still, torch.full((6, 20), 0.5), still)[0, 2, 1:-1], torch.ones(18))


def test_circling_an_object_keeps_it_in_the_middle_and_is_another_viewpoint_all_the_same():
    angle = 0.1
    circled = cameras([[0.0, angle, 0.0, 0.0, 0.0, 0.0]])
    circled.world_from_camera[0, :3, 3] = torch.tensor([-2 * math.sin(angle), 0.0, 2 - 2 * math.cos(angle)])
    still, half = cameras([[0.0] * 6]), torch.tensor([0.5])
    assert view_displacement(still, half, circled).item() < 0.015  # about the point two units ahead
    # What is far moves by 3/4 of f times the angle to one side, what is twice as near by all of it to the other.
    expected = 0.8 * angle * (0.75 + 1) / 3
    assert abs(viewpoint_distance(still, half, circled).item() - expected) < 0.006
    rotated = cameras([[0.0, angle, 0.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(viewpoint_distance(still, half, rotated), view_displacement(still, half, rotated))


def test_the_covisible_fraction_is_that_of_points_inside_the_other_image():
    """A wall two units away: each unit to the side moves the image by 0.8 / 2 of its width; 10 columns of points."""
    views = cameras([[0.0] * 6, [0.0, 0.0, 0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.25, 0.0, 0.0]])
    wall = torch.full((3, 8, 10), 0.5)
    expected = torch.tensor([1.0, 0.8, 0.5])
    torch.testing.assert_close(covisible_fraction(views.select([0]), wall[:1], views), expected)
    torch.testing.assert_close(covisible_fraction(views, wall, views.select([0])), expected)
    pairs = covisible_fraction(views, wall, views.select([1, 1, 0]))
    torch.testing.assert_close(pairs, torch.tensor([0.8, 1.0, 0.5]))


def test_points_behind_or_at_infinity_count_by_where_they_are_seen():
    back = cameras([[0.0, math.pi, 0.0, 0.0, 0.0, 0.0]])
    still, moved = cameras([[0.0] * 6]), cameras([[0.0, 0.0, 0.0, 50.0, 0.0, 0.0]])
    assert covisible_fraction(still, torch.ones(1, 4, 6), back).item() == 0
    assert covisible_fraction(still, torch.zeros(1, 4, 6), moved).item() == 1, "no motion reaches infinity"
    assert covisible_fraction(still, torch.ones(1, 4, 6), moved).item() == 0


def test_covisibility_does_not_depend_on_the_world_and_equals_the_definition():
    generator = torch.Generator().manual_seed(0)
    views = cameras((0.2 * torch.randn(6, 6, generator=generator)).tolist())
    inverse_depth = 0.2 + torch.rand(6, 7, 9, generator=generator)
    others = views.select([1, 2, 3, 4, 5, 0])
    found = covisible_fraction(views, inverse_depth, others)
    for pair in range(6):
        rays = camera_rays(views.intrinsics[pair], 7, 9)
        world = transform(views.world_from_camera[pair], rays / inverse_depth[pair, ..., None])
        local = transform(invert(others.world_from_camera[pair]), world)
        uv = project(local, others.intrinsics[pair].expand(7, 9, 4))
        inside = ((uv > 0) & (uv < 1)).all(-1) & (local[..., 2] > 0)
        assert found[pair].item() == inside.float().mean().item()
    assert 0.2 < found.min() < found.max() < 1
