"""A loss term of one's own, with which the model goes on training on one video.

    python examples/03_a_loss_of_your_own.py walk.mp4

In a file of its own the class works for real training, too: video-ae train --losses.mine my_file.Charbonnier
"""

import sys
from pathlib import Path

import torch

import video_ae
from video_ae.losses.base import LossTerm
from video_ae.types import ModelOutput, VideoClip
from video_ae.videos.load import load_clip


class Charbonnier(LossTerm):
    """A smooth absolute difference (Charbonnier et al. 1994)."""

    def forward(self, output: ModelOutput, clip: VideoClip) -> torch.Tensor:
        """The mean over all held-out pixels.

        Args:
            output: the frames that were rendered.
            clip: all frames.
        """
        difference = output.frames - clip.frames[:, output.targets]
        return (difference.square() + 1e-4).sqrt().mean()


def main(video: str, steps: int = 20, weights: str | Path | None = None) -> list[float]:
    """Trains for some steps and returns the loss at each.

    Args:
        video: a file or a folder of images.
        steps: of training.
        weights: to start from; None takes the package's own.
    """
    torch.manual_seed(0)
    model, term = video_ae.load(weights).train(), Charbonnier(weight=1.0)
    clip = load_clip(video, frames=8, size=48)[None]  # a batch of one
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    losses = []
    for _ in range(steps):
        loss = term.weight * term(model(clip), clip)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {len(losses)}: {losses[-1]:.4f}")
    return losses


if __name__ == "__main__":
    main(sys.argv[1])
