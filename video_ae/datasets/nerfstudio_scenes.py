"""`transforms.json`: pictures with cameras of nerfstudio, of instant-ngp and of NeRF's scenes made with Blender."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

from video_ae.datasets.lenses import Lens, pinhole_intrinsics
from video_ae.datasets.posed_frames import PosedFrames, PosedVideos, scenes_in
from video_ae.errors import UserError
from video_ae.formats.nerfstudio import OPENCV_FROM_OPENGL
from video_ae.videos.image_folder import IMAGE_SUFFIXES, ImageFolderReader, natural_key

_PERSPECTIVE = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"}  # what nerfstudio takes for one


class Nerfstudio(PosedVideos):
    """`transforms.json` beside the pictures that it names, or Blender's `transforms_train.json`, `..._val`, `..._test`,
    each of which is one video; where both are there, `transforms.json` counts. Or a folder of such folders.

    Frames are in natural order of their `file_path`, whose suffix may be left out. `transform_matrix` is
    world_from_camera with OpenGL axes (x right, y up, z backward), so that columns y and z change sign; pixels are
    counted as here: https://docs.nerf.studio/quickstart/data_conventions.html and `pixel_offset` of
    `Cameras.get_image_coords`. fl_x, fl_y, cx, cy, w, h and the distortion may stand at the top or in a frame, which
    goes first; without them camera_angle_x (in radians), square pixels and a centred principal point. Pictures that
    were scaled are fine. Lenses with distortion: see `pinhole_intrinsics`.
    """

    format: ClassVar[str] = "nerfstudio (transforms.json)"

    @staticmethod
    def recognises(root: Path) -> bool:
        return bool(scenes_in(root, _holds_transforms))

    def find(self, root: Path) -> Mapping[str, Path]:
        found = {}
        for name, scene in scenes_in(root, _holds_transforms).items():
            for file in _transforms(scene):
                part = file.stem.removeprefix("transforms").lstrip("_")
                found[f"{name}/{part}" if part else name] = file
        return found

    def read(self, path: Path) -> PosedFrames:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            frames = sorted(content["frames"], key=lambda frame: natural_key(frame["file_path"]))
            if not frames:
                raise UserError(f"{str(path)!r} has no frames.")
            files = [_picture(path, frame["file_path"]) for frame in frames]
            size = ImageFolderReader(files[0].parent, files[:1]).image_size
            lenses = [_lens({**content, **frame}, size) for frame in frames]
            rows = [frame["transform_matrix"][:3] for frame in frames]
            matrices = torch.tensor(rows, dtype=torch.float64)
            if matrices.shape != (len(rows), 3, 4):
                raise ValueError("a transform_matrix has other than 3 or 4 rows of 4")
        except UserError:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
            raise UserError(
                f"{str(path)!r} is no usable transforms.json ({type(error).__name__}: {error}): a list `frames` of "
                "file_path and transform_matrix, and fl_x or camera_angle_x, are expected."
            ) from error
        bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64).expand(len(files), 1, 4)
        return PosedFrames(
            files,
            torch.cat([matrices * OPENCV_FROM_OPENGL, bottom], 1),
            pinhole_intrinsics(str(path), lenses, size),
            torch.full((len(files),), torch.nan, dtype=torch.float64),
        )


def _transforms(scene: Path) -> list[Path]:
    whole = scene / "transforms.json"
    return [whole] if whole.is_file() else sorted(scene.glob("transforms_*.json"), key=lambda file: natural_key(file))


def _holds_transforms(scene: Path) -> bool:
    return bool(_transforms(scene))


def _picture(transforms: Path, name: str) -> Path:
    path = transforms.parent / name
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        return path
    for suffix in (".png", *sorted(IMAGE_SUFFIXES - {".png"})):
        if (found := path.with_name(path.name + suffix)).is_file():
            return found
    raise UserError(f"The picture {name!r} of {str(transforms)!r} does not exist.")


def _lens(values: dict[str, Any], picture: tuple[int, int]) -> Lens | None:
    """The lens of one frame; None for nerfstudio's fisheyes and panoramas. KeyError where it has no focal length."""
    if values.get("camera_model", "OPENCV") not in _PERSPECTIVE or values.get("is_fisheye"):
        return None
    width, height = round(values.get("w", picture[0])), round(values.get("h", picture[1]))
    x = float(values["fl_x"]) if "fl_x" in values else _focal(float(values["camera_angle_x"]), width)
    y = _focal(float(values["camera_angle_y"]), height) if "camera_angle_y" in values else x
    y = float(values.get("fl_y", y))
    k1, k2, k3, k4, p1, p2 = (float(values.get(name, 0)) for name in ("k1", "k2", "k3", "k4", "p1", "p2"))
    centre = float(values.get("cx", width / 2)), float(values.get("cy", height / 2))
    return Lens((width, height), (x, y), centre, (k1, k2, k3, k4), tangential=(p1, p2))


def _focal(angle: float, side: int) -> float:
    """In pixels, from the angle of view along a side of the picture, in radians."""
    return side / 2 / math.tan(angle / 2)
