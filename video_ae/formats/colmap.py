"""A COLMAP model (Schoenberger and Frahm 2016), text and binary: cameras, images with 2D points, 3D points with tracks.

COLMAP stores camera_from_world with OpenCV axes, quaternions with w first, pixels whose top-left centre is (0.5, 0.5)
as ours is, and numbers from 1. Text and binary files have the same values; where both are there, the binary ones are
read. Layout: https://colmap.github.io/format.html and, for the bytes, `src/colmap/scene/reconstruction_io_binary.cc`;
camera models and the pixel convention: `src/colmap/sensor/models.h`. Newer models have rigs and frames as well;
`images` still has each image's own camera_from_world, so that they need not be read.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically
from video_ae.formats.lens import Lens
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.se3 import invert, quaternion_from_rotation, rigid, rotation_from_quaternion

# COLMAP's camera models in the order of their numbers, each with the number of its parameters.
MODELS = (
    ("SIMPLE_PINHOLE", 3), ("PINHOLE", 4), ("SIMPLE_RADIAL", 4), ("RADIAL", 5), ("OPENCV", 8), ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12), ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4), ("RADIAL_FISHEYE", 5), ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16), ("SIMPLE_DIVISION", 4), ("DIVISION", 5), ("SIMPLE_FISHEYE", 3),
    ("FISHEYE", 4), ("EUCM", 6), ("EQUIRECTANGULAR", 2),
)  # fmt: skip
# Number of focal lengths of the models with OpenCV's distortion; after them stand cx, cy, k1, k2, p1, p2, k3 .. k6.
_FOCALS = {"SIMPLE_PINHOLE": 1, "PINHOLE": 2, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV": 2, "FULL_OPENCV": 2}
_MODEL_NUMBERS = {name: number for number, (name, _) in enumerate(MODELS)}
_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<iiQQ")
_IMAGE = struct.Struct("<i7di")
_OBSERVATION = struct.Struct("<ddq")
_POINT = struct.Struct("<Q3d3BdQ")
_TRACK = struct.Struct("<ii")
_SUFFIXES = (".bin", ".txt")  # COLMAP prefers the first
_Record = TypeVar("_Record")


@dataclass(frozen=True)
class ColmapCamera:
    """A camera, which images may share.

    Args:
        number: by which images name it.
        model: one of `MODELS`.
        size: (width, height) in pixels.
        parameters: in pixels, in the model's order.
    """

    number: int
    model: str
    size: tuple[int, int]
    parameters: tuple[float, ...]

    def lens(self) -> Lens | None:
        """The same as a lens with OpenCV's distortion; None for other models."""
        if self.model not in _FOCALS:
            return None
        count = _FOCALS[self.model]
        focal, (cx, cy, *rest) = self.parameters[:count], self.parameters[count:]
        p1, p2 = rest[2:4] or (0.0, 0.0)
        return Lens(self.size, (focal[0], focal[-1]), (cx, cy), (*rest[:2], *rest[4:5]), tuple(rest[5:]), (p1, p2))


@dataclass(frozen=True)
class ColmapImage:
    """A registered image.

    Args:
        number: from 1.
        pose: camera_from_world as (qw, qx, qy, qz, tx, ty, tz).
        camera: the number of its camera.
        name: of the file, relative to the folder of the images.
    """

    number: int
    pose: tuple[float, ...]
    camera: int
    name: str


@dataclass(frozen=True)
class TrackedPoints:
    """3D points and their observations in the frames.

    Args:
        points: in the world of the cameras.
        colors: RGB.
        error: mean reprojection error in pixels of the source.
        point: which point each observation belongs to.
        frame: which frame made each observation, counted in the clip from 0.
        pixel: (x, y) in pixels of the source; the centre of the top-left pixel is (0.5, 0.5).
    """

    points: Float64[Tensor, "point 3"]
    colors: UInt8[Tensor, "point 3"]
    error: Float64[Tensor, "point"]
    point: Int64[Tensor, "observation"]
    frame: Int64[Tensor, "observation"]
    pixel: Float64[Tensor, "observation 2"]

    def __len__(self) -> int:
        return len(self.points)


