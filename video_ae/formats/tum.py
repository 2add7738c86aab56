"""The TUM RGB-D benchmark's text files (Sturm et al. 2012): trajectories and lists of images.

A trajectory has a line a frame, `timestamp tx ty tz qx qy qz qw`: the camera's position and orientation in the world
(world_from_camera, OpenCV axes). evo and most SLAM tools read it; `cameras_tum.txt` is such a file. A list of images
(`rgb.txt`) has lines `timestamp filename`. Source: https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats
"""

from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_text_atomically
from video_ae.formats.number_files import as_numbers, read_lines, read_table
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.se3 import pose_from_quaternion, quaternion_from_rotation


def write_tum(path: Path, trajectory: CameraTrajectory) -> None:
    """Writes a trajectory.

    Args:
        path: the file.
        trajectory: its times by the clock are the timestamps; the frames' numbers where the source has no times.
    """
    pose = trajectory.cameras.world_from_camera
    stamps = trajectory.start + trajectory.times if trajectory.times.isfinite().all() else trajectory.indices.double()
    rows = torch.cat([stamps[:, None], pose[:, :3, 3], quaternion_from_rotation(pose[:, :3, :3])], -1)
    lines = [" ".join(f"{value:.9f}" for value in row) for row in rows.tolist()]
    write_text_atomically(path, "\n".join(["# timestamp tx ty tz qx qy qz qw", *lines, ""]))


def read_tum(path: str | Path) -> tuple[Float64[Tensor, "frame"], Float64[Tensor, "frame 4 4"]]:
    """Timestamps in seconds, and world_from_camera; NaN in lines that hold no pose.

    Args:
        path: a trajectory.

    Raises:
        UserError: when the file is missing, or a line has other than eight numbers.
    """
    rows = read_table(path, 8, finite=False)
    return rows[:, 0], pose_from_quaternion(rows[:, 4:], rows[:, 1:4])


def read_tum_images(path: Path) -> tuple[Float64[Tensor, "image"], list[Path]]:
    """Timestamps in seconds, and files.

    Args:
        path: a list of images; files are named relative to its folder.

    Raises:
        UserError: when the list is missing, or a line has another form.
    """
    times, files = [], []
    for number, words in read_lines(path):
        if len(words) != 2:
            raise UserError(f"{str(path)!r}, line {number}: a timestamp and a file name are expected.")
        times += as_numbers(path, number, words[:1], 1)
        files.append(path.parent / words[1])
    return torch.tensor(times, dtype=torch.float64), files
