"""Writing videos."""

import os
from pathlib import Path

import av
import pytest
import torch
from sample_videos import image, number_in

from video_ae.errors import UserError
from video_ae.videos.open import open_video
from video_ae.videos.writer import last_duration, write_video


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


def test_colours_are_those_of_the_tags_and_of_players_that_ignore_them(tmp_path: Path) -> None:
    colors = torch.tensor([[0, 255, 0], [255, 0, 255], [200, 120, 40], [0, 0, 255]], dtype=torch.uint8)
    frame = colors.T.repeat_interleave(32, 1)[:, None].expand(3, 48, 128)
    write_video(tmp_path / "a.mp4", frame.expand(3, 3, 48, 128))
    for decoder in ("auto", "pyav"):
        read = open_video(tmp_path / "a.mp4", decoder).read([1])[0, :, 24, 16::32].T
        assert (read.int() - colors.int()).abs().max() <= 3
    with av.open(str(tmp_path / "a.mp4")) as container:
        decoded = next(container.decode(video=0))
    tags = decoded.colorspace, decoded.color_primaries, decoded.color_trc, decoded.color_range
    assert [int(tag) for tag in tags] == [1, 1, 1, 1]
    luma = decoded.to_ndarray()[24, 16:128:32]
    weights = torch.tensor([0.2126, 0.7152, 0.0722]).double()  # of BT.709; by BT.601 green would have 145 for 173
    assert luma.tolist() == pytest.approx((16 + 219 / 255 * colors.double() @ weights).tolist(), abs=2)


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = torch.tensor([0.0, 0.033, 0.1, 0.5, 0.6, 1.0], dtype=torch.float64)
    assert write_video(tmp_path / "a.mp4", _frames(), times=times + 7) == 6
    reader = open_video(tmp_path / "a.mp4")
    torch.testing.assert_close(reader.times, times, atol=1e-4, rtol=0)
    assert [number_in(frame) for frame in reader.read(range(6)).permute(0, 2, 3, 1).numpy()] == list(range(6))
    assert last_duration(times) == pytest.approx(0.1)


@pytest.mark.parametrize("step", [3600.0, 86400.0])
@pytest.mark.parametrize("late", [0.0, 0.1])
def test_frames_may_be_hours_and_days_apart(tmp_path: Path, step: float, late: float) -> None:
    times = step * torch.tensor([0.0, 1.0, 2.0, 3.0 + late, 4.0, 5.0], dtype=torch.float64)
    assert write_video(tmp_path / "a.mp4", _frames(), times=times) == 6
    assert open_video(tmp_path / "a.mp4").times.tolist() == pytest.approx(times.tolist(), abs=1)


@pytest.mark.parametrize("times", [(0.0, 0.3, 0.6, 200_000.0), (0.0, 1e-6, 2e-6, 1.0)])
def test_frames_closer_than_the_clock_of_the_file_are_all_there(tmp_path: Path, times: tuple[float, ...]) -> None:
    """Three photos of one second and one of two days later: mp4 can only count whole seconds so far."""
    path = tmp_path / "a.mp4"
    assert write_video(path, _frames()[:4], times=torch.tensor(times, dtype=torch.float64)) == 4
    assert open_video(path).times[-1].item() == pytest.approx(times[-1], abs=3)


def test_even_times_are_a_rate(tmp_path: Path) -> None:
    write_video(tmp_path / "rate.mp4", _frames(), fps=12.5)
    write_video(tmp_path / "times.mp4", _frames(), times=torch.arange(6).double() / 12.5)
    assert (tmp_path / "rate.mp4").read_bytes() == (tmp_path / "times.mp4").read_bytes()


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
