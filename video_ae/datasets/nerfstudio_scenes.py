"""Images with cameras of nerfstudio, of instant-ngp and of NeRF's scenes made with Blender."""

from pathlib import Path

from video_ae.datasets.posed_frames import PosedFrames, PosedVideos, image_size_of, pinhole_intrinsics
from video_ae.errors import UserError
from video_ae.formats.nerfstudio import read_nerfstudio
from video_ae.videos.image_folder import IMAGE_SUFFIXES, natural_order


class Nerfstudio(PosedVideos):
    """`transforms.json` beside the images that it names, or a folder of such folders.

    In its stead Blender's `transforms_train.json`, `..._val`, `..._test`, each of which is one video; where both are
    there, `transforms.json` counts. Frames are in natural order of their `file_path`, whose suffix may be left out.
    fl_x, fl_y, cx, cy, w, h and the distortion may stand at the top or in a frame, which goes first; without them
    camera_angle_x (in radians), square pixels and a centred principal point. Images that were scaled are fine.
    Conventions: `video_ae.formats.nerfstudio`. Lenses with distortion: `pinhole_intrinsics`.
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
        intrinsics = pinhole_intrinsics(str(path), transforms.lenses(image_size_of(files)), files)
        return PosedFrames(files, transforms.world_from_camera, intrinsics)


def _transforms(scene: Path) -> list[Path]:
    whole = scene / "transforms.json"
    return [whole] if whole.is_file() else natural_order(scene.glob("transforms_*.json"))


def _image(transforms: Path, name: str) -> Path:
    path = transforms.parent / name
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        return path
    for suffix in (".png", *sorted(IMAGE_SUFFIXES - {".png"})):
        if (found := path.with_name(path.name + suffix)).is_file():
            return found
    raise UserError(f"The image {name!r} of {str(transforms)!r} does not exist.")
