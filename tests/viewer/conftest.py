"""A small reconstruction by a model that makes things up, and the viewer that shows it."""

from pathlib import Path

import pytest
from wave_walk import write_walk

COUNT = 8


@pytest.fixture(scope="session")
def reconstructions(tmp_path_factory):
    """A function: (folder, number of frames) -> a new reconstruction there."""
    from video_ae.pipelines.reconstruct import reconstruct_video

    root = tmp_path_factory.mktemp("inputs")
    write_walk(root, COUNT, fps=10.0, pace=1 / 3)

    def make(folder: Path, frames: int = COUNT, overwrite: bool = False) -> Path:
        return reconstruct_video(
            root / "walk.mp4", folder, root / "weights.safetensors", frames=frames, refine=0, overwrite=overwrite,
            export=["points"],
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def walk(reconstructions, tmp_path_factory):
    return reconstructions(tmp_path_factory.mktemp("done") / "walk")
