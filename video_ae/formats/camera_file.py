"""A camera that somebody has calibrated, from the file of the program that did it."""

from pathlib import Path
from typing import Any

import yaml

from video_ae.errors import UserError, unreadable_as
from video_ae.formats.colmap import has_colmap_cameras, read_colmap_cameras
from video_ae.formats.lens import Lens
from video_ae.formats.nerfstudio import read_nerfstudio_lens

_FORMS = (
    "a COLMAP model (the folder of cameras.txt or cameras.bin), a transforms.json, or a YAML file of OpenCV or ROS "
    "(camera_matrix, distortion_coefficients, image_width, image_height)"
)


def read_camera_file(path: Path, image_size: tuple[int, int]) -> Lens:
    """The lens that a file describes, for images of a size.

    Args:
        path: a folder with a COLMAP model, a `.json` of nerfstudio, or a `.yaml` or `.yml` of OpenCV or ROS.
        image_size: (width, height) of the images in pixels.

    Raises:
        UserError: the file is missing, damaged or none of these, holds several cameras or a camera model without
            OpenCV's distortion (a fisheye), or belongs to images of another aspect ratio.
    """
    if not path.exists():
        raise UserError(f"{str(path)!r} does not exist: give {_FORMS}.", argument="camera")
    if path.is_dir():
        lens = _of_colmap(path)
    elif path.suffix.lower() == ".json":
        lens = read_nerfstudio_lens(path, image_size)
    elif path.suffix.lower() in (".yaml", ".yml"):
        lens = _of_opencv(path, image_size)
    else:
        raise UserError(f"{str(path)!r} is no camera file: give {_FORMS}.", argument="camera")
    if lens is None:
        raise UserError(
            f"{str(path)!r} holds a camera model without OpenCV's distortion, such as a fisheye: undistort the video "
            "with the program that calibrated it.",
            argument="camera",
        )
    return lens.at_size(image_size)


def _of_colmap(folder: Path) -> Lens | None:
    if not has_colmap_cameras(folder):
        raise UserError(f"{str(folder)!r} holds no COLMAP model: give {_FORMS}.", argument="camera")
    cameras = list(read_colmap_cameras(folder).values())
    if len({(camera.model, camera.size, camera.parameters) for camera in cameras}) != 1:
        raise UserError(
            f"{str(folder)!r} holds {len(cameras)} cameras: give a model with the one that took the video.",
            argument="camera",
        )
    return cameras[0].lens()


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Also reads the matrices of OpenCV's FileStorage, which have a tag of their own."""


_Loader.add_constructor(
    "tag:yaml.org,2002:opencv-matrix", lambda loader, node: loader.construct_mapping(node, deep=True)
)


def _of_opencv(path: Path, image_size: tuple[int, int]) -> Lens | None:
    expected = "camera_matrix and distortion_coefficients with `data`, image_width and image_height are expected."
    with unreadable_as(f"{str(path)!r} is no usable camera file of OpenCV or ROS", expected, yaml.YAMLError):
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text.replace("%YAML:1.0", "", 1), _Loader)  # OpenCV's own spelling of the first line
        if content.get("distortion_model", "plumb_bob") not in ("plumb_bob", "rational_polynomial"):
            return None
        fx, skew, cx, _, fy, cy, *_ = _numbers(content["camera_matrix"])
        if skew:
            raise ValueError("a camera whose axes are skew")
        coefficients = _numbers(content["distortion_coefficients"])
        if any(coefficients[8:]):
            raise ValueError("a thin prism or a tilted sensor, which is not read")
        k1, k2, p1, p2, *more = coefficients + [0.0] * 4
        size = int(content.get("image_width", image_size[0])), int(content.get("image_height", image_size[1]))
        centre = cx + 0.5, cy + 0.5  # OpenCV counts from the centre of the first pixel
        return Lens(size, (fx, fy), centre, (k1, k2, *more[:1]), tuple(more[1:4]), (p1, p2))


def _numbers(matrix: dict[str, Any]) -> list[float]:
    return [float(value) for value in matrix["data"]]
