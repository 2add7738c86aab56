"""Folders of a user's videos."""

import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from video_ae.datasets.base import ClipSource
from video_ae.datasets.open import open_dataset
from video_ae.datasets.video_folder import VideoFolder
from video_ae.errors import UserError
from video_ae.videos.writer import write_video


def _video(path: Path, count: int = 6, value: int = 100) -> None:
    write_video(path, torch.full((count, 3, 32, 48), value, dtype=torch.uint8), fps=10)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three usable videos among things that are none."""
    _video(tmp_path / "holiday" / "clip10.mp4", value=200)
    _video(tmp_path / "holiday" / "clip9.mp4", value=50)
    (tmp_path / "stills").mkdir()
    for number in range(3):
        Image.new("RGB", (48, 32), (number * 20,) * 3).save(tmp_path / "stills" / f"{number}.png")
    _video(tmp_path / "one.mp4", count=1)
    (tmp_path / "empty.mov").touch()
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "notes.txt").write_text("ignored")
    _video(tmp_path / ".trash" / "old.mp4")
    return tmp_path


def test_what_can_be_read_and_what_not(root: Path) -> None:
    source = VideoFolder(root)
    assert isinstance(source, ClipSource)
    assert source.names == ["holiday/clip9", "holiday/clip10", "stills"]
    assert [source.frame_count(number) for number in range(len(source))] == [6, 6, 3]
    assert set(source.skipped) == {"one.mp4", "empty.mov", "text.mp4"}
    assert "one frame" in source.skipped["one.mp4"]
    assert "zero bytes" in source.skipped["empty.mov"]


def test_frames_by_number_and_size(root: Path) -> None:
    clip = VideoFolder(root).load(2, [2, 0], size=(24, 16))
    assert clip.indices.tolist() == [2, 0]
    assert clip.image_size == (24, 16)
    assert (clip.frames.mean((1, 2, 3)) * 255).round().tolist() == [40, 0]
    assert len(VideoFolder(root).load(0)) == 6


def test_a_single_file_and_a_folder_of_frames_are_data_sets_too(root: Path) -> None:
    assert VideoFolder(root / "holiday" / "clip9.mp4").names == ["clip9"]
    assert VideoFolder(root / "stills").names == ["stills"]


def test_two_files_of_one_name_keep_their_suffix(tmp_path: Path) -> None:
    _video(tmp_path / "a.mp4")
    _video(tmp_path / "a.mkv")
    assert VideoFolder(tmp_path).names == ["a.mkv", "a.mp4"]


def test_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(UserError, match=r"no usable video \(1 were found and left out\).*empty.mp4.*zero bytes"):
        open_dataset(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        open_dataset(tmp_path / "missing")


def test_transport_streams_are_not_left_out(tmp_path: Path) -> None:
    """They have no index of keyframes: torchcodec opens them and fails at reading, where PyAV goes on."""
    with av.open(str(tmp_path / "camcorder.ts"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "bframes=2:keyint=8:b-adapt=0"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 20 + 10 * number, np.uint8), "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    source = VideoFolder(tmp_path)
    assert source.names == ["camcorder"]
    clip = source.load(0, [13, 2, 19])
    assert ((255 * clip.frames.mean((1, 2, 3)) - 20) / 10).round().tolist() == [13, 2, 19]


def test_links_in_a_circle_end(root: Path) -> None:
    names = VideoFolder(root).names
    (root / "holiday" / "up").symlink_to("..", target_is_directory=True)
    (root / "twice").symlink_to("stills", target_is_directory=True)
    (root / "gone.mp4").symlink_to("nowhere.mp4")
    linked = VideoFolder(root)
    assert linked.names == names
    assert "does not exist" in linked.skipped["gone.mp4"]


def test_folders_that_may_not_be_read_are_passed_over_and_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the system's answer is given here."""
    names, listed, access = VideoFolder(root).names, Path.iterdir, os.access
    (root / "lost+found").mkdir()

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "lost+found" and access(path, mode))
    source = open_dataset(root)
    assert source.names == names
    assert source.skipped[f"{root.name}/lost+found"] == "This folder cannot be read (Permission denied)."
