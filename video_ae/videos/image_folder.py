"""A folder of pictures, read as a video."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.videos.base import check_indices

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}
EXIF_ORIENTATION = 0x0112
SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height


def natural_key(path: Path | str) -> list[tuple[int, int, str]]:
    """Sorts as people count.

    >>> sorted(["frame10", "frame9", "Frame2"], key=natural_key)
    ['Frame2', 'frame9', 'frame10']
    """
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part] + [(1, 0, str(path))]


def images_in(folder: Path) -> list[Path]:
    """The pictures that lie directly in a folder, in natural order; files whose names start with a dot are left out."""
    return sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."),
        key=lambda path: natural_key(path.name),
    )


class ImageFolderReader:
    """The pictures of a folder in natural order, turned upright by their EXIF flag; they have no times (NaN).

    `files` chooses pictures and order by hand. Raises UserError for a folder without pictures, for a file that is no
    picture, and for pictures of different sizes.
    """

    def __init__(self, folder: str | Path, files: Sequence[Path] | None = None) -> None:
        self._folder = Path(folder)
        self._files = images_in(self._folder) if files is None else list(files)
        if not self._files:
            raise UserError(
                f"The folder {str(folder)!r} holds no images (jpg, png, webp, bmp, tif): "
                "give a video file or a folder of images."
            )
        self._size = _upright_size(self._files[0])
        for file in self._files[1:]:
            size = _upright_size(file)
            if size != self._size:
                raise UserError(
                    f"The images in {str(folder)!r} differ in size: {self._files[0].name} is "
                    f"{self._size[0]}x{self._size[1]}, {file.name} is {size[0]}x{size[1]}; "
                    "give a folder in which all have one size."
                )

    @property
    def name(self) -> str:
        return self._folder.resolve().name

    @property
    def files(self) -> list[Path]:
        """The picture of each frame."""
        return list(self._files)

    @property
    def image_size(self) -> tuple[int, int]:
        return self._size

    @property
    def times(self) -> Float64[Tensor, "frame"]:
        return torch.full((len(self._files),), float("nan"), dtype=torch.float64)

    def __len__(self) -> int:
        return len(self._files)

    def read(self, indices: Sequence[int]) -> UInt8[Tensor, "frame 3 height width"]:
        width, height = self._size
        numbers = check_indices(indices, len(self))
        pictures = torch.empty(len(numbers), height, width, 3, dtype=torch.uint8)
        for place, number in enumerate(numbers):
            pictures[place] = torch.from_numpy(_upright_rgb(self._files[number]))
        return pictures.permute(0, 3, 1, 2)


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
