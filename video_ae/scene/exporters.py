"""A reconstruction in the formats of other programs: which there are, and how each is written."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from video_ae.errors import UserError
from video_ae.formats.colmap import no_points, write_colmap
from video_ae.formats.depth_maps import write_depth
from video_ae.formats.frame_images import frame_image_names, write_frame_images
from video_ae.formats.gaussian_ply import write_gaussians
from video_ae.formats.kitti import write_kitti
from video_ae.formats.nerfstudio import write_nerfstudio
from video_ae.formats.ply import write_ply
from video_ae.formats.tum import write_tum
from video_ae.scene.annotations import Reconstruction
from video_ae.scene.feature_tracks import track_points
from video_ae.types import Scene
from video_ae.videos.load import read_clip

IMAGES = "images"
POINTS = "points.ply"
SHARED = (IMAGES, POINTS)  # what formats write beside their own product


@dataclass(frozen=True)
class ExportFormat:
    """A format that a reconstruction can be written in.

    Args:
        write: writes a reconstruction into a folder; raises UserError where it has nothing for the format.
        product: the file or folder that belongs to this format alone; None where only `write` knows.
        needs_volumes: whether the structure codes must have a depth.
    """

    write: Callable[[Path, Reconstruction], object]
    product: str | None = None
    needs_volumes: bool = False


def chosen_formats(given: Sequence[str], scene: Scene | None = None) -> dict[str, ExportFormat]:
    """Formats by name, from what a person wrote.

    Args:
        given: keys of `FORMATS`, `module.function` for formats of one's own (docs/extending.md), or `all`, or `none`.
        scene: of a reconstruction, where there is one already; `all` leaves out what it has nothing for.

    Raises:
        UserError: there is no format of a name, or `all` or `none` stand beside others.

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
        return {name: one for name, one in FORMATS.items() if not (flat and one.needs_volumes)}
    own = {name: _own_format(name) for name in given if "." in name}
    return {name: one for name, one in FORMATS.items() if name in given} | own


def _own_format(name: str) -> ExportFormat:
    module, _, function = name.rpartition(".")
    try:
        write = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{name!r} names no export ({error}): is its module on PYTHONPATH?") from error
    if not callable(write):
        raise UserError(f"{name!r} is no function that writes an export (docs/extending.md).")
    return ExportFormat(write)


def _tum(folder: Path, reconstruction: Reconstruction) -> None:
    write_tum(folder / "cameras_tum.txt", reconstruction.trajectory)


def _kitti(folder: Path, reconstruction: Reconstruction) -> None:
    write_kitti(folder / "cameras_kitti.txt", reconstruction.trajectory)


def _points(folder: Path, reconstruction: Reconstruction) -> None:
    write_ply(folder / POINTS, reconstruction.points())


def _gaussians(folder: Path, reconstruction: Reconstruction) -> None:
    write_gaussians(folder / "gaussians.ply", reconstruction.gaussians())


def _depth(folder: Path, reconstruction: Reconstruction) -> None:
    reconstruction.need_volumes()
    trajectory = reconstruction.trajectory
    write_depth(folder / "depth", reconstruction.depth_maps(), trajectory.indices.tolist(), trajectory.image_size)


def _images(folder: Path, reconstruction: Reconstruction) -> list[str]:
    """Names of the frames' files in `images/`, which two formats share and the first of them writes."""
    indices = reconstruction.trajectory.indices.tolist()
    names = frame_image_names(indices)
    if not all((folder / IMAGES / name).is_file() for name in names):
        write_frame_images(folder / IMAGES, reconstruction.source.open(), indices)
    return names


def _nerfstudio(folder: Path, reconstruction: Reconstruction) -> None:
    names = _images(folder, reconstruction)
    if not (folder / POINTS).is_file():
        _points(folder, reconstruction)  # splatfacto starts from them
    files = [f"{IMAGES}/{name}" for name in names]
    write_nerfstudio(folder / "transforms.json", reconstruction.trajectory, files, POINTS)


def _colmap(folder: Path, reconstruction: Reconstruction) -> None:
    """`colmap/sparse/0` and `colmap/images`: where nerfstudio and gsplat look for them."""
    names, trajectory = _images(folder, reconstruction), reconstruction.trajectory
    model = folder / "colmap"
    for name in names:
        _link(folder / IMAGES / name, model / IMAGES / name)
    points = no_points()
    inverse_depth = reconstruction.render_frames().inverse_depth
    if inverse_depth.isfinite().any():
        clip = read_clip(reconstruction.source.open(), trajectory.indices.tolist(), reconstruction.image_size)
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


# A new one also stands in docs/exports.md and in EXPORTS of the command line, which must not import torch.
FORMATS: dict[str, ExportFormat] = {
    "kitti": ExportFormat(_kitti, "cameras_kitti.txt"),
    "tum": ExportFormat(_tum, "cameras_tum.txt"),
    "points": ExportFormat(_points, POINTS),
    "gaussians": ExportFormat(_gaussians, "gaussians.ply", needs_volumes=True),
    "depth": ExportFormat(_depth, "depth", needs_volumes=True),
    "nerfstudio": ExportFormat(_nerfstudio, "transforms.json"),
    "colmap": ExportFormat(_colmap, "colmap"),
}
