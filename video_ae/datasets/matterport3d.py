"""Matterport3D (Chang et al., Matterport3D: Learning from RGB-D Data in Indoor Environments, 2017)."""

import re
from collections.abc import Iterator
from pathlib import Path

import torch

from video_ae.datasets.pinholes import image_size_of
from video_ae.datasets.posed_frames import PosedFrames, PosedVideos
from video_ae.errors import UserError
from video_ae.formats.interop import OPENCV_FROM_OPENGL
from video_ae.formats.number_files import as_numbers, poses_of_rows, read_lines

IMAGES = "undistorted_color_images"
PARAMETERS = "undistorted_camera_parameters"
# <panorama>_i<camera, 0 looks up, 1 level, 2 down>_<stop of the rotating tripod, 0 to 5>.jpg
_NAME = re.compile(r"(?P<panorama>.+)_i(?P<camera>\d)_(?P<stop>\d)\.\w+")


class Matterport3D(PosedVideos):
    """A scan's folder with `undistorted_camera_parameters/<scan>.conf` and `undistorted_color_images`.

    Or a folder of scans (`v1/scans`). A video is a panorama: the 18 images that were taken from one position of the
    tripod. They are in an order in which neighbours overlap: the tripod rotates by 60 degrees six times, and at each
    stop the three cameras, 42 degrees apart, come from top to bottom or from bottom to top in turn. (Level images
    alone, of 62 degrees, would hardly overlap.) Why no pairs of panoramas: SynSin's pairs were rendered from the meshes
    by Habitat while training, at most 0.3 m and about 20 degrees apart (https://github.com/facebookresearch/synsin,
    data/create_rgb_dataset.py), and are no files; panoramas are some two metres apart, often with a wall between, which
    the cameras do not say. So these videos are **pure rotations**: good for rotations and as images, while nothing
    about depth can be learnt from them.

    Format: https://github.com/niessner/Matterport/blob/master/data_organization.md. `scan` lines have 4x4
    world_from_camera, row by row, in metres, OpenGL axes (x right, y up, z backward), so that columns y and z change
    sign. `intrinsics_matrix` applies to the lines below it. Images there begin at the *bottom* left: cy is counted
    from the centre of the last row upwards (the same camera has 509.202 here and 513.798 = 1023 - 509.202 in
    `matterport_camera_intrinsics`), cx from the centre of the first column. Depth and meshes are not read.
    """

    format = f"Matterport3D ({PARAMETERS}, {IMAGES})"
    marks = (f"{PARAMETERS}/*.conf",)

    def find(self, root: Path) -> dict[str, Path]:
        """Name -> `<scan>.conf/<panorama>` of each video; the file itself where it names no image.

        Args:
            root: the folder of the data set.
        """
        found = {}
        for name, scan in super().find(root).items():
            for conf in sorted((scan / PARAMETERS).glob("*.conf")):
                panoramas = {entry["panorama"]: None for _, entry, _, _ in _scans(conf)}
                found.update({f"{name}/{panorama}": conf / panorama for panorama in panoramas} or {name: conf})
        return found

    def read(self, path: Path) -> PosedFrames:
        if path.suffix == ".conf":
            raise UserError(f"{str(path)!r} has no line `scan` that names an image.")
        conf, panorama = path.parent, path.name
        seen = [scan for scan in _scans(conf) if scan[1]["panorama"] == panorama]
        seen.sort(key=lambda scan: _order(scan[1]))
        files = [conf.parent.parent / IMAGES / entry[0] for _, entry, _, _ in seen]
        height = image_size_of(files)[1]
        poses = [as_numbers(conf, line, words, 16, finite=False) for line, _, words, _ in seen]
        intrinsics = [_intrinsics(conf, line, words, height) for _, _, _, (line, words) in seen]
        world_from_camera = poses_of_rows(conf, torch.tensor(poses, dtype=torch.float64)) * OPENCV_FROM_OPENGL
        return PosedFrames(files, world_from_camera, torch.tensor(intrinsics, dtype=torch.float64))


def _scans(conf: Path) -> Iterator[tuple[int, re.Match[str], list[str], tuple[int, list[str]]]]:
    """(line, name of the image, words of its pose, (line, words) of its intrinsics) of each image."""
    intrinsics: tuple[int, list[str]] = (0, [])
    for line, (command, *words) in read_lines(conf):
        if command == "intrinsics_matrix":
            intrinsics = (line, words)
        elif command == "scan" and len(words) > 1 and (name := _NAME.fullmatch(words[1])):
            yield line, name, words[2:], intrinsics


def _order(name: re.Match[str]) -> tuple[int, int]:
    """Sorts the images of a panorama: by stop, cameras down and up in turn."""
    stop, camera = int(name["stop"]), int(name["camera"])
    return stop, camera if stop % 2 == 0 else -camera


def _intrinsics(conf: Path, line: int, words: list[str], height: int) -> list[float]:
    """(fx, fy, cx, cy) in pixels from the top left corner; the centre of the first pixel is (0.5, 0.5)."""
    if not words:
        raise UserError(f"{str(conf)!r} has an image before the first line `intrinsics_matrix`.")
    fx, _, cx, _, fy, cy, *_ = as_numbers(conf, line, words, 9)
    return [fx, fy, cx + 0.5, height - 0.5 - cy]
