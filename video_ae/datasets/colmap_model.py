"""Images with the cameras that COLMAP found for them."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from video_ae.datasets.pinholes import pinhole_intrinsics
from video_ae.datasets.posed_frames import PosedFrames, PosedVideos
from video_ae.datasets.scaled_images import SCALED_FOLDERS
from video_ae.errors import UserError
from video_ae.formats.colmap import (
    ColmapCamera,
    ColmapImage,
    colmap_poses,
    count_colmap_images,
    has_colmap_model,
    read_colmap_cameras,
    read_colmap_images,
)
from video_ae.formats.colmap_rigs import read_colmap_rigs
from video_ae.videos.natural_order import natural_order

PIECES = ("sparse", "colmap/sparse")  # folders of the pieces 0, 1, ... of a model, or of the model itself
log = logging.getLogger(__name__)


class ColmapModels(PosedVideos):
    """A COLMAP model, binary or text, beside its images, or a folder of such.

    The model is in `sparse/0`, as COLMAP itself and 3D Gaussian Splatting's scenes have it, in `sparse`, in
    `colmap/sparse/0` (nerfstudio) or in the root itself. Where COLMAP could not connect all images, the pieces are
    models of their own (`sparse/1`, ...): the one with the most images is taken, and a warning names the others. Only
    registered images are frames, in natural order of their names. Those of different folders (`front/0.png`,
    `back/0.png`), of different cameras of a rig, or of different cameras that all have several are clips of their own.
    Names are looked up in `images`, beside the model, in `images` beside `sparse`, and in `images_2`, `images_4`, ...
    Images that were scaled are fine.
    Conventions: `video_ae.formats.colmap`. Lenses with distortion: `pinhole_intrinsics`.
    """

    format = "COLMAP (sparse/0, images)"

    @classmethod
    def is_scene(cls, folder: Path) -> bool:
        return bool(_models_in(folder))

    def read(self, path: Path) -> PosedFrames:
        """All images of a scene, one after another.

        Args:
            path: the folder of the scene.
        """
        model = _largest_model_in(path)
        return _frames(path, model, read_colmap_cameras(model), _images_of(model))

    def clips(self, path: Path) -> Mapping[str, PosedFrames]:
        """A clip for each folder of images, and in it for each camera of a rig and for each that is used again.

        Args:
            path: the folder of the scene.
        """
        model = _largest_model_in(path)
        cameras, images = read_colmap_cameras(model), _images_of(model)
        parts = _by_camera(images, read_colmap_rigs(model))
        return {name: _frames(path, model, cameras, part) for name, part in parts.items()}


def _models_in(scene: Path) -> list[Path]:
    """The models of a scene in the first place that has any."""
    for name in PIECES:
        folder = scene / name
        if not folder.is_dir():
            continue
        if pieces := natural_order(
            path for path in folder.iterdir() if path.name.isdecimal() and has_colmap_model(path)
        ):
            return pieces
        if has_colmap_model(folder):
            return [folder]
    return [scene] if has_colmap_model(scene) else []


def _largest_model_in(scene: Path) -> Path:
    models = _models_in(scene)
    assert models, scene
    if len(models) == 1:
        return models[0]
    counts = {model: count_colmap_images(model) for model in models}
    largest = max(models, key=counts.__getitem__)
    pieces = ", ".join(f"{model.name} has {count}" for model, count in counts.items())
    log.warning(
        "%s: COLMAP left %d models that are not connected (images: %s); %s is taken, and the images of the others are "
        "no frames.", scene, len(models), pieces, largest.relative_to(scene),
    )  # fmt: skip
    return largest


def _images_of(model: Path) -> list[ColmapImage]:
    images = natural_order(read_colmap_images(model), lambda image: image.name)
    if not images:
        raise UserError(f"The COLMAP model {str(model)!r} has no images.")
    return images


def _by_camera(images: Iterable[ColmapImage], rigs: Sequence[set[int]]) -> dict[str, list[ColmapImage]]:
    """The images by folder, and by camera within it where there are several; "" where all belong together.

    COLMAP gives each image a camera of its own unless it is told that they share one. So several cameras count where
    they belong to a rig, or where each of them has more than one image.
    """
    mounted = set().union(*rigs)
    folders: dict[str, list[ColmapImage]] = {}
    for image in images:
        folders.setdefault(PurePosixPath(image.name).parent.as_posix(), []).append(image)
    groups: dict[tuple[str, int | None], list[ColmapImage]] = {}
    for folder, inside in folders.items():
        used = Counter(image.camera for image in inside)
        shared = set(used) if min(used.values()) > 1 else mounted
        for image in inside:
            groups.setdefault((folder, image.camera if image.camera in shared else None), []).append(image)
    if len(groups) == 1:
        return {"": next(iter(groups.values()))}
    clips = Counter(folder for folder, _ in groups)
    names = {
        (folder, camera): folder if clips[folder] == 1 else f"{folder}/camera{camera}" for folder, camera in groups
    }
    return {names[key].removeprefix("./"): images for key, images in groups.items()}


def _frames(scene: Path, model: Path, cameras: Mapping[int, ColmapCamera], images: list[ColmapImage]) -> PosedFrames:
    folder = _image_folder(scene, model, images[0].name)
    files = [folder / image.name for image in images]
    unknown = next((image for image in images if image.camera not in cameras), None)
    if unknown is not None:
        raise UserError(f"{str(model)!r}: {unknown.name} has the camera {unknown.camera}, which is not there.")
    lenses = {number: cameras[number].lens() for number in {image.camera for image in images}}
    intrinsics = pinhole_intrinsics(str(scene), [lenses[image.camera] for image in images], files)
    return PosedFrames(files, colmap_poses(images), intrinsics)


def _image_folder(scene: Path, model: Path, name: str) -> Path:
    folders = [scene / "images", model, model / "images", model.parent / "images", model.parent.parent / "images"]
    folders += [scene / scaled for scaled in SCALED_FOLDERS]
    for folder in folders:
        if (folder / name).is_file():
            return folder
    raise UserError(
        f"The image {name!r} of the COLMAP model {str(model)!r} does not exist: put the images into "
        f"{str(scene / 'images')!r}."
    )
