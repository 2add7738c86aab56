"""Writing videos."""

import os
from pathlib import Path

import av
import pytest
import torch
from sample_videos import image

from video_ae.errors import UserError
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video


def _frames(count: int = 6, width: int = 64, height: int = 48) -> torch.Tensor:
    return torch.stack([torch.from_numpy(image(number, width, height)) for number in range(count)]).permute(0, 3, 1, 2)


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    frames = _frames()
    write_video(tmp_path / "a.mp4", frames, fps=12.5)
    reader = open_video(tmp_path / "a.mp4")
    assert reader.times.tolist() == pytest.approx([i / 12.5 for i in range(6)])
    assert (reader.read(range(6)).float() - frames.float()).abs().mean() < 6  # colour has half the resolution
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


def test_floats_are_clamped_and_mean_the_same(tmp_path: Path) -> None:
    frames = _frames()
    write_video(tmp_path / "bytes.mp4", frames)
    write_video(tmp_path / "floats.mp4", frames.float() / 255)
    assert (tmp_path / "bytes.mp4").read_bytes() == (tmp_path / "floats.mp4").read_bytes()
    write_video(tmp_path / "loud.mp4", torch.full((2, 3, 16, 16), 7.0))
    assert open_video(tmp_path / "loud.mp4").read([1]).float().mean() > 250


def test_frames_may_come_one_after_another(tmp_path: Path) -> None:
    frames = torch.randint(0, 256, (5, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    write_video(tmp_path / "whole.mp4", frames, 10)
    write_video(tmp_path / "streamed.mp4", (frame for frame in frames), 10)
    assert (tmp_path / "whole.mp4").read_bytes() == (tmp_path / "streamed.mp4").read_bytes()


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    write_video(tmp_path / "odd.mp4", _frames(width=63, height=47))
    reader = open_video(tmp_path / "odd.mp4")
    assert reader.image_size == (64, 48)
    last = reader.read([2])[0].float()
    assert (last[:, :47, 63] - last[:, :47, 62]).abs().mean() < 12


@pytest.mark.parametrize(("count", "fps", "message"), [(0, 30.0, "no frames"), (2, 0.0, "frame rate above zero")])
def test_what_cannot_be_written(tmp_path: Path, count: int, fps: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        write_video(tmp_path / "a.mp4", torch.zeros(count, 3, 16, 16), fps)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write_video(tmp_path / "file" / "a.mp4", _frames())


def test_nothing_half_written(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"older result")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", _frames())
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.mp4", b"older result")]
