"""A folder of images, read as a video."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from video_ae.errors import UserError, unreadable_as
from video_ae.videos.base import VideoReader
from video_ae.videos.color_profile import as_srgb, profile_name
from video_ae.videos.image_kinds import choose_images, register_heif
from video_ae.videos.natural_order import natural_order
from video_ae.videos.time_stamps import time_stamps

EXIF_ORIENTATION = 0x0112
SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
MOST_PIXELS = 300_000_000  # of an image: phones take 200 million; Pillow itself refuses more than 179 million
_AVIF_HEADER = 2**16  # bytes, in which the properties of an image stand; Pillow 13 does not tell of `clap`
_opening = Lock()  # Pillow's limit is one for all threads


def images_in(folder: Path) -> list[Path]:
    """The images that lie directly in a folder, in natural order, without hidden files.

    Args:
        folder: where to look.
    """
    return natural_order(choose_images(folder.iterdir())[0])


class ImageFolderReader(VideoReader):
    """The images of a folder, by the time at which they were taken where that is known (`time_stamps`), else in natural
    order and without times (NaN).

    Args:
        folder: where they lie.
        files: the images in the wanted order, which have no times; by default all that lie in the folder.
        upright: whether they are turned as their EXIF flag says; else the pixels are as they are stored, to which the
            cameras of COLMAP, instant-ngp and the research data sets belong.

    Raises:
        UserError: there are no images, a file is no image, or sizes differ.
    """

    def __init__(self, folder: str | Path, files: Sequence[Path] | None = None, upright: bool = True) -> None:
        self._upright = upright
        self.files = images_in(Path(folder)) if files is None else list(files)
        if not self.files:
            passed = "; ".join(choose_images(Path(folder).iterdir())[1])
            raise UserError(
                f"The folder {str(folder)!r} holds no images (jpg, png, webp, bmp, tif, heic): "
                f"{passed or 'give a video file or a folder of images'}."
            )
        first = _size(self.files[0], upright)
        for file in self.files[1:]:
            size = _size(file, upright)
            if size != first:
                raise UserError(
                    f"The images in {str(folder)!r} differ in size: {self.files[0].name} is {first[0]}x{first[1]}, "
                    f"{file.name} is {size[0]}x{size[1]}; give a folder in which all have one size."
                )
        times = self._sort_by_time(Path(folder)) if files is None else None
        if times is None:
            times = torch.full((len(self.files),), torch.nan, dtype=torch.float64)
        start = 0.0 if times[0].isnan() else times[0].item()
        super().__init__(Path(folder).resolve().name, first, times - start, start)
        self.notes = tuple(_notes(self.files[0]))

    def _sort_by_time(self, folder: Path) -> Float64[Tensor, "frame"] | None:
        stamps = time_stamps(folder, self.files)
        if stamps is None:
            return None
        pairs = sorted(zip(stamps, self.files, strict=True))
        self.files = [file for _, file in pairs]
        return torch.tensor([stamp for stamp, _ in pairs], dtype=torch.float64)

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        frames = np.stack([_rgb(self.files[number], self._upright) for number in numbers])
        return torch.from_numpy(frames).permute(0, 3, 1, 2)


@contextmanager
def opened_image(file: Path) -> Iterator[Image.Image]:
    """An image whose header has been read, of any kind and up to 300 million pixels.

    Args:
        file: of a kind in `IMAGE_SUFFIXES`.

    Raises:
        UserError: it cannot be read, there or in the block that reads on, or is larger.
    """
    message = f"{str(file)!r} cannot be read as an image: remove or replace it."
    register_heif()
    with unreadable_as(message, None, SyntaxError):
        with _opening, _no_limit_of_pillow():
            image = Image.open(file)  # reads the header only
        with image:
            if image.width * image.height > MOST_PIXELS:
                most = f"{MOST_PIXELS // 10**6} million"
                raise UserError(
                    f"{str(file)!r} has {image.width}x{image.height} pixels, and at most {most} are read: make it "
                    "smaller first."
                )
            yield image


@contextmanager
def _no_limit_of_pillow() -> Iterator[None]:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _notes(file: Path) -> Iterator[str]:
    with opened_image(file) as image:
        if name := profile_name(image):
            yield f"colours: those of the profile {name!r} were brought to sRGB"
        kind = image.format
    if kind == "AVIF":
        with open(file, "rb") as opened:
            if b"clap" in opened.read(_AVIF_HEADER):
                yield f"cropping: {file.name} asks for a part of its pixels (clap); all of them are shown"


def _size(file: Path, upright: bool) -> tuple[int, int]:
    """(width, height), from the header alone."""
    with opened_image(file) as image:
        turned = upright and image.getexif().get(EXIF_ORIENTATION) in SIDEWAYS
        return image.size[::-1] if turned else image.size


def _rgb(file: Path, upright: bool) -> np.ndarray:
    with opened_image(file) as image:
        if upright:
            ImageOps.exif_transpose(image, in_place=True)  # a large photo is not copied more often than needed
        if image.mode.startswith("I;16"):  # `convert` would clip 16 bits at 255 instead of scaling them
            grey = (np.asarray(image) >> 8).astype(np.uint8)
            return np.repeat(grey[..., None], 3, -1)
        return np.array(as_srgb(image if image.mode == "RGB" else image.convert("RGB")))
