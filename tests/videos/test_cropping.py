"""What a container cuts off the frames is not seen, and this is said."""

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from PIL import Image, features
from sample_videos import HEIGHT, WIDTH, encode, turn

from video_ae.errors import UserError
from video_ae.videos.cropping import Crop
from video_ae.videos.open import open_video

CROP, NO_CROP = Crop(left=16, right=8, top=4, bottom=10), Crop(0, 0, 0, 0)
CLAP_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


@cache
def encoded(suffix: str) -> bytes:
    """One file for all crops: encoded twice, some pixels may differ."""
    with TemporaryDirectory() as folder:
        return encode((Path(folder) / "a").with_suffix(suffix), count=8).read_bytes()


def matroska(path: Path, crop: Crop) -> Path:
    """An mkv with PixelCrop elements, in the place of others that can go."""
    path = path.with_suffix(".mkv")
    data = bytearray(encoded(path.suffix))
    size = bytes([0xB0, 0x81, WIDTH, 0xBA, 0x81, HEIGHT])
    video = data.index(bytes([0xE0, 0x8A]) + size)
    assert data[video + 16 : video + 27] == bytes.fromhex("ec01") + bytes(6) + bytes([2, 0, 0])  # empty space
    names = {"54cc": crop.left, "54dd": crop.right, "54bb": crop.top, "54aa": crop.bottom}
    cuts = b"".join(bytes.fromhex(name) + bytes([0x81, value]) for name, value in names.items())
    data[video : video + 27] = bytes([0xE0, 0x80 + 6 + len(cuts)]) + size + cuts + bytes([0xEC, 0x81, 0])
    path.write_bytes(data)
    return path


def mp4(path: Path, crop: Crop) -> Path:
    """An mp4 with a clean aperture (ISO 14496-12, 12.1.4): sizes and the offset of the centre, as fractions."""
    path = path.with_suffix(".mp4")
    data = bytearray(encoded(path.suffix))
    width, height = crop.of((WIDTH, HEIGHT))
    fractions = width, 1, height, 1, crop.left - crop.right, 2, crop.top - crop.bottom, 2
    clap = struct.pack(">I4sIIIIiIiI", 40, b"clap", *fractions)
    at = data.index(b"moov")
    for name in (*CLAP_PATH, b"avc1"):
        at = data.index(name, at)
        (size,) = struct.unpack_from(">I", data, at - 4)
        struct.pack_into(">I", data, at - 4, size + len(clap))
    data[at - 4 + size : at - 4 + size] = clap  # the frames stand before `moov`: their places do not change
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("make", [matroska, mp4])
def test_what_a_container_cuts_off_is_not_seen(tmp_path: Path, make: Callable[[Path, Crop], Path]) -> None:
    whole = open_video(make(tmp_path / "whole", NO_CROP)).read(range(8))
    path = make(tmp_path / "cropped", CROP)
    reader = open_video(path)
    assert reader.image_size == (40, 34)
    assert torch.equal(reader.read([5, 2]), whole[[5, 2], :, 4:38, 16:56])
    assert reader.notes == ("cropping: 40x34 pixels of each frame of 64x48 are shown, as the file asks",)
    small = reader.shrunk((20, 17)).read([3])
    expected = torch.nn.functional.interpolate(whole[[3], :, 4:38, 16:56].float(), (17, 20), mode="area")
    assert (small.float() - expected).abs().mean() < 4  # 40 without the cut
    for decoder in ("torchcodec", "decord"):
        with pytest.raises(UserError, match=r"frames that are to be cropped|does not import|not installed"):
            open_video(path, decoder)


def test_frames_are_cut_before_they_are_turned(tmp_path: Path) -> None:
    whole = open_video(mp4(tmp_path / "whole", NO_CROP)).read([1])
    reader = open_video(turn(mp4(tmp_path / "cropped", CROP), 90))
    assert reader.image_size == (34, 40)
    assert torch.equal(reader.read([1]), whole[..., 4:38, 16:56].rot90(-1, (2, 3)))


def test_odd_cuts_keep_their_place(tmp_path: Path) -> None:
    """Colours of such frames lie on every other pixel."""
    reader = open_video(matroska(tmp_path / "odd", Crop(3, 2, 1, 4)))
    whole = open_video(matroska(tmp_path / "whole", NO_CROP)).read([4])
    assert reader.image_size == (59, 43)
    luma = torch.tensor([0.3, 0.59, 0.11])[:, None, None]
    assert ((reader.read([4]) - 1.0 * whole[..., 1:44, 3:62]) * luma).sum(1).abs().mean() < 3


def test_a_crop_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    path = matroska(tmp_path / "nothing", Crop(100, 0, 0, 0))
    wider = path.read_bytes().replace(bytes([0xB0, 0x81, WIDTH]), bytes([0xB0, 0x81, 120]), 1)
    path.write_bytes(wider)  # the container says 120 columns, the frames have 64
    with pytest.raises(UserError, match="cuts all pixels off"):
        open_video(path)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_an_image_that_is_to_be_cropped_is_shown_whole_and_this_is_said(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (200, 80, 10)).save(tmp_path / "0.avif")
    assert open_video(tmp_path).notes == ()
    data = bytearray((tmp_path / "0.avif").read_bytes())
    clap = struct.pack(">I4sIIIIiIiI", 40, b"clap", 40, 1, 34, 1, 4, 1, -3, 1)
    for name, added in ((b"meta", 41), (b"iprp", 41), (b"ipco", 40), (b"ipma", 1)):
        at = data.index(name) - 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + added)
    at = data.index(b"iloc") + 18  # where the pixels begin
    struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + 41)
    at = data.index(b"ipma")
    count = data[at + 14]
    data[at + 14] = count + 1
    data.insert(at + 15 + count, 0x80 + count + 1)  # of all properties, this is the last; readers must know it
    data[at - 4 : at - 4] = clap
    (tmp_path / "0.avif").write_bytes(data)
    reader = open_video(tmp_path)
    assert reader.read([0]).shape == (1, 3, 48, 64)
    assert reader.notes == ("cropping: 0.avif asks for a part of its pixels (clap); all of them are shown",)
