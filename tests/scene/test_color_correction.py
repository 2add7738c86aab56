"""Exposure that changes from frame to frame, as a parabola: views between them get their own."""

import torch
from scene.test_image_based_rendering import SIZE, Wall, cameras, on_wall, paint, scene_of, views_of

from video_ae.scene.color_correction import exposure_steps, look_up
from video_ae.scene.rendering import to_bytes
from video_ae.types import Cameras

HALVES = slice(SIZE[0] // 2), slice(SIZE[0] // 2, None)
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


def test_a_step_of_exposure_leaves_no_patch():
    """The right half of a view is seen by the brighter one of two source views alone."""
    scene = paint(at(0.0), SIZE)
    images = torch.stack([scene - 0.03, scene + 0.03])
    agreement = torch.full((2, *scene.shape[1:]), 0.5)
    agreement[0, :, SIZE[0] // 2 :] = 0
    blend = (agreement[:, None] * images).sum(0) / agreement.sum(0)
    left, right = ((blend + exposure_steps(images, agreement) - scene)[..., half].mean() for half in HALVES)
    assert (blend - scene)[..., HALVES[1]].mean() > 0.029
    assert abs(right - left) < 0.005


def test_other_things_are_not_another_exposure():
    """A tenth of the pixels, where one of two source views shows something else, moves no colours by a hundredth."""
    images = torch.full((2, 3, 72, 96), 0.2)
    images[1, :, :, :10] = 0.9
    agreement = torch.full((2, 72, 96), 0.5)
    agreement[0, 36:] = 0
    assert exposure_steps(images, agreement).abs().max() < 0.01


def test_compiled_look_up_agrees_with_its_twin():
    known, wanted = 1 / on_wall(at(0.0), SIZE)[1], torch.rand(2, *SIZE[::-1]).round()
    sources = Cameras.cat([at(-0.1), at(0.3)])
    images = torch.stack([paint(at(-0.1), SIZE), paint(at(0.3), SIZE)])
    given = known, at(0.0), images, sources, wanted
    torch.testing.assert_close(look_up(*given), look_up(*(given[:2]), images.requires_grad_(), *given[3:]).detach())
