"""The TUM RGB-D benchmark (Sturm et al., A Benchmark for the Evaluation of RGB-D SLAM Systems, 2012)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from video_ae.datasets.lenses import Lens
from video_ae.datasets.posed_frames import PosedFrames, PosedVideos, scenes_in
from video_ae.errors import UserError
from video_ae.formats.number_files import as_numbers, read_lines, read_table
from video_ae.geometry.se3 import rigid, rotation_from_quaternion
from video_ae.videos.image_folder import ImageFolderReader

LONGEST_WAIT = 0.02  # seconds between a picture and its pose, as in the benchmark's associate.py
SIZE = (640, 480)  # pixels of the pictures that the values below are for
# fx, fy, cx, cy with the first pixel's middle at (0, 0): the page's "Intrinsic Camera Calibration of the Kinect".
PUBLISHED = {"1": (517.3, 516.5, 318.6, 255.3), "2": (520.9, 521.0, 325.1, 249.7), "3": (535.4, 539.2, 320.1, 247.6)}
ROS_DEFAULT = (525.0, 525.0, 319.5, 239.5)


class TumRgbd(PosedVideos):
    """A sequence's folder with rgb.txt, the pictures that it names and groundtruth.txt; or a folder of such.

    Format: https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats. A line of groundtruth.txt is `timestamp tx
    ty tz qx qy qz qw` (seconds, metres): place and orientation of the colour camera's optical centre in the world, so
    world_from_camera, with OpenCV axes. A picture has the pose that is nearest in time, within `LONGEST_WAIT`, as in
    the benchmark's own associate.py, so that results compare with published ones: at 100 poses a second it is at most
    5 ms off (0.3 degrees at 60 degrees a second), and where the markers were lost interpolation would make up a pose.
    Pictures without a pose are left out. Depth is not read. Sequences without groundtruth.txt (the benchmark's
    validation sequences) have clips without cameras.

    Intrinsics by the `freiburg1`, `2`, `3` (or `fr1`, ...) in the folder's name, else ROS's defaults of the same page.
    The lens is not undone: pictures of freiburg1 and 2 are distorted as published (k1 0.26, k2 -0.95, p1 -0.005,
    p2 0.003, k3 1.16 and much alike), which moves a corner of the picture of 640 pixels by up to 37 of them (freiburg1)
    or 27 (freiburg2); those of freiburg3 are free of it. The cameras are given all the same: the poses come from motion
    capture and owe nothing to the lens.
    """

    format: ClassVar[str] = "TUM RGB-D (rgb.txt, groundtruth.txt)"

    @staticmethod
    def recognises(root: Path) -> bool:
        return bool(scenes_in(root, _holds_sequence))

    def find(self, root: Path) -> Mapping[str, Path]:
        return scenes_in(root, _holds_sequence)

    def read(self, path: Path) -> PosedFrames:
        times, files = _pictures(path / "rgb.txt")
        truth = path / "groundtruth.txt"
        if not truth.is_file():
            still = torch.eye(4, dtype=torch.float64).expand(len(files), 4, 4)
            return PosedFrames(files, still, None, times)
        poses = read_table(truth, 8)
        nearest, near = nearest_in_time(times, poses[:, 0])
        if not near.any():
            raise UserError(f"No picture of {str(path)!r} has a pose in groundtruth.txt within {LONGEST_WAIT} s.")
        files = [file for file, is_near in zip(files, near.tolist(), strict=True) if is_near]
        poses = poses[nearest[near]]
        fx, fy, cx, cy = intrinsics_of(path.resolve().name)
        lens = Lens(SIZE, (fx, fy), (cx + 0.5, cy + 0.5))
        size = ImageFolderReader(path, files[:1]).image_size
        return PosedFrames(
            files,
            rigid(rotation_from_quaternion(poses[:, 4:]), poses[:, 1:4]),
            torch.tensor([lens.intrinsics_at(size)], dtype=torch.float64).expand(len(files), 4),
            times[near],
        )


def intrinsics_of(name: str) -> tuple[float, float, float, float]:
    """(fx, fy, cx, cy) of a sequence by its name, in pixels of 640x480, the first pixel's middle at (0, 0).

    >>> intrinsics_of("rgbd_dataset_freiburg3_long_office_household")
    (535.4, 539.2, 320.1, 247.6)
    """
    camera = re.search(r"(?:freiburg|(?<![a-z])fr)([123])(?!\d)", name.lower())
    return PUBLISHED[camera[1]] if camera else ROS_DEFAULT


def nearest_in_time(
    times: Float64[Tensor, "picture"], stamps: Float64[Tensor, "pose"]
) -> tuple[Int64[Tensor, "picture"], Bool[Tensor, "picture"]]:
    """(number of the pose nearest in time to each picture, whether it is within `LONGEST_WAIT`); seconds, any order."""
    ordered, order = stamps.sort()
    after = torch.searchsorted(ordered, times).clamp(max=len(ordered) - 1)
    before = (after - 1).clamp_min(0)
    place = torch.where((ordered[before] - times).abs() <= (ordered[after] - times).abs(), before, after)
    return order[place], (ordered[place] - times).abs() <= LONGEST_WAIT


def _holds_sequence(folder: Path) -> bool:
    return (folder / "rgb.txt").is_file()


def _pictures(listed: Path) -> tuple[Float64[Tensor, "picture"], list[Path]]:
    """Seconds and file of each line `timestamp filename`."""
    times, files = [], []
    for number, words in read_lines(listed):
        if len(words) != 2:
            raise UserError(f"{str(listed)!r}, line {number}: a timestamp and a file name are expected.")
        times += as_numbers(listed, number, words[:1], 1)
        files.append(listed.parent / words[1])
    return torch.tensor(times, dtype=torch.float64), files
