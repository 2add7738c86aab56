"""A small reconstruction by a model that makes things up, and the viewer that shows it."""

import sys
from pathlib import Path

import pytest
import torch

from video_ae.applications.reconstruct import reconstruct_video
from video_ae.checkpoints import build_model, save_weights
from video_ae.videos.writer import write_video

sys.path.append(str(Path(__file__).parents[1] / "applications"))  # where the model stands

COUNT, SIZE = 8, (64, 48)


@pytest.fixture(scope="session")
def reconstructions(tmp_path_factory):
    """A function: (folder, number of frames) -> a new reconstruction there."""
    root = tmp_path_factory.mktemp("inputs")
    save_weights(build_model({"class_path": "fake_scene_model.FakeSceneModel"}), root / "weights.safetensors")
    v, u = torch.meshgrid(torch.linspace(0, 6, SIZE[1]), torch.linspace(0, 8, SIZE[0]), indexing="ij")
    shift = torch.arange(COUNT)[:, None, None] / 3
    waves = [0.4 * (u + shift).sin(), 0.4 * (v + 0 * shift).cos(), 0.3 * (u - v + shift).sin()]
    write_video(root / "walk.mp4", 0.5 + torch.stack(waves, 1), 10.0)

    def make(folder: Path, frames: int = COUNT, overwrite: bool = False) -> Path:
        return reconstruct_video(
            root / "walk.mp4", folder, root / "weights.safetensors", frames=frames, refine=0, overwrite=overwrite,
            export=["points"],
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def walk(reconstructions, tmp_path_factory):
    return reconstructions(tmp_path_factory.mktemp("done") / "walk")
