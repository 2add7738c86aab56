"""A small data set in memory: a textured wall seen from a walking camera."""

from dataclasses import replace

import torch

from video_ae.datasets.base import ClipSource
from video_ae.geometry.se3 import rigid, so3_exp
from video_ae.types import Cameras, VideoClip


class FakeSource(ClipSource):
    def __init__(self, frames=(13, 4), with_cameras=True):
        self.clips = [make_clip(f"clip{i}", count, seed=i) for i, count in enumerate(frames)]
        if not with_cameras:
            self.clips = [replace(clip, cameras=None) for clip in self.clips]

    names = property(lambda self: [clip.name for clip in self.clips])
    skipped = property(lambda self: {})

    def frame_count(self, number):
        return len(self.clips[number])

    def load(self, number, indices=None, size=None, fit="stretch"):
        clip = self.clips[number]
        return clip if indices is None else clip.select(list(indices))


def make_clip(name, frames, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turns = torch.randn(frames, 3, generator=generator, dtype=torch.float64).cumsum(0) * 0.05
    centres = torch.randn(frames, 3, generator=generator, dtype=torch.float64).cumsum(0)
    return VideoClip(
        frames=torch.rand(frames, 3, 16, 20, generator=generator),
        indices=torch.arange(frames),
        times=torch.arange(frames, dtype=torch.float64) / 10,
        cameras=Cameras(rigid(so3_exp(turns), centres).float(), torch.tensor([0.7, 0.9, 0.5, 0.5]).repeat(frames, 1)),
        name=name,
    )
