"""The TUM RGB-D benchmark (Sturm et al., A Benchmark for the Evaluation of RGB-D SLAM Systems, 2012)."""

import re
from pathlib import Path

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from video_ae.datasets.pinholes import pinhole_intrinsics
from video_ae.datasets.posed_frames import PosedFrames, PosedVideos
from video_ae.errors import UserError
from video_ae.formats.lens import Lens
from video_ae.formats.tum import read_tum, read_tum_images
from video_ae.geometry.se3 import is_rigid

LARGEST_TIME_GAP = 0.02  # seconds between an image and its pose, as in the benchmark's associate.py
SIZE = (640, 480)  # pixels of the images that the values below are for
# fx, fy, cx, cy where the first pixel's centre is (0, 0): the page's "Intrinsic Camera Calibration of the Kinect".
PUBLISHED = {"1": (517.3, 516.5, 318.6, 255.3), "2": (520.9, 521.0, 325.1, 249.7), "3": (535.4, 539.2, 320.1, 247.6)}
ROS_DEFAULT = (525.0, 525.0, 319.5, 239.5)


class TumRgbd(PosedVideos):
    """A sequence's folder with rgb.txt, the images that it names and groundtruth.txt; or a folder of such.

    Formats: `video_ae.formats.tum`; seconds and metres, the pose is that of the colour camera. An image has the pose
    that is nearest in time, within `LARGEST_TIME_GAP`, as in the benchmark's own associate.py, so that results compare
    with published ones: at 100 poses a second it is at most 5 ms off (0.3 degrees at 60 degrees a second), and where
    the markers were lost interpolation would make up a pose. Images without a pose are left out. Depth is not read.
    Sequences without groundtruth.txt (the benchmark's validation sequences) have clips without cameras.

    Intrinsics by the `freiburg1`, `2`, `3` (or `fr1`, ...) in the folder's name, else ROS's defaults of the same page.
    Distortion is not undone: images of freiburg1 and 2 are distorted as published (k1 0.26, k2 -0.95, p1 -0.005,
    p2 0.003, k3 1.16 and much alike), which moves a corner of the image of 640 pixels by up to 37 of them (freiburg1)
    or 27 (freiburg2); those of freiburg3 are free of it. The cameras are given all the same: the poses come from motion
    capture and do not depend on the lens.
    """

    format = "TUM RGB-D (rgb.txt, groundtruth.txt)"
    marks = ("rgb.txt",)

    def read(self, path: Path) -> PosedFrames:
        times, files = read_tum_images(path / "rgb.txt")
        truth = path / "groundtruth.txt"
        if not truth.is_file():
            return PosedFrames(files, times=times)
        stamps, poses = read_tum(truth)
        known = is_rigid(poses) & stamps.isfinite()  # as the benchmark's own scripts pass over the others
        if not known.any():
            raise UserError(f"{str(truth)!r} has no line with a pose.")
        nearest, near = nearest_in_time(times, stamps[known])
        if not near.any():
            raise UserError(f"No image of {str(path)!r} has a pose in groundtruth.txt within {LARGEST_TIME_GAP} s.")
        world_from_camera = poses[known][nearest]
        world_from_camera[~near] = torch.nan
        fx, fy, cx, cy = intrinsics_of(path.resolve().name)
        lens = Lens(SIZE, (fx, fy), (cx + 0.5, cy + 0.5))
        intrinsics = pinhole_intrinsics(str(path), [lens] * len(files), files)
        return PosedFrames(files, world_from_camera, intrinsics, times)


def intrinsics_of(name: str) -> tuple[float, float, float, float]:
    """(fx, fy, cx, cy) of a sequence in pixels of 640x480, where the first pixel's centre is (0, 0).

    Args:
        name: of its folder.

    >>> intrinsics_of("rgbd_dataset_freiburg3_long_office_household")
    (535.4, 539.2, 320.1, 247.6)
    """
    camera = re.search(r"(?:freiburg|(?<![a-z])fr)([123])(?!\d)", name.lower())
    return PUBLISHED[camera[1]] if camera else ROS_DEFAULT


def nearest_in_time(
    times: Float64[Tensor, "image"], stamps: Float64[Tensor, "pose"]
) -> tuple[Int64[Tensor, "image"], Bool[Tensor, "image"]]:
    """The index of the pose nearest in time to each image, and whether it is within `LARGEST_TIME_GAP`.

    Args:
        times: of the images, in seconds, in any order.
        stamps: of the poses, in seconds, in any order.
    """
    ordered, order = stamps.sort()
    after = torch.searchsorted(ordered, times).clamp(max=len(ordered) - 1)
    before = (after - 1).clamp_min(0)
    nearest = torch.where((ordered[before] - times).abs() <= (ordered[after] - times).abs(), before, after)
    return order[nearest], (ordered[nearest] - times).abs() <= LARGEST_TIME_GAP
