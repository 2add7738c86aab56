"""A reconstruction in the formats of other programs: which there are, and how each is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.colmap import no_points, write_colmap
from video_ae.formats.depth_maps import write_depth
from video_ae.formats.frame_images import frame_image_names, write_frame_images
from video_ae.formats.gaussian_ply import write_gaussians
from video_ae.formats.kitti import write_kitti
from video_ae.formats.nerfstudio import write_nerfstudio
from video_ae.formats.ply import PointCloud, write_ply
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.formats.tum import write_tum
from video_ae.geometry.trajectories import scene_depth
from video_ae.scene.feature_tracks import track_points
from video_ae.scene.gaussians import scene_gaussians
from video_ae.scene.points import LEAST_OPACITY, scene_points
from video_ae.scene.rendering import SceneModel, render_chunks
from video_ae.types import Cameras, Scene
from video_ae.videos.base import VideoReader
from video_ae.videos.load import read_clip

PICTURES = "images"
POINTS = "points.ply"


@dataclass(frozen=True)
class ExportJob:
    """What the formats are made from; each part is computed once, when a format asks for it.

    track: cameras of the scene, as files hold them. size: (width, height) of the pictures that are rendered.
    reader: opens the source, for the formats that hold its pictures; raises UserError where it is gone.
    rendered: 1 / z seen by each frame (NaN: not known), where somebody has rendered the frames already.
    """

    model: SceneModel
    scene: Scene
    track: CameraTrajectory
    size: tuple[int, int]
    reader: Callable[[], VideoReader]
    rendered: Float32[Tensor, "frame height width"] | None = None

    @cached_property
    def depth(self) -> float:
        """A typical depth of the scene."""
        return scene_depth(self.scene.camera.inverse_depth)

    @cached_property
    def cloud(self) -> PointCloud:
        return scene_points(self.model, self.scene, self.size, self.depth)

    @cached_property
    def inverse_depth(self) -> Float32[Tensor, "frame height width"]:
        """1 / z that each frame's camera sees; NaN where too little was met."""
        if self.rendered is not None:
            return self.rendered
        cameras = self.scene.camera.cameras
        path = Cameras(cameras.world_from_camera[0], cameras.intrinsics[0])
        maps = []
        for _, views in render_chunks(self.model, self.scene, path, self.size):
            maps.append(known_inverse_depth(views.disparity[0], views.opacity[0]))
        return torch.cat(maps)


def known_inverse_depth(disparity: Tensor, opacity: Tensor) -> Float32[Tensor, "view height width"]:
    """1 / z of what was seen, from the renderer's sum over the ray; NaN where the ray met too little."""
    value = (disparity / opacity.clamp_min(1e-3)).float()
    return torch.where((opacity > LEAST_OPACITY) & (value > 0), value, torch.full_like(value, torch.nan))


def write_exports(folder: Path, names: Sequence[str], job: ExportJob) -> None:
    """Writes the named formats into a folder. Raises UserError where a format needs what the scene does not have."""
    for name in names:
        EXPORTS[name](folder, job)


def chosen_exports(given: Sequence[str]) -> tuple[str, ...]:
    """Names of formats from what a person wrote: names, `all`, or `none`. Raises UserError for others.

    >>> chosen_exports(["tum", "kitti"])
    ('kitti', 'tum')
    """
    known = (*EXPORTS, "all", "none")
    for name in given:
        if name not in known:
            raise UserError(f"There is no export {name!r}: choose from {', '.join(known)}.")
    if len(given) > 1 and {"all", "none"} & set(given):
        raise UserError("`all` and `none` stand alone: give one of them, or names.")
    if "all" in given:
        return tuple(EXPORTS)
    return tuple(name for name in EXPORTS if name in given)


def possible_exports(scene: Scene) -> tuple[str, ...]:
    """The formats that this scene has something for: codes that are no frustum voxels have no depth."""
    return tuple(name for name in EXPORTS if scene.structures or name not in ("gaussians", "depth"))


def _tum(folder: Path, job: ExportJob) -> None:
    write_tum(folder / "cameras_tum.txt", job.track)


def _kitti(folder: Path, job: ExportJob) -> None:
    write_kitti(folder / "cameras_kitti.txt", job.track)


def _points(folder: Path, job: ExportJob) -> None:
    write_ply(folder / POINTS, job.cloud)


def _gaussians(folder: Path, job: ExportJob) -> None:
    _need_depth(job)
    write_gaussians(folder / "gaussians.ply", scene_gaussians(job.scene))


def _need_depth(job: ExportJob) -> None:
    if not job.scene.structures:
        raise UserError(
            f"{type(job.model).__name__} has no frustum voxels, from which depth and Gaussians are made: take weights "
            "of the perspective model, or another export."
        )


def _depth(folder: Path, job: ExportJob) -> None:
    _need_depth(job)
    write_depth(folder / "depth", 1 / job.inverse_depth, job.track.indices.tolist(), job.track.image_size)


def _pictures(folder: Path, job: ExportJob) -> list[str]:
    """Names of the frames' pictures in `images/`, which two formats share and the first of them writes."""
    indices = job.track.indices.tolist()
    names = frame_image_names(indices)
    if not all((folder / PICTURES / name).is_file() for name in names):
        write_frame_images(folder / PICTURES, job.reader(), indices)
    return names


def _nerfstudio(folder: Path, job: ExportJob) -> None:
    names = _pictures(folder, job)
    if not (folder / POINTS).is_file():
        _points(folder, job)  # splatfacto starts from them
    write_nerfstudio(folder / "transforms.json", job.track, [f"{PICTURES}/{name}" for name in names], POINTS)


def _colmap(folder: Path, job: ExportJob) -> None:
    """`colmap/sparse/0` and `colmap/images`: where nerfstudio and gsplat look for them."""
    names = _pictures(folder, job)
    model = folder / "colmap"
    for name in names:
        _link(folder / PICTURES / name, model / PICTURES / name)
    clip = read_clip(job.reader(), job.track.indices.tolist(), job.size)
    points = no_points()
    if job.inverse_depth.isfinite().any():
        points = track_points(clip.frames, job.track, job.inverse_depth, sorted(set(job.scene.keyframes)))
    write_colmap(model / "sparse" / "0", job.track, names, points)


def _link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        target.write_bytes(source.read_bytes())


EXPORTS: dict[str, Callable[[Path, ExportJob], None]] = {
    "kitti": _kitti,
    "tum": _tum,
    "points": _points,
    "gaussians": _gaussians,
    "depth": _depth,
    "nerfstudio": _nerfstudio,
    "colmap": _colmap,
}
PRODUCTS = {
    "kitti": "cameras_kitti.txt",
    "tum": "cameras_tum.txt",
    "points": POINTS,
    "gaussians": "gaussians.ply",
    "depth": "depth",
    "nerfstudio": "transforms.json",
    "colmap": "colmap",
}
SHARED = (PICTURES, POINTS)  # what formats write beside their own product
