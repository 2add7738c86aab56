"""The cameras and images of a COLMAP model, as text and as bytes; what is written and what is read.

Layout: https://colmap.github.io/format.html and, for the bytes, `src/colmap/scene/reconstruction_io_binary.cc`; camera
models and the pixel convention, (0.5, 0.5) at the centre of the top-left pixel as ours: `src/colmap/sensor/models.h`.
Newer models have rigs and frames as well; `images` still holds each image's own camera_from_world, so that they need
not be read.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from video_ae.errors import UserError

# COLMAP's camera models in the order of their numbers, each with the number of its parameters.
MODELS = (
    ("SIMPLE_PINHOLE", 3), ("PINHOLE", 4), ("SIMPLE_RADIAL", 4), ("RADIAL", 5), ("OPENCV", 8), ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12), ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4), ("RADIAL_FISHEYE", 5), ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16), ("SIMPLE_DIVISION", 4), ("DIVISION", 5), ("SIMPLE_FISHEYE", 3),
    ("FISHEYE", 4), ("EUCM", 6), ("EQUIRECTANGULAR", 2),
)  # fmt: skip
_NUMBERS = {name: number for number, (name, _) in enumerate(MODELS)}
_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<iiQQ")
_IMAGE = struct.Struct("<i7di")
_SEEN = struct.Struct("<ddq")
SUFFIXES = (".bin", ".txt")  # COLMAP prefers the first
_Read = TypeVar("_Read")

Seen = Sequence[tuple[float, float, int]]  # an image's 2D points: x, y in pixels, number of the 3D point or -1


@dataclass(frozen=True)
class ColmapCamera:
    """number: how images name it. size: (width, height) in pixels. parameters: in pixels, in the model's order."""

    number: int
    model: str
    size: tuple[int, int]
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ColmapImage:
    """pose: camera_from_world as (qw, qx, qy, qz, tx, ty, tz). name: relative to the folder of the images."""

    number: int
    pose: tuple[float, ...]
    camera: int
    name: str


def cameras_as_text(cameras: Sequence[ColmapCamera]) -> bytes:
    lines = ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]"]
    for camera in cameras:
        width, height = camera.size
        lines.append(f"{camera.number} {camera.model} {width} {height} {as_words(camera.parameters)}")
    return as_lines(lines)


def cameras_as_bytes(cameras: Sequence[ColmapCamera]) -> bytes:
    parts = [_COUNT.pack(len(cameras))]
    for camera in cameras:
        parts.append(_CAMERA.pack(camera.number, _NUMBERS[camera.model], *camera.size))
        parts.append(struct.pack(f"<{len(camera.parameters)}d", *camera.parameters))
    return b"".join(parts)


def images_as_text(images: Sequence[ColmapImage], seen: Sequence[Seen]) -> bytes:
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", "# POINTS2D[] as (X, Y, POINT3D_ID)"]
    for image, points in zip(images, seen, strict=True):
        lines.append(f"{image.number} {as_words(image.pose)} {image.camera} {image.name}")
        lines.append(" ".join(f"{x:.6f} {y:.6f} {point}" for x, y, point in points))
    return as_lines(lines)


def images_as_bytes(images: Sequence[ColmapImage], seen: Sequence[Seen]) -> bytes:
    parts = [_COUNT.pack(len(images))]
    for image, points in zip(images, seen, strict=True):
        parts.append(_IMAGE.pack(image.number, *image.pose, image.camera) + image.name.encode() + b"\0")
        parts.append(_COUNT.pack(len(points)))
        parts += [_SEEN.pack(x, y, point) for x, y, point in points]
    return b"".join(parts)


def as_lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def as_words(values: Sequence[float]) -> str:
    return " ".join(f"{value:.12g}" for value in values)


def read_cameras(folder: Path) -> dict[int, ColmapCamera]:
    """The cameras of a model by their number. Raises UserError where they are missing, cut off or damaged."""
    cameras = _read(folder, "cameras", _cameras_from_bytes, _cameras_from_text)
    return {camera.number: camera for camera in cameras}


def read_images(folder: Path) -> list[ColmapImage]:
    """The images of a model in the order of the file. Raises UserError where they are missing, cut off or damaged."""
    return _read(folder, "images", _images_from_bytes, _images_from_text)


def _read(
    folder: Path, name: str, from_bytes: Callable[[bytes], list[_Read]], from_text: Callable[[str], list[_Read]]
) -> list[_Read]:
    binary, text = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    file = binary if binary.is_file() else text
    try:
        content = file.read_bytes()
        return from_bytes(content) if file is binary else from_text(content.decode())
    except (OSError, struct.error, ValueError, IndexError, KeyError) as error:
        raise UserError(
            f"{str(file)!r} cannot be read as the {name} of a COLMAP model: it is missing, cut off or damaged; export "
            "the model anew (`colmap model_converter`)."
        ) from error


def _cameras_from_bytes(content: bytes) -> list[ColmapCamera]:
    cameras, place = [], _COUNT.size
    for _ in range(*_COUNT.unpack_from(content)):
        number, model, width, height = _CAMERA.unpack_from(content, place)
        if not 0 <= model < len(MODELS):
            raise ValueError(f"no camera model has the number {model}")
        name, count = MODELS[model]
        values = struct.unpack_from(f"<{count}d", content, place + _CAMERA.size)
        cameras.append(ColmapCamera(number, name, (width, height), values))
        place += _CAMERA.size + 8 * count
    if place != len(content):
        raise ValueError("the file has another length than its numbers say")
    return cameras


def _cameras_from_text(content: str) -> list[ColmapCamera]:
    cameras = []
    for line in content.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        number, model, width, height, *values = line.split()
        if len(values) != MODELS[_NUMBERS[model]][1]:
            raise ValueError(f"{model} has another number of parameters")
        cameras.append(ColmapCamera(int(number), model, (int(width), int(height)), tuple(map(float, values))))
    return cameras


def _images_from_bytes(content: bytes) -> list[ColmapImage]:
    images, place = [], _COUNT.size
    for _ in range(*_COUNT.unpack_from(content)):
        number, *pose, camera = _IMAGE.unpack_from(content, place)
        start = place + _IMAGE.size
        end = content.index(b"\0", start)
        images.append(ColmapImage(number, tuple(pose), camera, content[start:end].decode()))
        (points,) = _COUNT.unpack_from(content, end + 1)
        place = end + 1 + _COUNT.size + _SEEN.size * points
    if place != len(content):
        raise ValueError("the file has another length than its numbers say")
    return images


def _images_from_text(content: str) -> list[ColmapImage]:
    images = []
    lines = iter(content.splitlines())
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        number, *pose, camera, name = line.split(maxsplit=9)
        if len(pose) != 7:
            raise ValueError("an image has ten columns")
        images.append(ColmapImage(int(number), tuple(map(float, pose)), int(camera), name.strip()))
        next(lines, None)  # its 2D points; an empty line where it has none
    return images
