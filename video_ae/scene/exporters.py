"""A reconstruction in the formats of other programs: which there are, and how each is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from video_ae.errors import UserError
from video_ae.formats.colmap import no_points, write_colmap
from video_ae.formats.depth_maps import write_depth
from video_ae.formats.frame_images import frame_image_names, write_frame_images
from video_ae.formats.gaussian_ply import write_gaussians
from video_ae.formats.kitti import write_kitti
from video_ae.formats.nerfstudio import write_nerfstudio
from video_ae.formats.ply import write_ply
from video_ae.formats.tum import write_tum
from video_ae.scene.feature_tracks import track_points
from video_ae.types import Scene
from video_ae.videos.load import read_clip

if TYPE_CHECKING:
    from video_ae.scene.reconstruction import Reconstruction
else:
    Reconstruction = object  # its file imports this one

IMAGES = "images"
POINTS = "points.ply"
SHARED = (IMAGES, POINTS)  # what formats write beside their own product


@dataclass(frozen=True)
class ExportFormat:
    """A format that a reconstruction can be written in.

    Args:
        write: writes a reconstruction into a folder; raises UserError where it has nothing for the format.
        product: the file or folder that belongs to this format alone.
        needs_volumes: whether the structure codes must have a depth.
    """

    write: Callable[[Path, Reconstruction], None]
    product: str
    needs_volumes: bool = False


def write_formats(folder: Path, names: Sequence[str], reconstruction: Reconstruction) -> None:
    """Writes formats into a folder.

    Args:
        folder: exists.
        names: keys of `FORMATS`.
        reconstruction: what is written.

    Raises:
        UserError: a format needs what the reconstruction does not have.
    """
    for name in names:
        FORMATS[name].write(folder, reconstruction)


def chosen_formats(given: Sequence[str]) -> tuple[str, ...]:
    """Keys of `FORMATS` from what a person wrote.

    Args:
        given: names of formats, or `all`, or `none`.

    Raises:
        UserError: there is no format of a name, or `all` or `none` stand beside others.

    >>> chosen_formats(["tum", "kitti"])
    ('kitti', 'tum')
    """
    known = (*FORMATS, "all", "none")
    for name in given:
        if name not in known:
            raise UserError(f"There is no export {name!r}: choose from {', '.join(known)}.")
    if len(given) > 1 and {"all", "none"} & set(given):
        raise UserError("`all` and `none` stand alone: give one of them, or names.")
    return tuple(name for name in FORMATS if "all" in given or name in given)


def available_formats(scene: Scene) -> tuple[str, ...]:
    """The formats that a scene has something for.

    Args:
        scene: of a reconstruction.
    """
    return tuple(name for name, one in FORMATS.items() if scene.volumes or not one.needs_volumes)


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


FORMATS: dict[str, ExportFormat] = {
    "kitti": ExportFormat(_kitti, "cameras_kitti.txt"),
    "tum": ExportFormat(_tum, "cameras_tum.txt"),
    "points": ExportFormat(_points, POINTS),
    "gaussians": ExportFormat(_gaussians, "gaussians.ply", needs_volumes=True),
    "depth": ExportFormat(_depth, "depth", needs_volumes=True),
    "nerfstudio": ExportFormat(_nerfstudio, "transforms.json"),
    "colmap": ExportFormat(_colmap, "colmap"),
}
