"""A reconstruction in the formats of other programs: which there are, and how each is written."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import Image

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically
from video_ae.formats.colmap import no_points, write_colmap
from video_ae.formats.depth_maps import write_depth
from video_ae.formats.kitti import write_kitti
from video_ae.formats.nerfstudio import write_nerfstudio
from video_ae.formats.ply import GaussianCloud, write_gaussians, write_ply
from video_ae.formats.sog import write_sog
from video_ae.formats.splat_page import write_splat_page
from video_ae.formats.splats import need_library, write_compressed_ply, write_gltf, write_spz
from video_ae.formats.tum import write_tum
from video_ae.geometry.resize import resize_maps
from video_ae.geometry.trajectories import frustum_scale
from video_ae.scene.annotations import Reconstruction
from video_ae.scene.feature_tracks import track_points
from video_ae.scene.points import draw
from video_ae.types import Scene
from video_ae.videos.load import read_clip

IMAGES, MASKS = "images", "masks"
POINTS = "points.ply"
SHARED = (IMAGES, MASKS, POINTS)  # what formats write beside their own product
Formats = Sequence[str]
"""Keys of `FORMATS`, `module.function` for formats of one's own (docs/extending.md), or `all`, or `none`."""
MOST_ON_A_PAGE = 300_000  # Gaussians of an HTML page: about 10 MB, and what a phone draws
_QUALITY = 95  # of JPEG, without subsampling of colour: within a few grey levels of the decoded video


@dataclass(frozen=True)
class ExportFormat:
    """A format that a reconstruction can be written in.

    Args:
        function: writes a reconstruction to the path of the product, or into the folder where there is none; raises
            UserError where it has nothing for the format.
        product: the file or folder that belongs to this format alone; None where only the function knows.
        needs_volumes: whether the structure codes must have a depth.
        in_all: whether `all` means it too; not the same scene once more in another form.
        holds_gaussians: whether it shows `Reconstruction.gaussians`, which can be refined first.
        library: a package that it needs; None where all that it needs is there.
    """

    function: Callable[[Path, Reconstruction], object]
    product: str | None = None
    needs_volumes: bool = False
    in_all: bool = True
    holds_gaussians: bool = False
    library: str | None = None

    def write(self, folder: Path, reconstruction: Reconstruction) -> None:
        """Writes a reconstruction in this format.

        Args:
            folder: of all exports.
            reconstruction: what is written.
        """
        self.function(folder / self.product if self.product else folder, reconstruction)


def chosen_formats(given: Formats, scene: Scene | None = None) -> dict[str, ExportFormat]:
    """Formats by name, from what a person wrote.

    Args:
        given: see `Formats`.
        scene: of a reconstruction, where there is one already; `all` leaves out what it has nothing for.

    Raises:
        UserError: there is no format of a name, a package for one is missing, or `all` or `none` stand beside others.

    >>> list(chosen_formats(["tum", "kitti"]))
    ['kitti', 'tum']
    """
    known = (*FORMATS, "all", "none")
    for name in given:
        if name not in known and "." not in name:
            raise UserError(f"There is no export {name!r}: choose from {', '.join(known)}, or module.function.")
    if len(given) > 1 and {"all", "none"} & set(given):
        raise UserError("`all` and `none` stand alone: give one of them, or names.")
    if "all" in given:
        flat = scene is not None and not scene.volumes
        return {name: one for name, one in FORMATS.items() if one.in_all and not (flat and one.needs_volumes)}
    own = {name: _own_format(name) for name in given if "." in name}
    chosen = {name: one for name, one in FORMATS.items() if name in given} | own
    for library in (one.library for one in chosen.values() if one.library):
        need_library(library)
    return chosen


def _own_format(name: str) -> ExportFormat:
    module, _, function = name.rpartition(".")
    try:
        write = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{name!r} names no export ({error}): is its module on PYTHONPATH?") from error
    if not callable(write):
        raise UserError(f"{name!r} is no function that writes an export (docs/extending.md).")
    return ExportFormat(write)


def _depth(path: Path, reconstruction: Reconstruction) -> None:
    reconstruction.need_volumes()
    trajectory = reconstruction.trajectory
    write_depth(path, reconstruction.depth_maps(), trajectory.indices.tolist(), trajectory.image_size)


def _images(folder: Path, reconstruction: Reconstruction) -> list[str]:
    """Names of the frames' files, of the source's own size, which two formats share and the first of them writes."""
    indices = reconstruction.trajectory.indices.tolist()
    names = [f"{index:06d}.jpg" for index in indices]
    if not all((folder / name).is_file() for name in names):
        reader = reconstruction.source_video()
        for index, name in zip(indices, names, strict=True):
            image = Image.fromarray(reader.read([index])[0].permute(1, 2, 0).contiguous().numpy())
            write_atomically(folder / name, partial(image.save, quality=_QUALITY, subsampling=0))
    return names


