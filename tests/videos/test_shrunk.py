"""Frames that are scaled while they are decoded are those that are scaled afterwards, without the aliasing."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from sample_videos import number_in

from video_ae.geometry.resize import resize_images
from video_ae.videos.base import ChosenFrames
from video_ae.videos.open import open_video

KINDS = ["closed", "uneven", "hevc", "vp8", "odd", "turned90", "trimmed", "avi"]


@pytest.mark.parametrize("kind", KINDS)
def test_scaled_frames_are_those_of_the_whole_ones(videos: dict[str, Path], kind: str) -> None:
    whole = open_video(videos[kind], "pyav")
    width, height = whole.image_size
    small = whole.shrunk((width * 3 // 4, height * 3 // 4))
    assert small.image_size == (width * 3 // 4, height * 3 // 4)
    assert torch.equal(small.times, whole.times)
    for order in ([7, 30, 4], list(range(12))):
        found, expected = small.read(order), resize_images(whole.read(order), small.image_size)
        assert found.shape == expected.shape
        assert (found.float() - expected.float()).abs().mean() < 4  # colours of sharp edges; another frame: 15


def lossless(path: Path, pixels: np.ndarray) -> Path:
    """Two frames, [height, width, 3]."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "yuv420p"
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return path


def test_stripes_become_grey_and_grey_keeps_its_value(tmp_path: Path) -> None:
    pixels = np.full((96, 128, 3), 90, np.uint8)
    pixels[:, 64:] = np.arange(64)[:, None] % 2 * 200  # as narrow as pixels
    small = open_video(lossless(tmp_path / "stripes.mp4", pixels), "pyav").shrunk((16, 12)).read([1])[0]
    assert (small[:, :, :7].int() - 90).abs().max() <= 1
    assert (small[:, :, 9:15].int() - 100).abs().max() <= 2


def test_chosen_frames_are_scaled_while_they_are_decoded(videos: dict[str, Path]) -> None:
    chosen = ChosenFrames(open_video(videos["closed"], "pyav"), [9, 3, 20])
    small = chosen.shrunk((48, 36))
    assert [number_in(image) for image in small.read(range(3)).permute(0, 2, 3, 1).numpy()] == [9, 3, 20]
    assert small.image_size == (48, 36)
    assert torch.equal(small.times, chosen.times)


@pytest.mark.parametrize("decoder", ["torchcodec", "decord"])
def test_other_decoders_read_whole_frames(videos: dict[str, Path], decoder: str) -> None:
    pytest.importorskip(decoder)
    reader = open_video(videos["closed"], decoder)
    assert reader.shrunk((32, 24)) is reader
