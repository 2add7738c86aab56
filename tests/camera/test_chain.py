"""Windows of a long video: one that came out wrong is solved again from the one after it."""

import pytest
import torch

from video_ae.camera.chain import backwards, solve_chain
from video_ae.camera.submaps import window_parts
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.types import CameraEstimate, Cameras

FRAMES = 20
TRUTH = se3_exp(torch.arange(FRAMES)[:, None] * torch.tensor([0.01, 0.04, 0.0, 0.1, 0.0, 0.2]))
CLIP = torch.arange(FRAMES, dtype=torch.float32)[:, None, None, None].expand(FRAMES, 3, 1, 1)  # a frame is its number
PARTS = window_parts(FRAMES, 8, 2)


def numbers(frames: torch.Tensor) -> list[int]:
    return frames[:, 0, 0, 0].long().tolist()


def estimate(frames: torch.Tensor, scale: float = 1.0) -> CameraEstimate:
    """The true poses of some frames, translations `scale` times as long."""
    poses = TRUTH[numbers(frames)]
    poses = invert(poses[:1]) @ poses
    poses[:, :3, 3] *= scale
    count = len(frames)
    cameras = Cameras(poses[None], torch.full((1, count, 4), 0.5))
    return CameraEstimate(cameras, torch.ones(1, count, 1, 1), torch.ones(1, count), torch.zeros(1, count, 6, 6), ((),))


def error(frames: torch.Tensor, found: CameraEstimate) -> float:
    return (found.cameras.world_from_camera - estimate(frames).cameras.world_from_camera).abs().max().item()


@pytest.mark.parametrize("wrong", [0, 1, None])
def test_a_wrong_window_is_solved_again_backwards(wrong):
    """Window `wrong` comes out wrong forwards; what leans on it does not. Costs show it."""
    asked = []

    def go_on(frames, previous, shared):
        order = numbers(frames)
        asked.append(order)
        neighbour = previous.cameras.world_from_camera[0, -shared:]
        expected = estimate(frames[:shared]).cameras.world_from_camera[0]
        forwards = order[0] < order[-1]
        if not forwards:  # what it is started from belongs to its own first frames
            torch.testing.assert_close(invert(neighbour[:1]) @ neighbour, expected)
        return estimate(frames, 3.0 if forwards and wrong == 1 and order[0] == PARTS[1].start else 1.0)

    def cost(frames, found):
        return 0.3 if error(frames, found) > 1e-4 else 0.1 + 0.01 * (numbers(frames)[0] % 2)

    pieces = solve_chain(CLIP, PARTS, lambda frames: estimate(frames, 3.0 if wrong == 0 else 1.0), go_on, cost)
    for part, piece in zip(PARTS, pieces, strict=True):
        assert error(CLIP[part], piece) < 1e-5
    again = [order for order in asked if order[0] > order[-1]]
    assert again == ([] if wrong is None else [list(range(FRAMES))[PARTS[wrong]][::-1]])


def test_a_second_attempt_that_is_no_better_is_dropped():
    def cost(frames, found):
        return 1.0 if 0 in numbers(frames) else 0.1  # the first window is hard, whatever is tried

    pieces = solve_chain(
        CLIP, PARTS, estimate, lambda frames, *_: estimate(frames, 5.0 if numbers(frames)[0] > 5 else 1.0), cost
    )
    assert error(CLIP[PARTS[0]], pieces[0]) < 1e-5


def test_twice_backwards_is_forwards():
    forwards = estimate(CLIP, 0.7)
    twice = backwards(backwards(forwards))
    torch.testing.assert_close(twice.cameras.world_from_camera, forwards.cameras.world_from_camera)
    assert not torch.allclose(backwards(forwards).cameras.world_from_camera, forwards.cameras.world_from_camera)
