"""Images with the cameras that COLMAP found for them."""

from pathlib import Path

from video_ae.datasets.posed_frames import PosedFrames, PosedVideos, pinhole_intrinsics
from video_ae.errors import UserError
from video_ae.formats.colmap import colmap_poses, has_colmap_model, read_colmap_cameras, read_colmap_images
from video_ae.videos.image_folder import natural_key

MODEL_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", ".")  # the first of these that has one is a scene's model


class ColmapModels(PosedVideos):
    """A COLMAP model, binary or text, beside its images, or a folder of such.

    The model is in `sparse/0`, as COLMAP itself and 3D Gaussian Splatting's scenes have it, in `sparse`, in
    `colmap/sparse/0` (nerfstudio) or in the root itself. Only registered images are frames, in natural order of their
    names; those of a rig's cameras follow one another. Names are looked up in `images`, beside the model, and in
    `images` beside `sparse`. Images that were scaled are fine. Conventions: `video_ae.formats.colmap`. Lenses with
    distortion: `pinhole_intrinsics`.
    """

    format = "COLMAP (sparse/0, images)"

    @classmethod
    def is_scene(cls, folder: Path) -> bool:
        return _model_in(folder) is not None

    def read(self, path: Path) -> PosedFrames:
        model = _model_in(path)
        assert model is not None, path
        cameras = read_colmap_cameras(model)
        images = sorted(read_colmap_images(model), key=lambda image: natural_key(image.name))
        if not images:
            raise UserError(f"The COLMAP model {str(model)!r} has no images.")
        folder = _image_folder(path, model, images[0].name)
        files = [folder / image.name for image in images]
        unknown = next((image for image in images if image.camera not in cameras), None)
        if unknown is not None:
            raise UserError(f"{str(model)!r}: {unknown.name} has the camera {unknown.camera}, which is not there.")
        lenses = {number: camera.lens() for number, camera in cameras.items()}
        intrinsics = pinhole_intrinsics(str(path), [lenses[image.camera] for image in images], files)
        return PosedFrames(files, colmap_poses(images), intrinsics)


def _model_in(scene: Path) -> Path | None:
    return next((scene / name for name in MODEL_FOLDERS if has_colmap_model(scene / name)), None)


def _image_folder(scene: Path, model: Path, name: str) -> Path:
    folders = [scene / "images", model, model / "images", model.parent / "images", model.parent.parent / "images"]
    for folder in folders:
        if (folder / name).is_file():
            return folder
    raise UserError(
        f"The image {name!r} of the COLMAP model {str(model)!r} does not exist: put the images into "
        f"{str(scene / 'images')!r}."
    )
