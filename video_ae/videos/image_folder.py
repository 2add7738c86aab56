"""A folder of images, read as a video."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.videos.base import VideoReader, check_indices

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}
EXIF_ORIENTATION = 0x0112
SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height


def natural_key(path: Path | str) -> list[tuple[int, int, str]]:
    """Sorting key by which numbers in names are compared as numbers.

    Args:
        path: a file name or path.

    >>> sorted(["frame10", "frame9", "Frame2"], key=natural_key)
    ['Frame2', 'frame9', 'frame10']
    """
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part] + [(1, 0, str(path))]


def images_in(folder: Path) -> list[Path]:
    """The images that lie directly in a folder, in natural order, without hidden files.

    Args:
        folder: where to look.
    """
    return sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."),
        key=lambda path: natural_key(path.name),
    )


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

    def read(self, indices: Sequence[int]) -> UInt8[Tensor, "frame 3 height width"]:
        width, height = self.image_size
        numbers = check_indices(indices, len(self))
        frames = torch.empty(len(numbers), height, width, 3, dtype=torch.uint8)
        for row, number in enumerate(numbers):
            frames[row] = torch.from_numpy(_upright_rgb(self.files[number]))
        return frames.permute(0, 3, 1, 2)


def _not_an_image(file: Path) -> UserError:
    return UserError(f"{str(file)!r} cannot be read as an image: remove or replace it.")


def _upright_size(file: Path) -> tuple[int, int]:
    """(width, height) after the EXIF flag, from the header alone."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            sideways = image.getexif().get(EXIF_ORIENTATION) in SIDEWAYS
            return image.size[::-1] if sideways else image.size
    except (OSError, SyntaxError, ValueError) as error:
        raise _not_an_image(file) from error


def _upright_rgb(file: Path) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # `convert` would clip 16 bits at 255 instead of scaling them
                grey = (np.asarray(upright) >> 8).astype(np.uint8)
                return np.repeat(grey[..., None], 3, -1)
            return np.array(upright.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise _not_an_image(file) from error
