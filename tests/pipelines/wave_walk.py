"""A small video of moving waves, and weights of the model that makes things up."""

from pathlib import Path

import torch

from video_ae.models.open import build_model, save_weights
from video_ae.videos.writer import write_video

SIZE = (64, 48)


def waves(count: int, pace: float = 0.2) -> torch.Tensor:
    """RGB frames [count, 3, 48, 64] in [0.1, 0.9]; the waves move by `pace` radians a frame, those of green stand."""
    v, u = torch.meshgrid(torch.linspace(0, 6, SIZE[1]), torch.linspace(0, 8, SIZE[0]), indexing="ij")
    shift = pace * torch.arange(count)[:, None, None]
    return 0.5 + torch.stack([0.4 * (u + shift).sin(), 0.4 * (v + 0 * shift).cos(), 0.3 * (u - v + shift).sin()], 1)


def write_fake_weights(path: Path, **settings: float) -> Path:
    """Weights of `FakeSceneModel(**settings)`."""
    save_weights(build_model({"class_path": "fake_scene_model.FakeSceneModel", "init_args": settings}), path)
    return path


def write_walk(root: Path, count: int, fps: float = 25.0, pace: float = 0.2) -> None:
    """`walk.mp4` and `weights.safetensors` in `root`."""
    write_video(root / "walk.mp4", waves(count, pace), fps)
    write_fake_weights(root / "weights.safetensors")
