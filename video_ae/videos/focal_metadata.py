"""The focal length that a file says it was filmed with: a prior, never the truth.

Images carry EXIF. Videos of iPhones carry a QuickTime key, of the movie or of its video track; FFmpeg reads neither the
keys of tracks nor whole numbers, so its boxes are walked here (QuickTime File Format, "Metadata"). Android writes no
focal length into videos. All of them speak of photographs: a video is cropped and stabilised, a copy may be cut.
"""

import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from video_ae.errors import UserError, unreadable_as
from video_ae.videos.image_folder import images_in, opened_image
from video_ae.videos.image_kinds import IMAGE_SUFFIXES

FILM_DIAGONAL = 43.27  # mm of a frame of 36 x 24; "equivalent" is of equal diagonal (CIPA DCG-001)
_FILM_EQUIVALENT = b"com.apple.quicktime.camera.focal_length.35mm_equivalent"
_SENSOR_LONG_SIDE = 0.8  # of the diagonal, of the 4:3 sensors of phones, whose full width a video shows
_PLAUSIBLE = (0.2, 10.0)  # focal lengths in units of the long side
_LARGEST = 2**20  # bytes of a metadata box that are read
_MOST_BOXES = 1000  # that are looked at side by side
_FLOATS, _WHOLE_NUMBERS = {4: ">f", 8: ">d"}, {1: "b", 2: ">h", 4: ">i", 8: ">q"}  # by their bytes
_TEXT, _FLOAT = 1, 23  # QuickTime's types of values; others are whole numbers
_EXIF, _FOCAL, _FOCAL_35MM = 0x8769, 0x920A, 0xA405
_WIDTH, _HEIGHT, _RESOLUTION, _UNIT = 0xA002, 0xA003, 0xA20E, 0xA210
_MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0}  # of an EXIF unit of length


def focal_in_metadata(path: Path, image_size: tuple[int, int]) -> float | None:
    """fx / width as the file says; None where it says nothing, or nothing plausible.

    Args:
        path: of a video, of an image, or of a folder of images, the first of which is asked.
        image_size: (width, height) as shown.
    """
    file = images_in(path)[0] if path.is_dir() else path
    try:
        with unreadable_as("damaged metadata are none", None, SyntaxError):
            long_sides = _of_image(file) if file.suffix.lower() in IMAGE_SUFFIXES else _of_video(file)
    except UserError:
        return None
    if long_sides is None or not (math.isfinite(long_sides) and _PLAUSIBLE[0] < long_sides < _PLAUSIBLE[1]):
        return None
    return long_sides * max(image_size) / image_size[0]


def _of_image(file: Path) -> float | None:
    """Focal length in long sides of the image, from EXIF."""
    with opened_image(file) as image:
        exif: dict[int, Any] = image.getexif().get_ifd(_EXIF)
        size = exif.get(_WIDTH) or image.size[0], exif.get(_HEIGHT) or image.size[1]  # of the photograph itself
    if film := float(exif.get(_FOCAL_35MM) or 0):
        return film / FILM_DIAGONAL * math.hypot(*size) / max(size)
    millimetres, resolution = float(exif.get(_FOCAL) or 0), float(exif.get(_RESOLUTION) or 0)
    unit = _MILLIMETRES.get(exif.get(_UNIT, 2))
    return millimetres * resolution / unit / max(size) if unit and millimetres and resolution else None


def _of_video(file: Path) -> float | None:
    """Focal length in long sides of the video, from QuickTime's key."""
    with file.open("rb") as stream:
        end = stream.seek(0, 2)
        for movie, size in _boxes(stream, 0, end, b"moov"):
            tracks = _boxes(stream, movie, movie + size, b"trak")
            for start, length in [(movie, size), *tracks]:
                for offset, bytes_ in _boxes(stream, start, start + length, b"meta"):
                    stream.seek(offset)
                    if film := _film_equivalent(stream.read(min(bytes_, _LARGEST))):
                        return film / (FILM_DIAGONAL * _SENSOR_LONG_SIDE)
    return None


def _boxes(stream: BinaryIO, start: int, end: int, wanted: bytes) -> Iterator[tuple[int, int]]:
    """Offsets and sizes of what boxes of one kind hold, among those that lie side by side."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        stream.seek(start)
        size, kind = struct.unpack(">I4s", stream.read(8))
        header = 8
        if size == 1:
            (size,), header = struct.unpack(">Q", stream.read(8)), 16
        size = end - start if size == 0 else min(size, end - start)
        if size < header:
            return
        if kind == wanted:
            yield start + header, size - header
        start += size


def _film_equivalent(meta: bytes) -> float | None:
    """The value of the key in the contents of a box `meta`, in millimetres."""
    keys, items = meta.find(b"keys"), meta.find(b"ilst")
    if min(keys, items) < 0:
        return None
    (count,), at, number = struct.unpack_from(">I", meta, keys + 8), keys + 12, 0
    for index in range(1, min(count, len(meta) // 8) + 1):
        (length,) = struct.unpack_from(">I", meta, at)
        if meta[at + 8 : at + length] == _FILM_EQUIVALENT:
            number = index
        at += max(8, length)
    at = items + 4
    while number and at + 24 <= len(meta):
        length, index, kind = struct.unpack_from(">II8xI", meta, at)
        if index == number:
            return _number(kind, meta[at + 24 : at + length])
        at += max(8, length)
    return None


def _number(kind: int, value: bytes) -> float | None:
    """A value of one of QuickTime's types; texts are such as "26" and "26.00mm"."""
    if kind == _TEXT:
        found = re.match(rb"\s*(\d+(\.\d+)?)\s*(mm)?\s*\0?$", value)
        return float(found[1]) if found else None
    layouts = _FLOATS if kind == _FLOAT else _WHOLE_NUMBERS
    return float(struct.unpack(layouts[len(value)], value)[0])
