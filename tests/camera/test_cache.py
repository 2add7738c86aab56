"""The same pixels are solved once."""

import torch

from video_ae.camera.cache import CameraCache
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.types import CameraEstimate, Cameras

CLIPS = torch.rand(4, 3, 3, 6, 8, generator=torch.Generator().manual_seed(0))


class Counting:
    """Says which clip was asked about through the focal length."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def __call__(self, frames: torch.Tensor) -> CameraEstimate:
        assert len(frames) == 1, "clip by clip"
        self.asked.append(round(float(frames.mean()), 6))
        intrinsics = pinhole_intrinsics(frames.mean().expand(3), 8, 6)
        cameras = Cameras(torch.eye(4).expand(3, 4, 4), intrinsics)
        return CameraEstimate(cameras, torch.ones(3, 2, 2), torch.ones(3), torch.zeros(3, 6, 6), ("seen",))[None]


def means(estimate: CameraEstimate) -> torch.Tensor:
    return estimate.cameras.intrinsics[:, 0, 0]


def test_each_clip_is_solved_once_in_whatever_batch_it_comes_again():
    find = Counting()
    cached = CameraCache(find)
    first = cached(CLIPS[[0, 1, 0]])
    again = cached(CLIPS[[2, 1]].clone())
    assert len(find.asked) == 3
    torch.testing.assert_close(means(first), CLIPS[[0, 1, 0]].mean((1, 2, 3, 4)))
    torch.testing.assert_close(means(again), CLIPS[[2, 1]].mean((1, 2, 3, 4)))
    assert again.notes == ("seen",)


def test_one_pixel_makes_another_clip_and_so_does_another_shape():
    find = Counting()
    cached = CameraCache(find)
    other = CLIPS[:1].clone()
    other[0, 2, 2, 5, 7] += 1e-3
    cached(CLIPS[:1])
    cached(other)
    cached(CLIPS[:1].transpose(-1, -2).reshape(1, 3, 3, 6, 8))
    cached(CLIPS[:1].reshape(1, 3, 3, 8, 6))
    assert len(find.asked) == 4


def test_those_used_longest_ago_are_forgotten():
    find = Counting()
    cached = CameraCache(find, clips=2)
    for clip in (0, 1, 0, 2, 0, 1):
        cached(CLIPS[[clip]])
    assert find.asked == [round(float(CLIPS[clip].mean()), 6) for clip in (0, 1, 2, 1)]
