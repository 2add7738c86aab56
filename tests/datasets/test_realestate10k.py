"""RealEstate10K's layout, in our convention."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from video_ae.datasets.base import ClipSource
from video_ae.datasets.open import open_dataset
from video_ae.datasets.realestate10k_clips import RealEstate10K
from video_ae.errors import UserError
from video_ae.geometry.pinhole import project, transform
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.videos.writer import write_video

WIDTH, HEIGHT, COUNT = 64, 48, 5
POINT = torch.tensor([0.2, -0.1, 3.0])
INTRINSICS = torch.tensor([0.9, 1.2, 0.5, 0.5])


def _poses() -> torch.Tensor:
    """Cameras that walk right and turn."""
    return se3_exp(torch.stack([torch.tensor([0.01 * i, 0.05 * i, 0, 0.1 * i, 0, 0.05 * i]) for i in range(COUNT)]))


def _frames() -> torch.Tensor:
    """Each frame shows POINT as a bright dot of 4x4 pixels, drawn by hand from the poses."""
    frames = torch.zeros(COUNT, 3, HEIGHT, WIDTH, dtype=torch.uint8)
    for frame, pose in zip(frames, _poses(), strict=True):
        x, y = (project(transform(invert(pose), POINT), INTRINSICS) * torch.tensor([WIDTH, HEIGHT])).round().int()
        frame[:, y - 2 : y + 2, x - 2 : x + 2] = 255
    return frames


def _write_cameras(root: Path, name: str, count: int = COUNT) -> None:
    lines = ["https://example.org/video"]
    for number, pose in enumerate(_poses()[:count]):
        matrix = " ".join(f"{value:.9f}" for value in invert(pose)[:3].flatten().tolist())
        lines.append(f"{(number + 3) * 50000} {' '.join(map(str, INTRINSICS.tolist()))} 0 0 {matrix}")
    (root / "cameras").mkdir(exist_ok=True)
    (root / "cameras" / f"{name}.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The same clip as pictures and as a video, and three clips that cannot be used."""
    for name in ("pictures", "video", "nothing"):
        _write_cameras(tmp_path, name)
    (tmp_path / "frames" / "pictures").mkdir(parents=True)
    for number, frame in enumerate(_frames()):
        picture = Image.fromarray(frame.permute(1, 2, 0).numpy())
        picture.save(tmp_path / "frames" / "pictures" / f"{(number + 3) * 50000}.png")
    write_video(tmp_path / "videos" / "video.mp4", _frames(), fps=20)
    (tmp_path / "cameras" / "short.txt").write_text("source\n1 2 3\n")
    (tmp_path / "cameras" / "words.txt").write_text("source\nno numbers here\n")
    return tmp_path


def test_layout_is_recognised(root: Path) -> None:
    source = open_dataset(root)
    assert isinstance(source, RealEstate10K)
    assert isinstance(source, ClipSource)
    assert source.names == ["pictures", "video"]
    assert set(source.skipped) == {"nothing", "short", "words"}
    assert "3 values, but 19" in source.skipped["short"]
    assert "line 2" in source.skipped["words"]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("size", "fit"), [(None, "stretch"), ((48, 48), "stretch"), ((48, 48), "crop"), (40, "stretch")]
)
def test_the_cameras_project_the_point_onto_the_dot(root: Path, number: int, size, fit) -> None:
    clip = RealEstate10K(root).load(number, size=size, fit=fit)
    assert clip.cameras is not None
    width, height = clip.image_size
    bright = (clip.frames.mean(1) - 0.2).clamp_min(0)
    x, y = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / height
    total = bright.sum((1, 2))
    seen = torch.stack([(bright.sum(1) * x).sum(1) / total, (bright.sum(2) * y).sum(1) / total], -1)
    expected = project(transform(invert(clip.cameras.world_from_camera), POINT), clip.cameras.intrinsics)
    pixels = (seen - expected) * torch.tensor([width, height])
    assert pixels.abs().max() < 1, "a dot is drawn at whole pixels"


def test_some_frames_in_another_order(root: Path) -> None:
    source = RealEstate10K(root)
    clip = source.load(0, [3, 1])
    assert clip.indices.tolist() == [3, 1]
    assert clip.times.tolist() == pytest.approx([0.15, 0.05])
    torch.testing.assert_close(clip.cameras.world_from_camera, _poses()[[3, 1]], atol=1e-5, rtol=0)
    assert source.timestamps(1) == ["150000", "200000", "250000", "300000", "350000"]
    assert source.open(0).image_size == (WIDTH, HEIGHT)


def test_pictures_belong_to_their_timestamp(root: Path) -> None:
    (root / "frames" / "pictures" / "200000.png").unlink()
    source = RealEstate10K(root)
    assert source.frame_count(0) == 4
    clip = source.load(0, [1])
    torch.testing.assert_close(clip.cameras.world_from_camera, _poses()[[2]], atol=1e-5, rtol=0)


def test_a_video_must_have_as_many_frames_as_cameras(root: Path) -> None:
    _write_cameras(root, "video", count=4)
    with pytest.raises(UserError, match="has 5 frames, but its camera file has 4 lines"):
        RealEstate10K(root).load(1)


def test_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "cameras").mkdir()
    with pytest.raises(UserError, match="no usable clip"):
        open_dataset(tmp_path)


def test_brackets_in_a_name_are_no_pattern(tmp_path: Path) -> None:
    _write_cameras(tmp_path, "walk [1]")
    write_video(tmp_path / "videos" / "walk [1].mp4", _frames(), fps=20)
    assert RealEstate10K(tmp_path).load(0).frames.shape[0] == COUNT
