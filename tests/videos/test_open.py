"""Bad input gives one sentence."""

from pathlib import Path

import pytest
from PIL import Image
from sample_videos import encode, sound

from video_ae.errors import UserError
from video_ae.videos import open as opening
from video_ae.videos.open import open_video
from video_ae.videos.pyav_reader import PyAVReader


def _text(path: Path) -> Path:
    path.write_text("this is not a video\n" * 50)
    return path


def _headless(path: Path) -> Path:
    """An mp4 without its table of contents, as a recorder leaves it when the battery is empty."""
    content = encode(path).read_bytes()
    path.write_bytes(content[: content.index(b"moov")])
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    (path / "notes.txt").write_text("no images")
    return path


BAD = {
    "missing.mp4": (lambda path: path, "does not exist"),
    "text.mp4": (_text, "cannot be read as a video"),
    "text.txt": (_text, "not a video|cannot be read as a video"),
    "empty.mp4": (_empty, "zero bytes"),
    "headless.mp4": (_headless, "cannot be read as a video"),
    "sound.mp4": (sound, "sound but no frames"),
    "sound.wav": (sound, "sound but no frames"),
    "folder": (_folder, "holds no images"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("decoder", ["auto", "torchcodec", "pyav", "decord"])
def test_one_sentence(tmp_path: Path, name: str, decoder: str) -> None:
    make, expected = BAD[name]
    with pytest.raises(UserError, match=expected) as raised:
        open_video(make(tmp_path / name), decoder)
    message = str(raised.value)
    assert name in message
    assert "\n" not in message
    assert message.endswith(".")


def test_unknown_decoder_lists_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'opencv': choose one of auto, torchcodec, pyav, decord"):
        open_video(tmp_path, "opencv")


def test_auto_takes_pyav_where_torchcodec_does_not_import(videos: dict[str, Path], monkeypatch) -> None:
    def refuse(path, index):
        raise UserError("torchcodec does not import here")

    monkeypatch.setattr(opening, "TorchCodecReader", refuse)
    assert isinstance(open_video(videos["closed"]), PyAVReader)


def test_images_of_several_sizes(tmp_path: Path) -> None:
    for number, width in enumerate((8, 8, 10)):
        Image.new("RGB", (width, 6)).save(tmp_path / f"{number}.png")
    with pytest.raises(UserError, match=r"0\.png is 8x6, 2\.png is 10x6"):
        open_video(tmp_path)


def test_a_image_that_is_none(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "0.png")
    _text(tmp_path / "1.png")
    with pytest.raises(UserError, match=r"1\.png' cannot be read as an image"):
        open_video(tmp_path)
