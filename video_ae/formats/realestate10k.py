"""RealEstate10K's camera files (Zhou et al., Stereo Magnification, 2018): `cameras/<clip>.txt`.

A line that names the source, then one line a frame: `timestamp fx fy cx cy 0 0` and the 3x4 camera_from_world matrix,
row by row, OpenCV axes. Timestamps are microseconds; intrinsics are divided by width (fx, cx) and height (fy, cy).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.number_files import as_numbers, poses_of_rows, read_lines
from video_ae.geometry.se3 import invert, is_rotation

COLUMNS = 19


@dataclass(frozen=True)
class CameraFile:
    """The cameras of one clip, frame by frame.

    Args:
        timestamps: as written in the file (microseconds), which also name the images.
        world_from_camera: rigid, OpenCV axes.
        intrinsics: (fx, fy, cx, cy) divided by width and height.
    """

    timestamps: list[str]
    world_from_camera: Float64[Tensor, "frame 4 4"]
    intrinsics: Float64[Tensor, "frame 4"]


def read_realestate10k(path: str | Path) -> CameraFile:
    """The cameras of a clip.

    Args:
        path: its camera file.

    Raises:
        UserError: when the file cannot be read, a line has another number of values, or a matrix is no rotation.
    """
    lines = [(number, words) for number, words in read_lines(path) if number > 1]
    if not lines:
        raise UserError(f"{str(path)!r} has no line with a camera.")
    rows = torch.tensor([as_numbers(path, number, words, COLUMNS) for number, words in lines], dtype=torch.float64)
    camera_from_world = poses_of_rows(path, rows[:, 7:])
    if not is_rotation(camera_from_world[:, :3, :3]).all():
        raise UserError(f"{str(path)!r} has a matrix whose left 3x3 part is no rotation.")
    return CameraFile([words[0] for _, words in lines], invert(camera_from_world), rows[:, 1:5])