def no_points() -> TrackedPoints:
    """No points, for a model of cameras alone."""
    empty = torch.zeros(0, 3, dtype=torch.float64)
    number = torch.zeros(0, dtype=torch.int64)
    return TrackedPoints(empty, empty.to(torch.uint8), empty[:, 0], number, number, empty[:, :2])


def has_colmap_model(folder: Path) -> bool:
    """Whether a folder has the cameras and images of a model.

    Args:
        folder: any path.
    """
    return all(any((folder / f"{name}{end}").is_file() for end in _SUFFIXES) for name in ("cameras", "images"))


def read_colmap_cameras(folder: Path) -> dict[int, ColmapCamera]:
    """The cameras of a model by their number.

    Args:
        folder: of the model.

    Raises:
        UserError: when they are missing, cut off or damaged.
    """
    cameras = _read(folder, "cameras", _cameras_from_bytes, _cameras_from_text)
    return {camera.number: camera for camera in cameras}


def read_colmap_images(folder: Path) -> list[ColmapImage]:
    """The images of a model in the order of the file.

    Args:
        folder: of the model.

    Raises:
        UserError: when they are missing, cut off or damaged.
    """
    return _read(folder, "images", _images_from_bytes, _images_from_text)


def colmap_poses(images: Sequence[ColmapImage]) -> Float64[Tensor, "image 4 4"]:
    """world_from_camera of each image.

    Args:
        images: at least one.
    """
    rows = torch.tensor([image.pose for image in images], dtype=torch.float64)
    return invert(rigid(rotation_from_quaternion(rows[:, :4].roll(-1, -1)), rows[:, 4:]))


def write_colmap(folder: Path, trajectory: CameraTrajectory, images: Sequence[str], points: TrackedPoints) -> None:
    """Writes {cameras,images,points3D}.{txt,bin}.

    Args:
        folder: is made where it is missing.
        trajectory: the cameras.
        images: the names of the frames' files.
        points: what the frames see.
    """
    model = _model(trajectory, images, points)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _files(model).items():
        write_atomically(folder / name, partial(_write, content))


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


@dataclass(frozen=True)
class _Model:
    """The values of the files, in their order.

    observations: of each image, (x, y) in pixels and the number of the 3D point. points: position, colour, error, and
    track: the number of each image that sees the point, and the index of the observation there.
    """

    camera: ColmapCamera
    images: list[ColmapImage]
    observations: list[list[tuple[float, float, int]]]
    points: list[tuple[list[float], list[int], float, list[tuple[int, int]]]]


def _model(trajectory: CameraTrajectory, names: Sequence[str], points: TrackedPoints) -> _Model:
    width, height = trajectory.image_size
    fx, fy, cx, cy = trajectory.cameras.intrinsics[0].tolist()
    pose = invert(trajectory.cameras.world_from_camera)
    rows = torch.cat([quaternion_from_rotation(pose[:, :3, :3]).roll(1, -1), pose[:, :3, 3]], -1).tolist()
    observations: list[list[tuple[float, float, int]]] = [[] for _ in rows]
    tracks: list[list[tuple[int, int]]] = [[] for _ in range(len(points))]
    for point, frame, (x, y) in zip(points.point.tolist(), points.frame.tolist(), points.pixel.tolist(), strict=True):
        tracks[point].append((frame + 1, len(observations[frame])))
        observations[frame].append((x, y, point + 1))
    values = zip(points.points.tolist(), points.colors.tolist(), points.error.tolist(), tracks, strict=True)
    return _Model(
        ColmapCamera(1, "PINHOLE", (width, height), (fx * width, fy * height, cx * width, cy * height)),
        [ColmapImage(i, tuple(row), 1, name) for i, (row, name) in enumerate(zip(rows, names, strict=True), 1)],
        observations,
        list(values),
    )


def _files(model: _Model) -> dict[str, bytes]:
    text = {"cameras": _text_cameras(model), "images": _text_images(model), "points3D": _text_points(model)}
    binary = {"cameras": _bytes_cameras(model), "images": _bytes_images(model), "points3D": _bytes_points(model)}
    return {f"{name}.txt": "".join(f"{line}\n" for line in lines).encode() for name, lines in text.items()} | {
        f"{name}.bin": b"".join(parts) for name, parts in binary.items()
    }


