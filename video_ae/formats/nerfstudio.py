"""`transforms.json`: cameras of nerfstudio, of instant-ngp and of NeRF's scenes made with Blender.

Their cameras look along -z with y up (OpenGL), so columns y and z of world_from_camera change sign. Pixels are counted
as here: (0.5, 0.5) is the centre of the top-left one. Sources:
https://docs.nerf.studio/quickstart/data_conventions.html and `pixel_offset` of `Cameras.get_image_coords`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError, unreadable_as
from video_ae.formats.atomic import write_json_atomically
from video_ae.formats.interop import OPENCV_FROM_OPENGL, to_nerfstudio
from video_ae.formats.lens import Lens
from video_ae.formats.nerfstudio_intrinsics import values_of_frames
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.se3 import rigid
from video_ae.videos.natural_order import natural_order

_EXPECTED = "a list `frames` of file_path and transform_matrix, and fl_x or camera_angle_x, are expected."
_PERSPECTIVE = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"}  # what nerfstudio takes for one


def write_nerfstudio(
    path: Path,
    trajectory: CameraTrajectory,
    images: Sequence[str],
    points: str | None = None,
    masks: Sequence[str] = (),
) -> None:
    """Writes `transforms.json`; the world stays the first frame's camera.

    Args:
        path: the file.
        trajectory: the cameras.
        images: the frames' files relative to the folder of `path`, at the source's size.
        points: a PLY file relative to the same folder, from which nerfstudio's splatfacto starts.
        masks: a file for each image, relative to the same folder, black where the image is to be left out; or none.
    """
    content = to_nerfstudio(trajectory.cameras, *trajectory.image_size, images)
    frames, undistorted = content.pop("frames"), dict.fromkeys(("k1", "k2", "p1", "p2"), 0.0)
    for frame, mask in zip(frames, masks, strict=False):
        frame["mask_path"] = mask
    ply = {} if points is None else {"ply_file_path": points}
    write_json_atomically(path, {**content, **undistorted, "frames": frames, **ply})


@dataclass(frozen=True)
class Transforms:
    """The frames of a `transforms.json`, in natural order of their names.

    Args:
        path: the file.
        images: `file_path` of each frame, relative to the folder of `path`; suffixes may be missing.
        world_from_camera: OpenCV axes; not checked to be rigid.
        values: what else is said of each frame, by the frame or else by the file as a whole.
    """

    path: Path
    images: list[str]
    world_from_camera: Float64[Tensor, "frame 4 4"]
    values: list[dict[str, Any]]

    def lenses(self, image_size: tuple[int, int]) -> list[Lens | None]:
        """The lens of each frame; None for nerfstudio's fisheyes and panoramas.

        Args:
            image_size: (width, height) in pixels of the images, for files that do not say it.

        Raises:
            UserError: when a frame has no focal length, or a value is no number.
        """
        with unreadable_as(f"{str(self.path)!r} is no usable transforms.json", _EXPECTED):
            return [_lens(values, image_size) for values in self.values]


def read_nerfstudio(path: Path) -> Transforms:
    """The frames of a file.

    Args:
        path: a `transforms.json`.

    Raises:
        UserError: when the file is missing, damaged or has no frames.
    """
    with unreadable_as(f"{str(path)!r} is no usable transforms.json", _EXPECTED):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        frames = natural_order(values_of_frames(content), lambda frame: frame["file_path"])
        if not frames:
            raise UserError(f"{str(path)!r} has no frames.")
        poses = _poses([frame["transform_matrix"] for frame in frames])
        return Transforms(path, [frame["file_path"] for frame in frames], poses, frames)


def _poses(matrices: list[Any]) -> Float64[Tensor, "frame 4 4"]:
    """world_from_camera in OpenCV's axes, from each frame's transform_matrix; null becomes NaN.

    Some programs scale them. Both ways are undone: of all entries, the last row included, which says the same in
    homogeneous coordinates; and of the rotation alone, which nerfstudio and instant-ngp pass over, since a viewing ray
    has no length.
    """
    rows = [matrix[:3] for matrix in matrices]
    if any(None in row for matrix in rows for row in matrix):
        rows = [[[math.nan if value is None else value for value in row] for row in matrix] for matrix in rows]
    top = torch.tensor(rows, dtype=torch.float64)
    if top.shape != (len(matrices), 3, 4):
        raise ValueError("a transform_matrix has other than 3 or 4 rows of 4")
    corner = torch.tensor([(matrix[3][3] or 1.0) if len(matrix) > 3 else 1.0 for matrix in matrices]).double()
    top = top / corner[:, None, None]
    scale = torch.linalg.det(top[:, :, :3]).clamp_min(0) ** (1 / 3)
    return rigid(top[:, :, :3] / scale[:, None, None] * OPENCV_FROM_OPENGL[:3], top[:, :, 3])


def read_nerfstudio_lens(path: Path, image_size: tuple[int, int]) -> Lens | None:
    """The lens of a file, which may have no frames: what is said of all of them, else of the first one.

    Args:
        path: a `transforms.json`.
        image_size: (width, height) in pixels of the images, for files that do not say it.

    Returns:
        None for nerfstudio's fisheyes and panoramas.

    Raises:
        UserError: when the file is missing or damaged, or has no focal length.
    """
    expected = "fl_x or camera_angle_x, and w and h, are expected (k1, k2, k3, k4, p1, p2, cx, cy where there are any)."
    with unreadable_as(f"{str(path)!r} is no usable transforms.json", expected):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        shared = content.keys() & {"fl_x", "camera_angle_x"} and not isinstance(content.get("fl_x"), list)
        return _lens(content if shared else values_of_frames({"frames": [{}], **content})[0], image_size)


def _lens(values: dict[str, Any], image_size: tuple[int, int]) -> Lens | None:
    if values.get("camera_model", "OPENCV") not in _PERSPECTIVE or values.get("is_fisheye"):
        return None
    width, height = round(values.get("w", image_size[0])), round(values.get("h", image_size[1]))
    x = float(values["fl_x"]) if "fl_x" in values else _focal(float(values["camera_angle_x"]), width)
    y = _focal(float(values["camera_angle_y"]), height) if "camera_angle_y" in values else x
    y = float(values.get("fl_y", y))
    k1, k2, k3, k4, p1, p2 = (float(values.get(name, 0)) for name in ("k1", "k2", "k3", "k4", "p1", "p2"))
    centre = float(values.get("cx", width / 2)), float(values.get("cy", height / 2))
    return Lens((width, height), (x, y), centre, (k1, k2, k3, k4), tangential=(p1, p2))


def _focal(angle: float, side: int) -> float:
    """In pixels, from the angle of view along a side of the image, in radians."""
    return side / 2 / math.tan(angle / 2)