def write_masks(folder: Path, reconstruction: Reconstruction, images: list[str]) -> list[str]:
    """Masks of the images, white where the scene is still, as COLMAP and Brush look for them; none where nothing moves.

    Args:
        folder: is made where it is needed; masks that are in it stay.
        reconstruction: whose moving objects are masked.
        images: names of the frames' images, one a frame.

    Returns:
        Names of the files.
    """
    static = reconstruction.scene.camera.static
    if static is None:
        return []
    names = [f"{image}.png" for image in images]
    for number, name in enumerate(names):
        if not (folder / name).is_file():
            still = resize_maps(static[number][None].cpu(), reconstruction.source.image_size)[0] > 0.5
            mask = Image.fromarray(still.numpy())
            write_atomically(folder / name, partial(mask.convert("L").save, format="PNG"))
    return names


def _nerfstudio(path: Path, reconstruction: Reconstruction) -> None:
    names = _images(path.with_name(IMAGES), reconstruction)
    files = [f"{IMAGES}/{name}" for name in names]
    masks = [f"{MASKS}/{name}" for name in write_masks(path.with_name(MASKS), reconstruction, names)]
    if not path.with_name(POINTS).is_file():
        write_ply(path.with_name(POINTS), reconstruction.points())  # splatfacto starts from them
    write_nerfstudio(path, reconstruction.trajectory, files, POINTS, masks)


def _colmap(model: Path, reconstruction: Reconstruction) -> None:
    """`colmap/sparse/0`, `colmap/images` and `colmap/masks`: where nerfstudio, gsplat and Brush look for them."""
    images = model.with_name(IMAGES)
    names, trajectory = _images(images, reconstruction), reconstruction.trajectory
    for name in names:
        _link(images / name, model / IMAGES / name)
    for name in write_masks(model.with_name(MASKS), reconstruction, names):
        _link(model.with_name(MASKS) / name, model / MASKS / name)
    points = no_points()
    inverse_depth = reconstruction.render_frames().inverse_depth
    if inverse_depth.isfinite().any():
        reader, size = reconstruction.source_video(), reconstruction.image_size
        clip = read_clip(reader, trajectory.indices.tolist(), size, as_bytes=True)
        points = track_points(clip.frames, trajectory, inverse_depth, sorted(set(reconstruction.keyframes)))
    write_colmap(model / "sparse" / "0", trajectory, names, points)


def _link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        target.write_bytes(source.read_bytes())


def _page(path: Path, reconstruction: Reconstruction) -> None:
    reconstruction.need_volumes()
    cameras, depth = reconstruction.cameras, reconstruction.scene_depth
    about = {
        "name": reconstruction.name, "size": reconstruction.source.image_size, "rate": reconstruction.frame_rate,
        "depth": depth, "frustum": frustum_scale(cameras, depth), "sharpness": reconstruction.gaussians_width,
    }  # fmt: skip
    gaussians = reconstruction.gaussians()
    drawn = draw(gaussians, MOST_ON_A_PAGE)
    wider = (len(gaussians) / max(len(drawn), 1)) ** 0.5  # closes the gaps
    write_splat_page(path, replace(drawn, scale=drawn.scale * wider), cameras, about)


def _as_gaussians(
    write: Callable[[Path, GaussianCloud], None], product: str, library: str | None = None
) -> ExportFormat:
    return ExportFormat(lambda path, made: write(path, made.gaussians()), product, True, False, True, library)


# A new one also stands in docs/exports.md and in EXPORTS of the command line, which must not import torch.
FORMATS: dict[str, ExportFormat] = {
    "kitti": ExportFormat(lambda path, made: write_kitti(path, made.trajectory), "cameras_kitti.txt"),
    "tum": ExportFormat(lambda path, made: write_tum(path, made.trajectory), "cameras_tum.txt"),
    "points": ExportFormat(lambda path, made: write_ply(path, made.points()), POINTS),
    "gaussians": replace(_as_gaussians(write_gaussians, "gaussians.ply"), in_all=True),
    "gaussians-sh3": _as_gaussians(partial(write_gaussians, degree=3), "gaussians_sh3.ply"),
    "compressed-ply": _as_gaussians(write_compressed_ply, "gaussians.compressed.ply", "gsply"),
    "spz": _as_gaussians(write_spz, "gaussians.spz", "gsply"),
    "sog": _as_gaussians(write_sog, "gaussians.sog"),
    "gltf": _as_gaussians(write_gltf, "gaussians.glb", "pygltflib"),
    "html": ExportFormat(_page, "scene.html", True, True, True),
    "depth": ExportFormat(_depth, "depth", True),
    "nerfstudio": ExportFormat(_nerfstudio, "transforms.json"),
    "colmap": ExportFormat(_colmap, "colmap"),
}
