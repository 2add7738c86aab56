"""Photos in the colours of another profile than sRGB are shown as they were seen."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from video_ae.videos.image_folder import ImageFolderReader

# XYZ of red, green and blue, adapted to D50 as profiles hold them: of Display P3 and of sRGB (IEC 61966-2-1).
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
COLORS = np.array([[200, 60, 40], [40, 180, 60], [60, 70, 190], [128, 128, 128]], np.uint8)


def profile(primaries: np.ndarray, name: str) -> bytes:
    """An ICC profile, version 2, of three primaries and a gamma of 2.2."""
    xyz = lambda values: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))  # noqa: E731
    said = name.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(said)) + said + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz((0.9642, 1, 0.8249)),
        **{color + b"XYZ": xyz(primaries[:, number]) for number, color in enumerate((b"r", b"g", b"b"))},
        **{color + b"TRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) for color in (b"r", b"g", b"b")},
    }
    table, content = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    size = 132 + 12 * len(tags) + len(content)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + content


def in_srgb(colors: np.ndarray) -> np.ndarray:
    """The colours of Display P3 by its matrix, without a library."""
    light = np.linalg.solve(SRGB, DISPLAY_P3 @ (colors.T / 255) ** 2.2).clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).T * 255


def folder(path: Path, **options: bytes) -> ImageFolderReader:
    image = Image.fromarray(COLORS[None].repeat(4, 0))
    for number in range(2):
        image.save(path / f"{number}.png", **options)
    return ImageFolderReader(path)


def test_display_p3_is_brought_to_srgb_and_said(tmp_path: Path) -> None:
    reader = folder(tmp_path, icc_profile=profile(DISPLAY_P3, "Display P3"))
    shown = reader.read([1])[0, :, 0].T.numpy()
    assert np.abs(in_srgb(COLORS) - COLORS).max() > 15, "the profile matters"
    assert np.abs(shown - in_srgb(COLORS)).max() < 4  # sRGB's curve is not quite a gamma of 2.2
    assert reader.notes == ("colours: those of the profile 'Display P3' were brought to sRGB",)


@pytest.mark.parametrize(
    "embedded",
    [b"", b"no profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()],
    ids=["none", "damaged", "sRGB"],
)
def test_other_images_are_left_as_they_are(tmp_path: Path, embedded: bytes) -> None:
    reader = folder(tmp_path, icc_profile=embedded)
    assert (reader.read([0])[0, :, 0].T.numpy() == COLORS).all()
    assert reader.notes == ()
