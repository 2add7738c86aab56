"""KITTI odometry's text files (Geiger et al. 2012): poses and calibration.

Poses have a line a frame: the upper 3x4 of world_from_camera, row by row, OpenCV axes; the first camera is the world.
`cameras_kitti.txt` is such a file. `calib.txt` has a projection matrix for each camera.
"""

from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_text_atomically
from video_ae.formats.number_files import as_numbers, poses_of_rows, read_lines, read_table
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.se3 import rigid


def write_kitti(path: Path, trajectory: CameraTrajectory) -> None:
    """Writes the poses of a trajectory; the format has no times.

    Args:
        path: the file.
        trajectory: its poses are written.
    """
    rows = trajectory.cameras.world_from_camera[:, :3].flatten(1).tolist()
    write_text_atomically(path, "".join(" ".join(f"{value:.9e}" for value in row) + "\n" for row in rows))


def read_kitti(path: str | Path) -> Float64[Tensor, "frame 4 4"]:
    """world_from_camera of each frame; no pose (`is_rigid`) where a line has none.

    Args:
        path: a file of poses.

    Raises:
        UserError: when the file is missing, or a line has other than twelve numbers.
    """
    return poses_of_rows(path, read_table(path, 12, finite=False))


def read_kitti_projection(path: str | Path, camera: int) -> tuple[Float64[Tensor, "4"], Float64[Tensor, "4 4"]]:
    """Intrinsics and position of a camera, from its line `P<camera>:`.

    Args:
        path: a `calib.txt`.
        camera: its number, 0 to 3.

    Returns:
        (fx, fy, cx, cy) in pixels, where the centre of the top-left pixel is (0.5, 0.5), and camera_from_camera_0.

    Raises:
        UserError: when there is no such line or it is no projection matrix of a rectified camera.
    """
    for number, (name, *words) in read_lines(path):
        if name == f"P{camera}:":
            matrix = torch.tensor(as_numbers(path, number, words, 12), dtype=torch.float64).reshape(3, 4)
            (fx, _, cx), (_, fy, cy) = matrix[0, :3].tolist(), matrix[1, :3].tolist()
            calibration = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
            if not (fx > 0 and fy > 0 and torch.allclose(matrix[:, :3], calibration, atol=1e-6)):
                raise UserError(f"{str(path)!r}, line {number}: this is no K [I | t] of a rectified camera.")
            translation = torch.linalg.solve(calibration, matrix[:, 3])
            pixels = torch.tensor([fx, fy, cx + 0.5, cy + 0.5], dtype=torch.float64)
            return pixels, rigid(torch.eye(3, dtype=torch.float64), translation)
    raise UserError(f"{str(path)!r} has no line `P{camera}:`.")
