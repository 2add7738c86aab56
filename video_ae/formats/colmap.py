"""A COLMAP model (Schoenberger and Frahm 2016), text and binary: cameras, images with 2D points, 3D points with tracks.

COLMAP stores camera_from_world with OpenCV axes, quaternions with w first, pixels whose top-left centre is (0.5, 0.5)
as ours is, and numbers from 1. Text and binary files have the same values; where both are there, the binary ones are
read. Layout: https://colmap.github.io/format.html and, for the bytes, `src/colmap/scene/reconstruction_io_binary.cc`;
camera models and the pixel convention: `src/colmap/sensor/models.h`. Newer models have rigs and frames as well;
`images` still has each image's own camera_from_world, so that they need not be read.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import SEEK_CUR, BytesIO
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from video_ae.errors import unreadable_as
from video_ae.formats.atomic import write_bytes_atomically, write_text_atomically
from video_ae.formats.lens import Lens
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.se3 import invert, pose_from_quaternion, quaternion_from_rotation

# COLMAP's camera models in the order of their numbers, each with the number of its parameters.
MODELS = {
    "SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8, "OPENCV_FISHEYE": 8,
    "FULL_OPENCV": 12, "FOV": 5, "SIMPLE_RADIAL_FISHEYE": 4, "RADIAL_FISHEYE": 5, "THIN_PRISM_FISHEYE": 12,
    "RAD_TAN_THIN_PRISM_FISHEYE": 16, "SIMPLE_DIVISION": 4, "DIVISION": 5, "SIMPLE_FISHEYE": 3,
    "FISHEYE": 4, "EUCM": 6, "EQUIRECTANGULAR": 2,
}  # fmt: skip
# Number of focal lengths of the models with OpenCV's distortion; after them stand cx, cy, k1, k2, p1, p2, k3 .. k6.
_FOCALS = {"SIMPLE_PINHOLE": 1, "PINHOLE": 2, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV": 2, "FULL_OPENCV": 2}
# What binary files are made of, as `struct` spells it.
_COUNT, _CAMERA, _IMAGE, _OBSERVATION, _POINT, _TRACK = "<Q", "<iiQQ", "<i7di", "<ddq", "<Q3d3BdQ", "<ii"
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
    return has_colmap_cameras(folder) and any((folder / f"images{end}").is_file() for end in _SUFFIXES)


def has_colmap_cameras(folder: Path) -> bool:
    """Whether a folder has the cameras of a model, as a calibration alone has them.

    Args:
        folder: any path.
    """
    return any((folder / f"cameras{end}").is_file() for end in _SUFFIXES)


def read_colmap_cameras(folder: Path) -> dict[int, ColmapCamera]:
    """The cameras of a model by their number.

    Args:
        folder: of the model.

    Raises:
        UserError: when they are missing, cut off or damaged.
    """
    cameras = _read(folder, "cameras", _camera_from_bytes, _cameras_from_text)
    return {camera.number: camera for camera in cameras}


def count_colmap_images(folder: Path) -> int:
    """How many images a model has, without reading a binary file as a whole.

    Args:
        folder: of the model.

    Raises:
        UserError: when they are missing, cut off or damaged.
    """
    binary = folder / "images.bin"
    if not binary.is_file():
        return len(read_colmap_images(folder))
    with unreadable_as(f"{str(binary)!r} is cut off: export the model anew."), binary.open("rb") as content:
        return int(struct.unpack(_COUNT, content.read(struct.calcsize(_COUNT)))[0])


def read_colmap_images(folder: Path) -> list[ColmapImage]:
    """The images of a model in the order of the file.

    Args:
        folder: of the model.

    Raises:
        UserError: when they are missing, cut off or damaged.
    """
    return _read(folder, "images", _image_from_bytes, _images_from_text)


def colmap_poses(images: Sequence[ColmapImage]) -> Float64[Tensor, "image 4 4"]:
    """world_from_camera of each image; NaN where it has no pose.

    Args:
        images: at least one.
    """
    rows = torch.tensor([image.pose for image in images], dtype=torch.float64)
    return invert(pose_from_quaternion(rows[:, :4].roll(-1, -1), rows[:, 4:]))


def write_colmap(folder: Path, trajectory: CameraTrajectory, images: Sequence[str], points: TrackedPoints) -> None:
    """Writes {cameras,images,points3D}.{txt,bin}.

    Args:
        folder: is made where it is missing.
        trajectory: the cameras; images share one where nothing zooms.
        images: the names of the frames' files.
        points: what the frames see.
    """
    width, height = trajectory.image_size
    lenses = trajectory.cameras.intrinsics[: 1 if trajectory.cameras.share_intrinsics else None].tolist()
    cameras = [
        ColmapCamera(i, "PINHOLE", (width, height), (fx * width, fy * height, cx * width, cy * height))
        for i, (fx, fy, cx, cy) in enumerate(lenses, 1)
    ]
    pose = invert(trajectory.cameras.world_from_camera)
    rows = torch.cat([quaternion_from_rotation(pose[:, :3, :3]).roll(1, -1), pose[:, :3, 3]], -1).tolist()
    frames = [
        ColmapImage(i, tuple(row), min(i, len(cameras)), name)
        for i, (row, name) in enumerate(zip(rows, images, strict=True), 1)
    ]
    observations: list[list[tuple[float, float, int]]] = [[] for _ in frames]
    tracks: list[list[tuple[int, int]]] = [[] for _ in range(len(points))]
    for point, frame, (x, y) in zip(points.point.tolist(), points.frame.tolist(), points.pixel.tolist(), strict=True):
        tracks[point].append((frame + 1, len(observations[frame])))
        observations[frame].append((x, y, point + 1))
    _write(folder / "cameras", "# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]", list(map(_encoded_camera, cameras)))
    columns = "# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME\n# POINTS2D[] as (X, Y, POINT3D_ID)"
    _write(folder / "images", columns, list(map(_encoded_image, frames, observations)))
    values = (range(1, len(points) + 1), points.points.tolist(), points.colors.tolist(), points.error.tolist(), tracks)
    columns = "# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)"
    _write(folder / "points3D", columns, list(map(_encoded_point, *values)))


def _write(path: Path, columns: str, records: list[tuple[str, bytes]]) -> None:
    """records: of each, its line of the text file and its part of the binary one."""
    lines, parts = [columns, *(line for line, _ in records)], [part for _, part in records]
    write_text_atomically(path.with_suffix(".txt"), "".join(f"{line}\n" for line in lines))
    write_bytes_atomically(path.with_suffix(".bin"), struct.pack(_COUNT, len(parts)) + b"".join(parts))


def _encoded_camera(camera: ColmapCamera) -> tuple[str, bytes]:
    values = " ".join(map(str, (camera.number, camera.model, *camera.size)))
    fields = struct.pack(_CAMERA, camera.number, list(MODELS).index(camera.model), *camera.size)
    parameters = struct.pack(f"<{len(camera.parameters)}d", *camera.parameters)
    return f"{values} {_words(camera.parameters)}", fields + parameters


def _encoded_image(image: ColmapImage, seen: list[tuple[float, float, int]]) -> tuple[str, bytes]:
    """seen: (x, y) in pixels and the number of the 3D point of each observation."""
    observations = " ".join(f"{x:.6f} {y:.6f} {point}" for x, y, point in seen)
    head = struct.pack(_IMAGE, image.number, *image.pose, image.camera) + image.name.encode() + b"\0"
    parts = [head, struct.pack(_COUNT, len(seen)), *(struct.pack(_OBSERVATION, *one) for one in seen)]
    return f"{image.number} {_words(image.pose)} {image.camera} {image.name}\n{observations}", b"".join(parts)


def _encoded_point(
    number: int, xyz: list[float], rgb: list[int], error: float, track: list[tuple[int, int]]
) -> tuple[str, bytes]:
    """track: the number of each image that sees the point, and the index of the observation there."""
    entries = " ".join(f"{image} {index}" for image, index in track)
    line = f"{number} {_words(xyz)} {rgb[0]} {rgb[1]} {rgb[2]} {error:.6g} {entries}"
    head = struct.pack(_POINT, number, *xyz, *rgb, error, len(track))
    return line, head + b"".join(struct.pack(_TRACK, *entry) for entry in track)


def _words(values: Sequence[float]) -> str:
    return " ".join(f"{value:.12g}" for value in values)


def _read(
    folder: Path, name: str, from_bytes: Callable[[BytesIO], _Record], from_text: Callable[[list[str]], list[_Record]]
) -> list[_Record]:
    binary, text = (folder / f"{name}{suffix}" for suffix in _SUFFIXES)
    file = binary if binary.is_file() else text
    with unreadable_as(
        f"{str(file)!r} cannot be read as the {name} of a COLMAP model: it is missing, cut off or damaged; export "
        "the model anew (`colmap model_converter`)."
    ):
        if file is text:
            return from_text([line for line in file.read_text("utf-8-sig").splitlines() if not line.startswith("#")])
        content = BytesIO(file.read_bytes())
        records = [from_bytes(content) for _ in range(*_take(content, _COUNT))]
        if content.tell() != len(content.getvalue()):
            raise ValueError("the file has another length than its numbers say")
        return records


def _take(content: BytesIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, content.read(struct.calcsize(layout)))


def _camera_from_bytes(content: BytesIO) -> ColmapCamera:
    number, model, width, height = _take(content, _CAMERA)
    name, count = dict(enumerate(MODELS.items()))[model]
    return ColmapCamera(number, name, (width, height), _take(content, f"<{count}d"))


def _cameras_from_text(lines: list[str]) -> list[ColmapCamera]:
    cameras = []
    for line in filter(str.strip, lines):
        number, model, width, height, *values = line.split()
        if len(values) != MODELS[model]:
            raise ValueError(f"{model} has another number of parameters")
        cameras.append(ColmapCamera(int(number), model, (int(width), int(height)), tuple(map(float, values))))
    return cameras


def _image_from_bytes(content: BytesIO) -> ColmapImage:
    number, *pose, camera = _take(content, _IMAGE)
    length = content.getvalue().index(b"\0", content.tell()) - content.tell()
    name, points = _take(content, f"<{length}sxQ")  # a string that ends with a zero; the number of its 2D points
    content.seek(struct.calcsize(_OBSERVATION) * points, SEEK_CUR)
    return ColmapImage(number, tuple(pose), camera, name.decode())


def _images_from_text(lines: list[str]) -> list[ColmapImage]:
    """A line of each image, and one of its 2D points, which is empty where it has none; scripts leave that one out."""
    images = []
    points_follow = False
    for line in lines:
        if points_follow and not _names_an_image(line):
            points_follow = False
        elif line.strip():
            words = line.split(maxsplit=9)
            images.append(ColmapImage(int(words[0]), tuple(map(float, words[1:8])), int(words[8]), words[9].strip()))
            points_follow = True
    return images


def _names_an_image(line: str) -> bool:
    """Whether a line ends with a name; one of 2D points ends with a number."""
    words = line.split()
    return len(words) >= 10 and not words[-1].lstrip("-").isdecimal()
