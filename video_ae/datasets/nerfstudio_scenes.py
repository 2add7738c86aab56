"""Images with cameras of nerfstudio, of instant-ngp and of NeRF's scenes made with Blender."""

from pathlib import Path

from video_ae.datasets.pinholes import image_size_of, pinhole_intrinsics
from video_ae.datasets.posed_frames import PosedFrames, PosedVideos
from video_ae.datasets.scaled_images import SCALED_FOLDERS
from video_ae.errors import UserError
from video_ae.formats.nerfstudio import read_nerfstudio
from video_ae.videos.image_kinds import IMAGE_SUFFIXES
from video_ae.videos.natural_order import natural_order


class Nerfstudio(PosedVideos):
    """`transforms.json` beside the images that it names, or a folder of such folders.

    In its stead Blender's `transforms_train.json`, `..._val`, `..._test`, each of which is one video; where both are
    there, `transforms.json` counts. Frames are in natural order of their `file_path`, whose suffix may be left out and
    whose slashes may be Windows' backslashes; where `images` is missing, `images_2`, `images_4` or `images_8` is taken.
    fl_x, fl_y, cx, cy, w, h and the distortion may stand at the top or in a frame, which goes first, or in lists and
    matrices (`video_ae.formats.nerfstudio_intrinsics`); without them camera_angle_x (in radians), square pixels and a
    centred principal point. Scales of the matrices are taken out. Images that were scaled are fine. Conventions:
    `video_ae.formats.nerfstudio`. Lenses with distortion: `pinhole_intrinsics`.
    """

    format = "nerfstudio (transforms.json)"

    @classmethod
    def is_scene(cls, folder: Path) -> bool:
        return bool(_transforms(folder))

    def find(self, root: Path) -> dict[str, Path]:
        found = {}
        for name, scene in super().find(root).items():
            for file in _transforms(scene):
                part = file.stem.removeprefix("transforms").lstrip("_")
                found[f"{name}/{part}" if part else name] = file
        return found

    def read(self, path: Path) -> PosedFrames:
        transforms = read_nerfstudio(path)
        files = [_image(path, name) for name in transforms.images]
        width, height = image_size_of(files)
        factor = _scale(files[0], transforms.images[0])
        lenses = transforms.lenses((width * factor, height * factor))
        intrinsics = pinhole_intrinsics(str(path), lenses, files)
        return PosedFrames(files, transforms.world_from_camera, intrinsics)


def _transforms(scene: Path) -> list[Path]:
    whole = scene / "transforms.json"
    return [whole] if whole.is_file() else natural_order(scene.glob("transforms_*.json"))


def _image(transforms: Path, name: str) -> Path:
    """The file of a frame: as it is named, with a suffix, with slashes for Windows' backslashes, or a scaled copy."""
    named = transforms.parent / name
    if named.suffix.lower() in IMAGE_SUFFIXES and named.is_file():
        return named
    for path in (named, transforms.parent / name.replace("\\", "/")):
        for folder in (path.parent, *(path.parent.with_name(scaled) for scaled in _scaled(path))):
            if (found := _with_suffix(folder / path.name)) is not None:
                return found
    raise UserError(f"The image {name!r} of {str(transforms)!r} does not exist.")


def _scale(file: Path, name: str) -> int:
    """How many times as wide the image was that a file names."""
    folder = file.parent.name
    is_copy = folder in SCALED_FOLDERS and folder not in name
    return int(folder.removeprefix("images_")) if is_copy else 1


def _scaled(path: Path) -> tuple[str, ...]:
    return SCALED_FOLDERS if path.parent.name == "images" else ()


def _with_suffix(path: Path) -> Path | None:
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        return path
    suffixes = (".png", *sorted(IMAGE_SUFFIXES - {".png"}))
    return next((found for suffix in suffixes if (found := path.with_name(path.name + suffix)).is_file()), None)
