"""The scripts of examples/, run one after the other on a tiny clip."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from video_ae.formats.nerfstudio import read_nerfstudio
from video_ae.videos.open import open_video

ROOT = Path(__file__).parents[1]
VIDEO = ROOT / "tests" / "golden" / "before" / "videos" / "small.mp4"
WEIGHTS = ROOT / "tests" / "golden" / "before" / "run"
FRAMES = 5


def example(number: int) -> dict[str, Any]:
    """What the script of a number defines."""
    (path,) = (ROOT / "examples").glob(f"{number:02}_*.py")
    return runpy.run_path(str(path))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the first example writes, and the others read."""
    folder = tmp_path_factory.mktemp("examples") / "walk"
    example(1)["main"](str(VIDEO), str(folder), weights=WEIGHTS, frames=FRAMES, refine=0)
    return folder


def test_all_examples_are_here() -> None:
    names = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
    assert [name[:2] for name in names] == ["01", "02", "03", "04", "05"]


def test_reconstruct(walk: Path) -> None:
    assert json.loads((walk / "summary.json").read_text())["frames"] == FRAMES
    assert (walk / "overview.png").stat().st_size > 10_000


def test_render_a_path(walk: Path, tmp_path: Path) -> None:
    example(2)["main"](str(walk), str(tmp_path / "crane.mp4"), frames=4, size=24)
    video = open_video(tmp_path / "crane.mp4")
    assert (len(video), video.image_size) == (4, (32, 24))
    frames = video.read(range(4)).float()
    assert (frames[3] - frames[0]).abs().mean() > 1


def test_a_loss_of_ones_own() -> None:
    losses = example(3)["main"](str(VIDEO), steps=2, weights=WEIGHTS)
    assert len(losses) == 2
    assert all(0.01 <= loss < 1 for loss in losses)


def test_into_gsplat(walk: Path) -> None:
    given = example(4)["main"](str(walk))
    count = len(given["means"])
    assert count > 100
    shapes = {name: tuple(value.shape) for name, value in given.items()}
    assert shapes == {
        "means": (count, 3), "quats": (count, 4), "scales": (count, 3), "opacities": (count,), "colors": (count, 3),
        "viewmats": (FRAMES, 4, 4), "Ks": (FRAMES, 3, 3),
    }  # fmt: skip
    assert {value.dtype for value in given.values()} == {torch.float32}
    torch.testing.assert_close(given["quats"].norm(dim=-1), torch.ones(count), atol=1e-5, rtol=0)


def test_into_nerfstudio(walk: Path, tmp_path: Path) -> None:
    example(5)["main"](str(walk), str(tmp_path / "data"))
    assert len(read_nerfstudio(tmp_path / "data" / "transforms.json").world_from_camera) == FRAMES
    assert len(list((tmp_path / "data" / "images").iterdir())) == FRAMES