def _text_cameras(model: _Model) -> Iterator[str]:
    yield "# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]"
    camera = model.camera
    yield f"{camera.number} {camera.model} {camera.size[0]} {camera.size[1]} {_words(camera.parameters)}"


def _bytes_cameras(model: _Model) -> Iterator[bytes]:
    yield _COUNT.pack(1)
    yield _CAMERA.pack(model.camera.number, _MODEL_NUMBERS[model.camera.model], *model.camera.size)
    yield struct.pack(f"<{len(model.camera.parameters)}d", *model.camera.parameters)


def _text_images(model: _Model) -> Iterator[str]:
    yield "# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"
    yield "# POINTS2D[] as (X, Y, POINT3D_ID)"
    for image, observations in zip(model.images, model.observations, strict=True):
        yield f"{image.number} {_words(image.pose)} {image.camera} {image.name}"
        yield " ".join(f"{x:.6f} {y:.6f} {point}" for x, y, point in observations)


def _bytes_images(model: _Model) -> Iterator[bytes]:
    yield _COUNT.pack(len(model.images))
    for image, observations in zip(model.images, model.observations, strict=True):
        yield _IMAGE.pack(image.number, *image.pose, image.camera) + image.name.encode() + b"\0"
        yield _COUNT.pack(len(observations))
        yield from (_OBSERVATION.pack(*observation) for observation in observations)


def _text_points(model: _Model) -> Iterator[str]:
    yield "# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)"
    for number, (xyz, rgb, error, track) in enumerate(model.points, 1):
        entries = " ".join(f"{image} {index}" for image, index in track)
        yield f"{number} {_words(xyz)} {rgb[0]} {rgb[1]} {rgb[2]} {error:.6g} {entries}"


def _bytes_points(model: _Model) -> Iterator[bytes]:
    yield _COUNT.pack(len(model.points))
    for number, (xyz, rgb, error, track) in enumerate(model.points, 1):
        yield _POINT.pack(number, *xyz, *rgb, error, len(track))
        yield from (_TRACK.pack(*entry) for entry in track)


def _words(values: Sequence[float]) -> str:
    return " ".join(f"{value:.12g}" for value in values)


def _read(
    folder: Path, name: str, from_bytes: Callable[[bytes], list[_Record]], from_text: Callable[[str], list[_Record]]
) -> list[_Record]:
    binary, text = (folder / f"{name}{suffix}" for suffix in _SUFFIXES)
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
    cameras, offset = [], _COUNT.size
    for _ in range(*_COUNT.unpack_from(content)):
        number, model, width, height = _CAMERA.unpack_from(content, offset)
        if not 0 <= model < len(MODELS):
            raise ValueError(f"no camera model has the number {model}")
        name, count = MODELS[model]
        values = struct.unpack_from(f"<{count}d", content, offset + _CAMERA.size)
        cameras.append(ColmapCamera(number, name, (width, height), values))
        offset += _CAMERA.size + 8 * count
    if offset != len(content):
        raise ValueError("the file has another length than its numbers say")
    return cameras


def _cameras_from_text(content: str) -> list[ColmapCamera]:
    cameras = []
    for line in content.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        number, model, width, height, *values = line.split()
        if len(values) != MODELS[_MODEL_NUMBERS[model]][1]:
            raise ValueError(f"{model} has another number of parameters")
        cameras.append(ColmapCamera(int(number), model, (int(width), int(height)), tuple(map(float, values))))
    return cameras


def _images_from_bytes(content: bytes) -> list[ColmapImage]:
    images, offset = [], _COUNT.size
    for _ in range(*_COUNT.unpack_from(content)):
        number, *pose, camera = _IMAGE.unpack_from(content, offset)
        start = offset + _IMAGE.size
        end = content.index(b"\0", start)
        images.append(ColmapImage(number, tuple(pose), camera, content[start:end].decode()))
        (points,) = _COUNT.unpack_from(content, end + 1)
        offset = end + 1 + _COUNT.size + _OBSERVATION.size * points
    if offset != len(content):
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
