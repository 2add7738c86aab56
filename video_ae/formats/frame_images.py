"""Frames as image files, at the source's own size, for tools that want images beside the cameras."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from video_ae.formats.atomic import write_atomically
from video_ae.videos.base import VideoReader

_QUALITY = 95  # of JPEG, without subsampling of colour: within a few grey levels of the decoded video


def frame_image_names(indices: Sequence[int]) -> list[str]:
    """File names of frames.

    Args:
        indices: the frames' numbers in the source.

    >>> frame_image_names([0, 12])
    ['000000.jpg', '000012.jpg']
    """
    return [f"{index:06d}.jpg" for index in indices]


def write_frame_images(folder: Path, reader: VideoReader, indices: Sequence[int]) -> list[str]:
    """Writes frames of a video, one at a time, and returns their file names.

    Args:
        folder: is made where it is missing.
        reader: the video.
        indices: the frames' numbers in it.

    Raises:
        UserError: when the folder cannot be written or a frame cannot be read.
    """
    names = frame_image_names(indices)
    for index, name in zip(indices, names, strict=True):
        image = Image.fromarray(reader.read([index])[0].permute(1, 2, 0).contiguous().numpy())
        write_atomically(folder / name, partial(_save, image))
    return names


def _save(image: Image.Image, path: Path) -> None:
    image.save(path, "JPEG", quality=_QUALITY, subsampling=0)
