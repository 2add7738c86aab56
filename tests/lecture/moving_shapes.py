"""Tiny clips with something in them: a bright disc that moves evenly over a dark ground."""

import torch

from video_ae.models.base import Autoencoder
from video_ae.types import VideoClip


def make_clip(frames: torch.Tensor) -> VideoClip:
    lead = frames.shape[:2]
    return VideoClip(frames, torch.arange(lead[1]).expand(lead).clone(), torch.zeros(lead))


def moving_discs(clips: int, frames: int, size: int = 16, seed: int = 0) -> VideoClip:
    """Discs of radius 2.5 px and random colour that start anywhere and move by up to 2 px a frame, bouncing at the
    border. [clips, frames, 3, size, size]"""
    generator = torch.Generator().manual_seed(seed)
    start = torch.rand(clips, 1, 2, generator=generator) * (size - 6) + 3
    speed = (torch.rand(clips, 1, 2, generator=generator) * 2 - 1) * 2
    low, span = 3.0, size - 6.0
    position = start + speed * torch.arange(frames)[None, :, None] - low
    position = low + span - (position.remainder(2 * span) - span).abs()
    axis = torch.arange(size) + 0.5
    x = axis[None, None, None, :] - position[..., 0, None, None]
    y = axis[None, None, :, None] - position[..., 1, None, None]
    disc = torch.sigmoid(2 * (2.5 - (x.square() + y.square()).sqrt()))[:, :, None]
    colour = 0.5 + 0.5 * torch.rand(clips, 1, 3, 1, 1, generator=generator)
    return make_clip((0.1 + 0.85 * disc * colour).clamp(0, 1))


def train(model: Autoencoder, clip: VideoClip, steps: int, loss, batch: int = 32, lr: float = 3e-3) -> None:
    """A few steps of Adam on random parts of a batch of clips; `loss(reconstruction, clip)`."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    for _ in range(steps):
        part = make_clip(clip.frames[torch.randint(len(clip.frames), (batch,))])
        optimizer.zero_grad()
        loss(model(part), part).backward()
        optimizer.step()
        schedule.step()
    model.eval()
