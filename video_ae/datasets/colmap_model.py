"""Pictures with the cameras that COLMAP found for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch

from video_ae.datasets.lenses import Lens, pinhole_intrinsics
from video_ae.datasets.posed_frames import PosedFrames, PosedVideos, scenes_in
from video_ae.errors import UserError
from video_ae.formats.colmap_layout import SUFFIXES, ColmapCamera, read_cameras, read_images
from video_ae.geometry.se3 import invert, rigid, rotation_from_quaternion
from video_ae.videos.image_folder import ImageFolderReader, natural_key

MODELS = ("sparse/0", "sparse", "colmap/sparse/0", ".")  # the first of these holds a scene's model
# Number of focal lengths of the models with OpenCV's distortion; after them stand cx, cy, k1, k2, p1, p2, k3 .. k6.
_FOCALS = {"SIMPLE_PINHOLE": 1, "PINHOLE": 2, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV": 2, "FULL_OPENCV": 2}


class ColmapModels(PosedVideos):
    """A COLMAP model, binary or text, beside its pictures: `sparse/0` and `images`, as COLMAP itself and 3D Gaussian
    Splatting's scenes have it; also `sparse`, `colmap/sparse/0` (nerfstudio) or the root itself. Or a folder of such.

    Only registered pictures are frames, in natural order of their names; those of a rig's cameras follow one another.
    Names are looked up in `images`, beside the model, and in `images` beside `sparse`. Pictures that were scaled are
    fine. Conventions as in https://colmap.github.io/format.html: camera_from_world with OpenCV axes, quaternions with w
    first, pixels as here (see `colmap_layout`). Lenses with distortion: see `pinhole_intrinsics`.
    """

    format: ClassVar[str] = "COLMAP (sparse/0, images)"

    @staticmethod
    def recognises(root: Path) -> bool:
        return bool(scenes_in(root, _holds_model))

    def find(self, root: Path) -> Mapping[str, Path]:
        return scenes_in(root, _holds_model)

    def read(self, path: Path) -> PosedFrames:
        model = _model_in(path)
        if model is None:
            raise UserError(f"{str(path)!r} holds no COLMAP model.")
        cameras = read_cameras(model)
        images = sorted(read_images(model), key=lambda image: natural_key(image.name))
        if not images:
            raise UserError(f"The COLMAP model {str(model)!r} has no images.")
        folder = _picture_folder(path, model, images[0].name)
        files = [folder / image.name for image in images]
        unknown = next((image for image in images if image.camera not in cameras), None)
        if unknown is not None:
            raise UserError(f"{str(model)!r}: {unknown.name} has the camera {unknown.camera}, which is not there.")
        poses = torch.tensor([image.pose for image in images], dtype=torch.float64)
        camera_from_world = rigid(rotation_from_quaternion(poses[:, :4].roll(-1, -1)), poses[:, 4:])
        size = ImageFolderReader(files[0].parent, files[:1]).image_size
        lenses = {number: _lens(camera) for number, camera in cameras.items()}
        return PosedFrames(
            files,
            invert(camera_from_world),
            pinhole_intrinsics(str(path), [lenses[image.camera] for image in images], size),
            torch.full((len(files),), torch.nan, dtype=torch.float64),
        )


def _holds_model(scene: Path) -> bool:
    return _model_in(scene) is not None


def _model_in(scene: Path) -> Path | None:
    for folder in (scene / name for name in MODELS):
        if all(any((folder / f"{name}{end}").is_file() for end in SUFFIXES) for name in ("cameras", "images")):
            return folder
    return None


def _picture_folder(scene: Path, model: Path, name: str) -> Path:
    folders = [scene / "images", model, model / "images", model.parent / "images", model.parent.parent / "images"]
    for folder in folders:
        if (folder / name).is_file():
            return folder
    raise UserError(
        f"The picture {name!r} of the COLMAP model {str(model)!r} does not exist: put the pictures into "
        f"{str(scene / 'images')!r}."
    )


def _lens(camera: ColmapCamera) -> Lens | None:
    """None for the models of lenses that are no pinhole with OpenCV's distortion."""
    if camera.model not in _FOCALS:
        return None
    count = _FOCALS[camera.model]
    focal, (cx, cy, *rest) = camera.parameters[:count], camera.parameters[count:]
    p1, p2 = rest[2:4] or (0.0, 0.0)
    return Lens(camera.size, (focal[0], focal[-1]), (cx, cy), (*rest[:2], *rest[4:5]), tuple(rest[5:]), (p1, p2))
