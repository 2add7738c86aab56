"""`cameras_kitti.txt`: KITTI odometry's poses (Geiger et al. 2012), a line a frame: the upper 3x4 of world_from_camera,
row by row, OpenCV axes, the first camera is the world."""

from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.se3 import rigid


def write_kitti(path: Path, track: CameraTrajectory) -> None:
    """Writes the trajectory; KITTI's form has no times."""
    rows = track.cameras.world_from_camera[:, :3].flatten(1).tolist()
    text = "".join(" ".join(f"{value:.9e}" for value in row) + "\n" for row in rows)
    write_atomically(path, lambda temporary: temporary.write_text(text))


def read_kitti(path: str | Path) -> Float64[Tensor, "frame 4 4"]:
    """world_from_camera. Raises UserError for a missing file and for lines of another form."""
    path = Path(path)
    try:
        lines = path.read_text().splitlines()
        rows = torch.tensor([[float(word) for word in line.split()] for line in lines], dtype=torch.float64)
        rows = rows.reshape(len(lines), 3, 4)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{str(path)!r} cannot be read as KITTI poses: give lines of twelve numbers.") from error
    return rigid(rows[:, :, :3], rows[:, :, 3])
