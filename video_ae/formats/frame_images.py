"""Frames as picture files, at the source's own size, for tools that want pictures beside the cameras."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from video_ae.formats.atomic import write_atomically
from video_ae.videos.base import VideoReader

_QUALITY = 95  # of JPEG, without subsampling of colour: within a few grey levels of the decoded video


def picture_names(indices: Sequence[int]) -> list[str]:
    """File names of frames from their numbers in the source.

    >>> picture_names([0, 12])
    ['000000.jpg', '000012.jpg']
    """
    return [f"{index:06d}.jpg" for index in indices]


def write_pictures(folder: Path, reader: VideoReader, indices: Sequence[int]) -> list[str]:
    """Writes the frames `indices` of a video, one at a time, and returns their file names."""
    names = picture_names(indices)
    for index, name in zip(indices, names, strict=True):
        picture = Image.fromarray(reader.read([index])[0].permute(1, 2, 0).contiguous().numpy())
        write_atomically(folder / name, partial(_save, picture))
    return names


def _save(picture: Image.Image, path: Path) -> None:
    picture.save(path, "JPEG", quality=_QUALITY, subsampling=0)
