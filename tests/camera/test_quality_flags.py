"""Flags of clips and frames that are hard: blur, too little overlap, a camera that stands."""

import torch
from kornia.filters import gaussian_blur2d

from video_ae.camera.covariance import fit_confidence, rotation_confidence
from video_ae.camera.problem import Correspondences, PointGrid, SceneState, Submap
from video_ae.camera.quality_flags import (
    blurred_frames,
    clip_notes,
    fit_notes,
    frames_with_little_overlap,
    looks_like_zoom,
    solver_notes,
    stands_still,
    undecided,
)
from video_ae.camera.reprojection import frame_fit, predict_points
from video_ae.geometry.se3 import rigid, so3_exp
from video_ae.types import CameraEstimate, Cameras


def pictures(frames=6):
    return torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0)).repeat(frames, 1, 1, 1)


def estimate(turns, notes=()):
    """A camera that turns to the right by these angles, all points at depth 1; a third of a right angle is seen."""
    angles = torch.tensor(turns)
    zero = torch.zeros_like(angles)
    poses = rigid(so3_exp(torch.stack([zero, angles, zero], -1)), torch.zeros(len(angles), 3))
    count = len(angles)
    cameras = Cameras(poses, torch.tensor([0.9, 1.2, 0.5, 0.5]).repeat(count, 1))
    maps, spread = torch.ones(count, 12, 16), torch.eye(6).repeat(count, 1, 1)
    return CameraEstimate(cameras, maps, torch.ones(count), spread, tuple(notes))


def test_blurred_frames_are_named():
    frames = pictures()
    assert blurred_frames(frames) == []
    frames[2:4] = gaussian_blur2d(frames[2:4], 9, (2.0, 2.0))
    assert blurred_frames(frames) == [2, 3]
    assert blurred_frames(torch.zeros(4, 3, 8, 8)) == []


def test_neighbours_that_show_something_else_are_named():
    assert frames_with_little_overlap(estimate([0.0, 0.1, 0.2])) == []
    assert frames_with_little_overlap(estimate([0.0, 0.1, 0.9, 1.0])) == [1]


def test_notes_stand_beside_those_of_the_solver():
    frames = pictures(4)
    frames[3] = gaussian_blur2d(frames[3:], 9, (2.0, 2.0))[0]
    notes = clip_notes(estimate([0.0, 0.1, 0.9, 1.0], ["known: before"]), frames)
    assert [note.partition(":")[0] for note in notes] == ["known", "little overlap", "blur"]
    assert "frame 1" in notes[1]
    assert "frame 3" in notes[2]
    # Of a clip whose poses are a guess, overlap is a guess too.
    guessed = clip_notes(estimate([0.0, 0.9], ["no parallax: a guess"]), pictures(2))
    assert guessed == ("no parallax: a guess",)


def test_a_way_ahead_before_a_wall_may_be_a_zoom():
    ahead = torch.zeros(4, 3)
    ahead[:, 2] = torch.tensor([0.0, 0.1, 0.15, -0.2])
    wall = estimate([0.0] * 4)
    assert not looks_like_zoom(wall)  # it rests

    def walked(centres, inverse_depth):
        poses = wall.cameras.world_from_camera.clone()
        poses[:, :3, 3] = centres
        cameras = Cameras(poses, wall.cameras.intrinsics)
        return CameraEstimate(cameras, inverse_depth, wall.confidence, wall.covariance)

    room = wall.inverse_depth + torch.linspace(-0.5, 0.5, 16)
    assert looks_like_zoom(walked(ahead, wall.inverse_depth))
    assert not looks_like_zoom(walked(ahead, room))
    assert not looks_like_zoom(walked(ahead.roll(1, 1), wall.inverse_depth))
    assert [note.partition(":")[0] for note in clip_notes(walked(ahead, wall.inverse_depth), pictures(4))] == [
        "flat scene"
    ]


def test_a_camera_stands_where_matches_stay():
    points = torch.rand(40, 2) * 20
    edge, information = torch.tensor([0]), 10 * torch.eye(2).expand(1, 40, 2, 2)
    moving = points.clone()
    moving[:20] += 1.0

    def still(matched, information=information):
        return stands_still(Correspondences(edge, edge + 1, points, matched[None], information))

    assert still(points)
    assert not still(moving)
    assert not still(points, torch.zeros(1, 40, 2, 2))  # nothing matched says nothing


def test_matches_that_no_still_scene_explains_are_named():
    """A camera moves sideways past a wall: matches where its points land cost nothing; a third of them shuffled do."""
    grid = torch.stack(torch.meshgrid(torch.linspace(-30, 30, 16), torch.linspace(-20, 20, 12), indexing="ij"), -1)
    points, edges = grid.flatten(0, 1), torch.tensor([[0, 1], [1, 0]])
    poses = rigid(torch.eye(3).expand(2, 3, 3), torch.tensor([[0.0, 0.0, 0.0], [-0.1, 0.0, 0.0]]))
    state = SceneState(poses, torch.ones(2, len(points)), torch.tensor(60.0).log())
    matched = predict_points(state, points, *edges).image
    matches = Correspondences(*edges, points, matched, 10 * torch.eye(2).expand(2, len(points), 2, 2))
    assert solver_notes(state, matches, 64) == ()
    torch.testing.assert_close(fit_confidence(frame_fit(state, matches), 64), torch.ones(2))
    wrong = matched.clone()
    wrong[:, ::3] = wrong[:, ::3].flip(1)
    shuffled = Correspondences(*edges, points, wrong, matches.information)
    assert [note.partition(":")[0] for note in solver_notes(state, shuffled, 64)] == ["poor fit"]
    assert fit_confidence(frame_fit(state, shuffled), 64).max() < 0.01


def test_frames_that_fit_as_badly_as_lost_ones_are_named():
    covariance = torch.eye(6).repeat(4, 1, 1) * 0.01**2
    covariance[0] = 0
    state = SceneState(torch.eye(4).repeat(4, 1, 1), torch.ones(4, 4), torch.tensor(0.0))
    certain = rotation_confidence(covariance)

    def named(fit, notes=()):
        return fit_notes(Submap(state, PointGrid(2, 2, 8, 8), covariance, certain * torch.tensor(fit), notes))

    assert named([1.0, 0.9, 0.6, 1.0]) == ()
    (note,) = named([1.0, 0.4, 0.6, 0.2])
    assert note.startswith("doubtful fit: ")
    assert "explains frames 1 and 3 well" in note
    (stretch,) = named([1.0, 0.4, 0.3, 0.2])
    assert "explains frames 1 to 3 well" in stretch
    assert named([1.0, 0.4, 0.6, 0.2], ("poor fit: all of it",)) == ()
    assert named([1.0, 0.4, 0.6, 0.2], ("frames 0 to 2: no parallax: a guess",)) == ()


def test_a_zoom_that_is_not_ruled_out_is_named_with_its_frames():
    zoom = torch.tensor([0.0, 0.0, 0.0, 0.04, 0.08, 0.08, 0.08], dtype=torch.float64)
    shown = undecided(estimate([0.0] * 7, ["known: before"]), zoom)
    assert shown.notes[0] == "known: before"
    assert shown.notes[1].startswith("zoom or path: a focal length that changes by 8 %, most of it in frames 2 to 4, ")
    assert shown.cameras.share_intrinsics
