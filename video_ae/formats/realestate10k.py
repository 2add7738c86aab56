"""RealEstate10K's camera files (Zhou et al., Stereo Magnification, 2018): `cameras/<clip>.txt`.

A line that names the source, then one line a frame: `timestamp fx fy cx cy k1 k2` and the 3x4 camera_from_world matrix,
row by row, OpenCV axes. Timestamps are microseconds; intrinsics are divided by width (fx, cx) and height (fy, cy). The
published files have zeros for k1 and k2, the radial distortion as OpenCV defines it. Some programs leave out the first
line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.lens import Lens
from video_ae.formats.number_files import as_numbers, poses_of_rows, read_lines
from video_ae.geometry.se3 import invert
from video_ae.types import Cameras

COLUMNS = 19
_WIDTH = 1000  # of the images that lenses are for; the files do not say it


@dataclass(frozen=True)
class CameraFile:
    """The cameras of one clip, frame by frame.

    Args:
        timestamps: as written in the file (microseconds), which also name the images.
        cameras: in float64; no pose (`video_ae.geometry.se3.is_rigid`) where a line has none.
        distortion: k1, k2 of each frame.
    """

    timestamps: list[str]
    cameras: Cameras
    distortion: Float64[Tensor, "frame 2"]

    def select(self, lines: Sequence[int]) -> "CameraFile":
        """Some of the frames, in the given order.

        Args:
            lines: their numbers from 0.
        """
        chosen = list(lines)
        stamps = [self.timestamps[line] for line in chosen]
        return CameraFile(stamps, self.cameras.select(chosen), self.distortion[chosen])

    def lenses(self) -> set[Lens]:
        """The different lenses of the frames; their images have square pixels.

        Raises:
            UserError: when a focal length is no positive number.
        """
        rows = torch.cat([self.cameras.intrinsics, self.distortion], -1).unique(dim=0).tolist()
        return {_lens(*row) for row in rows}


def read_realestate10k(path: str | Path) -> CameraFile:
    """The cameras of a clip.

    Args:
        path: its camera file.

    Raises:
        UserError: when the file cannot be read or a line has another number of values.
    """
    lines = read_lines(path)
    lines = lines if _is_camera(lines[0][1]) else [(number, words) for number, words in lines if number > 1]
    if not lines:
        raise UserError(f"{str(path)!r} has no line with a camera.")
    table = [as_numbers(path, number, words, COLUMNS, finite=False) for number, words in lines]
    rows = torch.tensor(table, dtype=torch.float64)
    cameras = Cameras(invert(poses_of_rows(path, rows[:, 7:])), rows[:, 1:5])
    return CameraFile([words[0] for _, words in lines], cameras, rows[:, 5:7])


def _is_camera(words: list[str]) -> bool:
    """Whether a first line is a camera: several numbers."""
    try:
        return len([float(word) for word in words]) > 1
    except ValueError:
        return False


def _lens(fx: float, fy: float, cx: float, cy: float, k1: float, k2: float) -> Lens:
    if not (fx > 0 and fy > 0):
        raise UserError("A focal length is not a positive number.")
    scale = _WIDTH * fx / fy  # pixels of the height
    return Lens((_WIDTH, round(scale)), (fx * _WIDTH, fy * scale), (cx * _WIDTH, cy * scale), (k1, k2))
