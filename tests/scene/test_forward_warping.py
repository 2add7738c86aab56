"""Points of frames in another view: where they land, what hides what, and what is trusted."""

import pytest
import torch

from video_ae import compiled
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.se3 import se3_exp
from video_ae.scene import forward_warping
from video_ae.scene.forward_warping import warp_frames
from video_ae.types import Cameras, RenderedViews

SIZE = (40, 30)


def cameras(*twists: list[float]) -> Cameras:
    """One camera per twist (three rotations, three translations), focal length one width."""
    intrinsics = pinhole_intrinsics(torch.tensor(1.0), *SIZE).expand(len(twists), 4)
    return Cameras(se3_exp(torch.tensor(twists)), intrinsics)


STRAIGHT, PIXEL_RIGHT = [0.0] * 6, [0, 0, 0, 1 / 40, 0, 0]  # the second moves what is at depth 1 one pixel to the left


def warped(colors, inverse_depth, trust, view, twist=STRAIGHT, size=SIZE) -> RenderedViews:
    """Frames that stand in one camera, with equal shares."""
    count = len(colors)
    return warp_frames(
        colors, inverse_depth, trust, torch.full((count,), 1 / count), cameras(*[twist] * count), cameras(view), size
    )


def random_frames(count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, 30, 40, generator=torch.Generator().manual_seed(0))


def test_a_frame_is_itself_in_its_own_camera():
    frames, inverse_depth = random_frames(), torch.rand(1, 30, 40, generator=torch.Generator().manual_seed(1)) + 0.2
    views = warped(frames, inverse_depth, torch.ones(1, 30, 40), STRAIGHT)
    torch.testing.assert_close(views.rgb, frames, atol=0.02, rtol=0)
    torch.testing.assert_close(views.inverse_depth, inverse_depth, atol=0.02, rtol=0)
    assert (views.opacity == 1).all()


def test_near_things_move_by_their_depth_and_uncover_what_nobody_saw():
    frames = random_frames()
    five = [0, 0, 0, 5 / 40, 0, 0]
    views = warped(frames, torch.ones(1, 30, 40), torch.ones(1, 30, 40), five)
    torch.testing.assert_close(views.rgb[..., :-6], frames[..., 5:-1], atol=0.02, rtol=0)
    assert (views.opacity[..., -1] < 0.2).all()
    far = warped(frames, torch.full((1, 30, 40), 1e-3), torch.ones(1, 30, 40), five)
    torch.testing.assert_close(far.rgb[..., 1:-1], frames[..., 1:-1], atol=0.03, rtol=0)


def test_what_is_shown_twice_as_large_has_no_gaps():
    near = [0, 0, 0, 0, 0, 0.55]  # what is at depth 1 comes to 0.45
    views = warped(torch.ones(1, 3, 30, 40), torch.ones(1, 30, 40), torch.ones(1, 30, 40), near)
    assert (views.opacity == 1).all()
    torch.testing.assert_close(views.inverse_depth, torch.full((1, 30, 40), 1 / 0.45), atol=1e-3, rtol=1e-3)


def two_walls(near_trust: float) -> RenderedViews:
    """Black at depth 1 in one frame, white at depth 4 in another, which is trusted."""
    colors = torch.stack([torch.zeros(3, 30, 40), torch.ones(3, 30, 40)])
    inverse_depth = torch.stack([torch.ones(30, 40), torch.full((30, 40), 0.25)])
    trust = torch.stack([torch.full((30, 40), near_trust), torch.ones(30, 40)])
    return warped(colors, inverse_depth, trust, STRAIGHT)


def test_the_nearer_surface_hides_the_farther_one():
    views = two_walls(1.0)
    assert views.rgb.max() < 0.01
    torch.testing.assert_close(views.inverse_depth, torch.ones(1, 30, 40), atol=0.01, rtol=0)


def test_what_no_other_frame_confirms_hides_nothing():
    views = two_walls(0.1)
    assert views.rgb.min() > 0.99
    torch.testing.assert_close(views.inverse_depth, torch.full((1, 30, 40), 0.25), atol=0.01, rtol=0)


def test_alone_it_is_as_good_as_unseen():
    views = warped(random_frames(), torch.ones(1, 30, 40), torch.zeros(1, 30, 40), STRAIGHT)
    assert (views.opacity == 0).all()
    half = warped(random_frames(), torch.ones(1, 30, 40), torch.full((1, 30, 40), 0.1), STRAIGHT)
    torch.testing.assert_close(half.opacity, torch.full((1, 30, 40), 0.5))


@pytest.mark.parametrize("unknown", [0.0, float("nan")])
def test_what_has_no_depth_lands_nowhere(unknown):
    inverse_depth = torch.ones(1, 30, 40)
    inverse_depth[:, :10] = unknown
    views = warped(random_frames(), inverse_depth, torch.ones(1, 30, 40), STRAIGHT)
    assert (views.opacity[:, :6] == 0).all()
    assert (views.opacity[:, 14:] == 1).all()
    assert views.rgb.isfinite().all()


def test_what_lies_behind_the_view_lands_nowhere():
    views = warped(random_frames(), torch.ones(1, 30, 40), torch.ones(1, 30, 40), [0, 0, 0, 0, 0, 2.0])
    assert (views.opacity == 0).all()


@pytest.mark.skipif(compiled.numba is None, reason="Numba is not installed")
@pytest.mark.parametrize("view", [STRAIGHT, PIXEL_RIGHT, [0.1, -0.2, 0.3, 0.2, 0.1, 0.3], [0, 3.0, 0, 0, 0, 0]])
def test_the_compiled_loops_are_the_tensor_operations(monkeypatch, view):
    random = torch.Generator().manual_seed(2)
    inverse_depth, trust = (torch.rand(3, 30, 40, generator=random) for _ in range(2))
    inverse_depth[0, :3] = 0
    given = random_frames(3), inverse_depth, trust, view, [0, 0.1, 0, 0.1, 0, 0], (52, 36)
    found = warped(*given)
    monkeypatch.setattr(forward_warping, "usable", lambda *_: False)
    twin = warped(*given)
    for one, other in zip(vars(found).values(), vars(twin).values(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-3)
