"""A folder of images, read as a video."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from video_ae.errors import UserError, unreadable_as
from video_ae.videos.base import VideoReader

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}
EXIF_ORIENTATION = 0x0112
SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
MOST_PIXELS = 300_000_000  # of an image: phones take 200 million; Pillow itself refuses more than 179 million
_opening = Lock()  # Pillow's limit is one for all threads


def natural_key(path: Path | str) -> list[tuple[int, int, str]]:
    """Sorting key by which numbers in names are compared as numbers.

    Args:
        path: a file name or path.

    >>> sorted(["frame10", "frame9", "Frame2"], key=natural_key)
    ['Frame2', 'frame9', 'frame10']
    """
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part] + [(1, 0, str(path))]


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Paths sorted by `natural_key` of their last parts.

    Args:
        paths: files and folders.
    """
    return sorted(paths, key=lambda path: natural_key(path.name))


def images_in(folder: Path) -> list[Path]:
    """The images that lie directly in a folder, in natural order, without hidden files.

    Args:
        folder: where to look.
    """
    found = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != ".")
    return natural_order(found)


class ImageFolderReader(VideoReader):
    """The images of a folder in natural order, turned upright by their EXIF flag; they have no times (NaN).

    Args:
        folder: where they lie.
        files: the images in the wanted order; by default all that lie in the folder.

    Raises:
        UserError: there are no images, a file is no image, or sizes differ.
    """

    def __init__(self, folder: str | Path, files: Sequence[Path] | None = None) -> None:
        self.files = images_in(Path(folder)) if files is None else list(files)
        if not self.files:
            raise UserError(
                f"The folder {str(folder)!r} holds no images (jpg, png, webp, bmp, tif): "
                "give a video file or a folder of images."
            )
        first = _upright_size(self.files[0])
        for file in self.files[1:]:
            size = _upright_size(file)
            if size != first:
                raise UserError(
                    f"The images in {str(folder)!r} differ in size: {self.files[0].name} is {first[0]}x{first[1]}, "
                    f"{file.name} is {size[0]}x{size[1]}; give a folder in which all have one size."
                )
        unknown = torch.full((len(self.files),), torch.nan, dtype=torch.float64)
        super().__init__(Path(folder).resolve().name, first, unknown)

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        frames = np.stack([_upright_rgb(self.files[number]) for number in numbers])
        return torch.from_numpy(frames).permute(0, 3, 1, 2)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    message = f"{str(file)!r} cannot be read as an image: remove or replace it."
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


def _upright_size(file: Path) -> tuple[int, int]:
    """(width, height) after the EXIF flag, from the header alone."""
    with _opened(file) as image:
        return image.size[::-1] if image.getexif().get(EXIF_ORIENTATION) in SIDEWAYS else image.size


def _upright_rgb(file: Path) -> np.ndarray:
    with _opened(file) as image:
        ImageOps.exif_transpose(image, in_place=True)  # a large photo is not copied more often than needed
        if image.mode.startswith("I;16"):  # `convert` would clip 16 bits at 255 instead of scaling them
            grey = (np.asarray(image) >> 8).astype(np.uint8)
            return np.repeat(grey[..., None], 3, -1)
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
