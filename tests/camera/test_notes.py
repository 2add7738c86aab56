"""Flags of clips and frames that are hard: blur, too little overlap, a camera that stands."""

import torch
from kornia.filters import gaussian_blur2d

from video_ae.camera.covariance import blurred_frames, lost_neighbours, stands_still, with_clip_notes
from video_ae.camera.problem import Matches
from video_ae.geometry.se3 import rigid, so3_exp
from video_ae.types import CameraEstimate, Cameras


def pictures(frames=6):
    return torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0)).repeat(frames, 1, 1, 1)


def estimate(turns, notes=()):
    """A camera that turns to the right by these angles, all points at depth 1; a third of a right angle is seen."""
    angles = torch.tensor(turns)
    zero = torch.zeros_like(angles)
    poses = rigid(so3_exp(torch.stack([zero, angles, zero], -1)), torch.zeros(len(angles), 3))
    cameras = Cameras(poses[None], torch.tensor([0.9, 1.2, 0.5, 0.5]).repeat(1, len(angles), 1))
    ones = torch.ones(1, len(angles))
    maps, spread = torch.ones(1, len(angles), 12, 16), torch.eye(6).repeat(1, len(angles), 1, 1)
    return CameraEstimate(cameras, maps, ones, spread, (tuple(notes),))


def test_blurred_frames_are_named():
    frames = pictures()
    assert blurred_frames(frames) == []
    frames[2:4] = gaussian_blur2d(frames[2:4], 9, (2.0, 2.0))
    assert blurred_frames(frames) == [2, 3]
    assert blurred_frames(torch.zeros(4, 3, 8, 8)) == []


def test_neighbours_that_show_something_else_are_named():
    assert lost_neighbours(estimate([0.0, 0.1, 0.2])) == []
    assert lost_neighbours(estimate([0.0, 0.1, 0.9, 1.0])) == [1]


def test_notes_stand_beside_those_of_the_solver():
    frames = pictures(4)
    frames[3] = gaussian_blur2d(frames[3:], 9, (2.0, 2.0))[0]
    notes = with_clip_notes(estimate([0.0, 0.1, 0.9, 1.0], ["known: before"]), frames).notes[0]
    assert [note.partition(":")[0] for note in notes] == ["known", "little overlap", "blur"]
    assert "frame 1" in notes[1]
    assert "frame 3" in notes[2]
    # Of a clip whose poses are a guess, overlap is a guess too.
    guessed = with_clip_notes(estimate([0.0, 0.9], ["no parallax: a guess"]), pictures(2)).notes[0]
    assert guessed == ("no parallax: a guess",)


def test_a_camera_stands_where_matches_stay():
    points = torch.rand(40, 2) * 20
    edge, information = torch.tensor([0]), 10 * torch.eye(2).expand(1, 40, 2, 2)
    moving = points.clone()
    moving[:20] += 1.0

    def still(matched, information=information):
        return stands_still(Matches(edge, edge + 1, points, matched[None], information))

    assert still(points)
    assert not still(moving)
    assert not still(points, torch.zeros(1, 40, 2, 2))  # nothing matched says nothing
