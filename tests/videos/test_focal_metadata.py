"""Focal lengths that files say they were filmed with: EXIF of images, QuickTime's key of videos."""

import struct

import pytest
from PIL import Image

from video_ae.videos.focal_metadata import focal_in_metadata

KEY = b"com.apple.quicktime.camera.focal_length.35mm_equivalent"
WIDE = (1920, 1080)
EQUIVALENT_26 = 26 / (43.27 * 0.8)  # long sides of a 4:3 sensor, whose diagonal is five quarters of its long side


def box(kind, content=b""):
    return struct.pack(">I4s", len(content) + 8, kind) + content


def metadata(kind, value, key=KEY):
    name = box(b"mdta", key)
    keys = box(b"keys", struct.pack(">II", 0, 2) + box(b"mdta", b"com.apple.quicktime.make") + name)
    items = [(1, 1, b"Apple"), (2, kind, value)]
    data = [box(struct.pack(">I", n), box(b"data", struct.pack(">II", type_, 0) + text)) for n, type_, text in items]
    return box(b"meta", box(b"hdlr", b"\0" * 8 + b"mdta" + b"\0" * 13) + keys + box(b"ilst", b"".join(data)))


def video(folder, movie):
    path = folder / "video.mov"
    path.write_bytes(box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"mvhd", b"\0" * 20) + movie))
    return path


def image(folder, exif, size=(400, 300), orientation=1):
    folder.mkdir(exist_ok=True)
    header = Image.Exif()
    header[0x0112] = orientation
    header.get_ifd(0x8769).update(exif)
    Image.new("RGB", size).save(folder / "1.jpg", exif=header)
    return folder


VALUES = [(1, b"26"), (1, b"26.00mm"), (21, b"\x1a"), (67, struct.pack(">i", 26)), (23, struct.pack(">f", 26))]


@pytest.mark.parametrize(("kind", "value"), VALUES)
@pytest.mark.parametrize("of_track", [True, False])
def test_key_of_a_movie_or_of_its_track_is_read(tmp_path, kind, value, of_track):
    meta = metadata(kind, value)
    path = video(tmp_path, box(b"trak", box(b"tkhd", b"\0" * 9) + meta) if of_track else meta)
    assert focal_in_metadata(path, WIDE) == pytest.approx(EQUIVALENT_26)
    assert focal_in_metadata(path, WIDE[::-1]) == pytest.approx(EQUIVALENT_26 * 16 / 9)  # held upright


@pytest.mark.parametrize(
    "movie",
    [
        b"",
        metadata(1, b"26", key=b"com.apple.quicktime.camera.lens_model"),
        metadata(1, b"wide"),
        metadata(1, b"0"),
        metadata(21, b"\0\0\1"),  # whole numbers have one, two, four or eight bytes
        metadata(67, struct.pack(">i", 20_000)),  # no lens of ours
        metadata(1, b"26")[:-40],
        b"\0\0\0\x03trak",
    ],
)
def test_videos_that_say_nothing_plausible_have_no_focal_length(tmp_path, movie):
    assert focal_in_metadata(video(tmp_path, movie), WIDE) is None


def test_exif_of_photographs(tmp_path):
    # 26 mm on film of 36 x 24 has the field of view of a 4:3 image of the same diagonal.
    assert focal_in_metadata(image(tmp_path / "a", {0xA405: 26}), (400, 300)) == pytest.approx(EQUIVALENT_26)
    assert focal_in_metadata(image(tmp_path / "a", {0xA405: 36}, (600, 400)), (600, 400)) == pytest.approx(1, rel=1e-3)
    # 5.7 mm before a sensor of 7 mm, whose photograph of 4000 pixels was made smaller.
    sensor = {0x920A: 5.7, 0xA20E: 4000 / 7, 0xA210: 4, 0xA002: 4000, 0xA003: 3000}
    assert focal_in_metadata(image(tmp_path / "b", sensor), (400, 300)) == pytest.approx(5.7 / 7, rel=1e-3)
    turned = image(tmp_path / "c", {0xA405: 26}, orientation=6)  # shown upright, 300 pixels wide
    assert focal_in_metadata(turned, (300, 400)) == pytest.approx(EQUIVALENT_26 * 4 / 3)
    assert focal_in_metadata(turned / "1.jpg", (300, 400)) == pytest.approx(EQUIVALENT_26 * 4 / 3)


def test_photographs_that_pillow_takes_for_an_attack_have_one_too(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)  # Pillow 12 raises at more than twice as many, of 120,000
    assert focal_in_metadata(image(tmp_path / "a", {0xA405: 26}), (400, 300)) == pytest.approx(EQUIVALENT_26)


@pytest.mark.parametrize("exif", [{}, {0x920A: 5.7}, {0x920A: 5.7, 0xA20E: 100.0, 0xA210: 9}, {0xA405: 0}])
def test_exif_that_does_not_suffice_is_none(tmp_path, exif):
    assert focal_in_metadata(image(tmp_path / "a", exif), (400, 300)) is None
