"""Clips in memory: which frames, which size."""

from pathlib import Path

import pytest
import torch

from video_ae.errors import UserError
from video_ae.geometry.pinhole import project
from video_ae.geometry.resize import plan_resizing
from video_ae.videos import load
from video_ae.videos.load import load_clip
from video_ae.videos.open import open_video


def test_stride_first_then_the_first_frames(videos: dict[str, Path]) -> None:
    clip = load_clip(videos["closed"], stride=4, frames=3)
    assert clip.indices.tolist() == [0, 4, 8]
    assert clip.times.tolist() == pytest.approx([0, 4 / 30, 8 / 30])
    assert (clip.name, clip.image_size, clip.cameras) == ("closed", (64, 48), None)
    expected = open_video(videos["closed"]).read([0, 4, 8]).float() / 255
    torch.testing.assert_close(clip.frames, expected)


def test_asking_for_more_frames_than_there_are_gives_all(videos: dict[str, Path]) -> None:
    assert len(load_clip(videos["closed"], stride=7, frames=1000)) == 9
    assert len(load_clip(videos["closed"])) == 60


@pytest.mark.parametrize(("size", "expected"), [(24, (32, 24)), ((20, 30), (20, 30)), (None, (64, 48))])
def test_sizes(videos: dict[str, Path], size, expected: tuple[int, int]) -> None:
    assert load_clip(videos["closed"], frames=2, size=size).image_size == expected


def test_chunks_do_not_change_the_result(videos: dict[str, Path], monkeypatch) -> None:
    whole = load_clip(videos["closed"], size=24)
    monkeypatch.setattr(load, "CHUNK_VALUES", 64 * 48 * 3 * 7)
    assert torch.equal(load_clip(videos["closed"], size=24).frames, whole.frames)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    stripes[..., ::2] = 255
    small = plan_resizing((32, 32), 4).frames(stripes)
    torch.testing.assert_close(small[..., 1:3], torch.full((1, 3, 4, 2), 0.5), atol=0.02, rtol=0)


@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_intrinsics_follow_the_image(fit) -> None:
    """A bright dot stays where the camera projects the point behind it."""
    frames = torch.zeros(1, 3, 96, 128, dtype=torch.uint8)
    frames[..., 40:44, 80:84] = 255  # centre (82, 42)
    before = torch.tensor([0.9, 1.2, 0.45, 0.55])
    point = torch.tensor([(82 / 128 - 0.45) / 0.9, (42 / 96 - 0.55) / 1.2, 1.0])
    resizing = plan_resizing((128, 96), (48, 48), fit)
    dot = resizing.frames(frames)[0, 0]
    ticks = (torch.arange(48) + 0.5) / 48
    seen = torch.stack([(dot.sum(0) * ticks).sum(), (dot.sum(1) * ticks).sum()]) / dot.sum()
    torch.testing.assert_close(project(point, resizing.intrinsics(before)), seen, atol=2e-3, rtol=0)


def test_covering_crop_keeps_the_aspect_and_the_centre() -> None:
    resizing = plan_resizing((346, 192), (96, 64), "crop")
    assert resizing.scaled == (115, 64)
    assert resizing.corner == (9, 0)
    assert resizing.frames(torch.zeros(2, 3, 192, 346, dtype=torch.uint8)).shape == (2, 3, 64, 96)


@pytest.mark.parametrize("wrong", [{"stride": 0}, {"frames": 0}, {"size": 0}, {"size": (0, 8)}])
def test_sizes_and_counts_below_one_are_refused(videos: dict[str, Path], wrong: dict) -> None:
    with pytest.raises(UserError, match="at least"):
        load_clip(videos["closed"], **wrong)


def test_scaling_bytes_agrees_with_scaling_floats() -> None:
    frames = torch.randint(0, 256, (2, 3, 90, 120), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    slow = torch.nn.functional.interpolate(frames.float() / 255, size=(30, 47), mode="bilinear", antialias=True)
    torch.testing.assert_close(plan_resizing((120, 90), (47, 30)).frames(frames), slow, atol=1 / 255, rtol=0)
