"""What the page shows of a folder that `video-ae reconstruct` wrote, and the files that a client can download."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import MARK
from video_ae.formats.cameras_json import write_cameras_json
from video_ae.formats.ply import PointCloud, read_ply, write_ply
from video_ae.geometry.resize import plan_resizing, short_side_size
from video_ae.scene.exporters import POINTS
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.rendering import render_chunks, to_bytes
from video_ae.scene.result_files import INPUT_VIDEO
from video_ae.videos.load import read_resized_bytes
from video_ae.videos.open import open_video
from video_ae.viewer.views import View, as_array, camera_of_view

FRAME_SIDE, SMALL_SIDE = 144, 72  # shorter side of the input frames on the page; the latter for long videos
MANY_FRAMES = 500
BACKGROUND = 0.93  # grey of the page where nothing was seen
DOWNLOADS = ("points.ply", "cameras.json", "scene.html", "colmap.zip")


@dataclass(frozen=True)
class Contents:
    """A reconstruction, with what the page shows of its files.

    Args:
        reconstruction: of the folder.
        frames: the input, reduced in size, RGB in 0 .. 255.
        points: in the world of its cameras.
    """

    reconstruction: Reconstruction
    frames: UInt8[Tensor, "frame 3 height width"]
    points: PointCloud

    def __len__(self) -> int:
        return len(self.reconstruction)

    def render(self, view: View, size: tuple[int, int]) -> np.ndarray:
        """The model's image of a view: [height, width, 3] in 0 .. 255, in the page's colour where nothing was seen.

        Args:
            view: what a client looks at.
            size: (width, height) of the image.
        """
        views = next(render_chunks(self.reconstruction, camera_of_view(view), size))
        image = views.rgb + (1 - views.opacity[:, None].clamp(0, 1)) * BACKGROUND
        return as_array(to_bytes(image)[0])


def load_contents(directory: Path, device: str = "auto") -> Contents:
    """What the page shows of a folder.

    Args:
        directory: what `video-ae reconstruct` wrote.
        device: on which the page's images are rendered: "auto", or a name that torch knows.

    Raises:
        UserError: the folder is missing, holds no reconstruction, or a damaged one; or the device is not available.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f"{str(directory)!r} is no folder: give one that `video-ae reconstruct` wrote.")
    reconstruction = Reconstruction.load(directory, device)
    exported = directory / POINTS
    points = read_ply(exported) if exported.is_file() else reconstruction.points()
    return Contents(reconstruction, _frames(directory / INPUT_VIDEO, len(reconstruction)), points)


def _frames(path: Path, count: int) -> UInt8[Tensor, "frame 3 height width"]:
    """The left half of the video that shows the input beside the rendering."""
    reader = open_video(path, "pyav")  # the others take a second longer to import
    if len(reader) != count:
        raise UserError(f"{str(path)!r} has {len(reader)} frames and not {count}: reconstruct the video again.")
    width, height = reader.image_size
    small = short_side_size((width // 2, height), FRAME_SIDE if count <= MANY_FRAMES else SMALL_SIDE)
    resizing = plan_resizing(reader.image_size, (2 * small[0], small[1]), "stretch")
    parts = [part[..., : small[0]].clone() for _, part in read_resized_bytes(reader, range(count), resizing)]
    return torch.cat(parts)


def confidence_colours(confidence: Float[Tensor, "point"]) -> UInt8[Tensor, "point 3"]:
    """Colours for confidences, from dark violet (a guess) to yellow (well determined).

    Args:
        confidence: 0 to 1.
    """
    rgba = colormaps["viridis"](confidence.clamp(0, 1).numpy(), bytes=True)
    return torch.from_numpy(np.ascontiguousarray(rgba[:, :3]))


def shown_points(cloud: PointCloud, colouring: str, least: float) -> tuple[Tensor, Tensor]:
    """Points and their colours (RGB in 0 .. 255).

    Args:
        cloud: of the scene.
        colouring: `image`, or `confidence` for `confidence_colours`.
        least: points of less confidence are left out.
    """
    kept = cloud.select(cloud.confidence >= least)
    return kept.points, kept.colors if colouring == "image" else confidence_colours(kept.confidence)


def describe_contents(contents: Contents) -> str:
    """Two lines of Markdown about a reconstruction, and its notes.

    Args:
        contents: of the page.
    """
    reconstruction = contents.reconstruction
    text = (
        f"**{reconstruction.name}** \n{len(contents)} frames, {len(contents.points):,} points, focal length "
        f"{reconstruction.focal:.3f} × width, mean confidence {reconstruction.confidence.mean().item():.2f}"
    )
    return "\n\n".join([text, *(f"*{note}*" for note in reconstruction.notes)])


def folder_version(directory: Path) -> tuple[int, int] | None:
    """What changes when a reconstruction is replaced: (inode, time) of its summary; None while it is not there.

    Args:
        directory: what `video-ae reconstruct` wrote.
    """
    try:
        status = (Path(directory) / MARK).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def download(name: str, contents: Contents) -> bytes:
    """The bytes of a file, made by the exporters of `video-ae export`.

    `colmap.zip` needs the video, unless the folder has a colmap model already.

    Args:
        name: one of `DOWNLOADS`.
        contents: of the page.

    Raises:
        UserError: the video is needed and gone, or the codes have no depth.
    """
    reconstruction = contents.reconstruction
    with TemporaryDirectory() as temporary:
        target = Path(temporary) / name
        if name == "points.ply":
            write_ply(target, contents.points)
        elif name == "cameras.json":
            write_cameras_json(target, reconstruction.trajectory)
        elif name == "scene.html":
            reconstruction.export(target.parent, ["html"])
        else:
            folder = reconstruction.folder or target.parent
            if not (folder / "colmap").is_dir():
                folder = target.parent
                reconstruction.export(folder, ["colmap"])
            shutil.make_archive(str(target.with_suffix("")), "zip", folder, "colmap")
        return target.read_bytes()
