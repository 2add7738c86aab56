"""Files of rarer kinds in a folder: read where a library can, else named with the reason."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, features

from video_ae.datasets.video_folder import VideoFolder
from video_ae.errors import UserError
from video_ae.scene.source import open_source
from video_ae.videos import image_kinds
from video_ae.videos.image_folder import ImageFolderReader, images_in

COUNT = 4
KINDS = {
    "a.m2ts": ("mpegts", "mpeg2video"), "b.vob": ("vob", "mpeg2video"), "c.mxf": ("mxf", "mpeg2video"),
    "d.3g2": ("3g2", "mpeg4"), "e.m2v": ("mpeg2video", "mpeg2video"), "f.y4m": ("yuv4mpegpipe", "wrapped_avframe"),
}  # fmt: skip


def picture(number: int) -> Image.Image:
    return Image.new("RGB", (64, 48), (60 * number, 90, 120))


def write(path: Path, container: str, codec: str) -> None:
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            frame = av.VideoFrame.from_image(picture(number % 4)).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def test_rarer_videos_are_used_or_named(tmp_path: Path) -> None:
    for name, kind in KINDS.items():
        write(tmp_path / name, *kind)
    (tmp_path / "g.vob").write_bytes(b"no video")
    source = VideoFolder(tmp_path)
    assert source.names == list("abcdef")
    assert [source.frame_count(number) for number in range(len(source))] == [12] * len(KINDS)
    assert list(source.skipped) == ["g.vob"]


@pytest.fixture
def without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_kinds, "IMAGE_SUFFIXES", image_kinds.COMMON)


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """An iPhone's folder: what was edited is JPEG, the rest HEIC; one has both."""
    (tmp_path / "phone").mkdir()
    for number in range(COUNT):
        picture(number).save(tmp_path / "phone" / f"IMG_{2 * number}.jpg")
        (tmp_path / "phone" / f"IMG_{2 * number + 1}.HEIC").write_bytes(b"ftypheic")
    (tmp_path / "phone" / "IMG_2.HEIC").write_bytes(b"ftypheic")
    (tmp_path / "phone" / "IMG_4.DNG").write_bytes(b"II*")
    return tmp_path / "phone"


@pytest.mark.usefixtures("without_libraries")
def test_without_a_library_they_are_counted_and_the_library_is_named(phone: Path, caplog) -> None:
    source = VideoFolder(phone.parent)
    sentence = "4 .heic images are not read: pip install pillow-heif"
    assert source.skipped == {f"images in {phone.parent.name}/phone": sentence}
    assert source.frame_count(0) == COUNT
    open_source(phone)
    assert [sentence in record.getMessage() for record in caplog.records] == [True, True]
    for file in phone.glob("*.jpg"):
        file.unlink()
    with pytest.raises(UserError, match=r"holds no images.*5 \.heic images are not read: pip install pillow-heif"):
        ImageFolderReader(phone)


def test_heic_is_read_in_its_place_and_not_twice(phone: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    pillow_heif.register_heif_opener()
    for file in phone.glob("*.HEIC"):
        picture(int(file.stem[4:]) % 4).save(file, format="HEIF", quality=95)
    reader = ImageFolderReader(phone)
    assert [file.stem for file in reader.files] == [f"IMG_{number}" for number in range(2 * COUNT)]
    assert reader.files[2].suffix == ".jpg"
    np.testing.assert_allclose(reader.read([3])[0, :, 0, 0], [180, 90, 120], atol=4)
    assert VideoFolder(phone.parent).skipped == {}


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read(tmp_path: Path) -> None:
    for number in range(COUNT):
        picture(number).save(tmp_path / f"{number}.{'avif' if number % 2 else 'png'}", quality=95)
    assert len(images_in(tmp_path)) == COUNT
    np.testing.assert_allclose(ImageFolderReader(tmp_path).read([1])[0, :, 0, 0], [60, 90, 120], atol=4)


def test_raw_beside_jpeg_is_the_same_image_and_alone_it_is_named(tmp_path: Path) -> None:
    for number in range(COUNT):
        picture(number).save(tmp_path / f"{number}.jpg")
        (tmp_path / f"{number}.ARW").write_bytes(b"II*")
    assert VideoFolder(tmp_path).skipped == {}
    (tmp_path / "9.ARW").write_bytes(b"II*")
    assert list(VideoFolder(tmp_path).skipped.values()) == ["1 .arw images are not read: convert them to jpg or png"]
