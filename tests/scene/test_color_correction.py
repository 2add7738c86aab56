"""Exposure that changes from frame to frame, as a parabola: views between them get their own."""

import torch
from scene.test_image_based_rendering import SIZE, Wall, cameras, paint, scene_of, views_of

from video_ae.scene.rendering import to_bytes
from video_ae.types import Cameras

INNER = (slice(None), slice(16, -16), slice(16, -16))


def at(x: float) -> Cameras:
    return cameras([0, 0, 0, x, 0, 0])


def exposed(x: float) -> torch.Tensor:
    """Brighter with the square of the distance from the middle of the path."""
    return paint(at(x)) * (0.5 + 12 * x**2)


def view(x: float) -> torch.Tensor:
    positions = [-0.15, -0.1, -0.05, 0.05, 0.1, 0.15]
    scene = scene_of(Cameras.cat([at(one) for one in positions]))
    renderer = views_of(Wall(), scene, lambda i: to_bytes(exposed(positions[i])), SIZE)
    return next(renderer.images(at(x))) / 255


def test_a_view_between_frames_gets_its_own_exposure(monkeypatch):
    corrected = (view(0.0) - exposed(0.0)).mean((1, 2)).abs().max()
    monkeypatch.setattr("video_ae.scene.image_based_rendering.color_correction", lambda *given: torch.zeros(3, 72, 96))
    before = (view(0.0) - exposed(0.0)).mean((1, 2)).abs().max()
    assert before > 0.02
    assert corrected < 0.5 * before


def test_the_view_of_a_frame_is_the_frame():
    assert (view(0.05) - exposed(0.05))[INNER].abs().mean() < 0.02
