"""Folders of images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from video_ae.errors import UserError
from video_ae.videos import image_folder
from video_ae.videos.open import open_video


def _grey(value: int) -> Image.Image:
    return Image.new("RGB", (8, 6), (value, value, value))


def test_natural_order_over_formats(tmp_path: Path) -> None:
    for number, suffix in ((10, "png"), (2, "JPG"), (1, "webp"), (100, "bmp")):
        _grey(number * 2).save(tmp_path / f"frame{number}.{suffix}")
    (tmp_path / "frame3.txt").write_text("not a frame")
    _grey(250).save(tmp_path / ".frame4.png")
    reader = open_video(tmp_path)
    assert [path.stem for path in reader.files] == ["frame1", "frame2", "frame10", "frame100"]
    assert reader.read([3, 0, 2]).float().mean((1, 2, 3)).round().tolist() == [200, 2, 20]
    assert reader.times.isnan().all()
    assert (reader.name, len(reader), reader.image_size) == (tmp_path.name, 4, (8, 6))


@pytest.mark.parametrize(("orientation", "corner"), [(3, (5, 7)), (6, (0, 5)), (8, (7, 0))])
def test_exif_rotation_is_honoured(tmp_path: Path, orientation: int, corner: tuple[int, int]) -> None:
    image = Image.new("RGB", (8, 6))
    image.putpixel((0, 0), (255, 255, 255))  # top left in the file; `corner` is its (row, column) upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "0.png", exif=exif)
    reader = open_video(tmp_path)
    assert reader.image_size == ((8, 6) if orientation == 3 else (6, 8))
    white = torch.nonzero(reader.read([0])[0, 0] == 255).tolist()
    assert white == [list(corner)]


def test_other_modes_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8), 200 * 256, np.uint16)).save(tmp_path / "0_16bit.png")
    Image.new("L", (8, 6), 100).save(tmp_path / "1_grey.png")
    Image.new("RGBA", (8, 6), (10, 20, 30, 0)).save(tmp_path / "2_alpha.png")
    frames = open_video(tmp_path).read([0, 1, 2])
    assert frames[:, :, 0, 0].tolist() == [[200] * 3, [100] * 3, [10, 20, 30]]


def test_photos_that_pillow_takes_for_an_attack_are_read_up_to_a_limit_of_our_own(tmp_path: Path, monkeypatch) -> None:
    _grey(77).save(tmp_path / "0.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow raises at more than twice as many; there are 48
    assert open_video(tmp_path).read([0]).float().mean() == 77
    assert Image.MAX_IMAGE_PIXELS == 20
    monkeypatch.setattr(image_folder, "MOST_PIXELS", 47)
    with pytest.raises(UserError, match=r"0\.png' has 8x6 pixels, and at most .* are read: make it smaller first\.$"):
        open_video(tmp_path)
