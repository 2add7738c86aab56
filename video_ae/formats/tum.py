"""`cameras_tum.txt`: the trajectory format of the TUM RGB-D benchmark, read by evo and most SLAM tools.

A line a frame: `timestamp tx ty tz qx qy qz qw`, the camera's position and orientation in the world
(world_from_camera, OpenCV axes; Sturm et al. 2012).
"""

from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.geometry.se3 import quaternion_from_rotation, rigid, rotation_from_quaternion


def write_tum(path: Path, track: CameraTrajectory) -> None:
    """Writes the trajectory. Sources without times get the frames' numbers as timestamps."""
    pose = track.cameras.world_from_camera
    stamps = track.times if track.times.isfinite().all() else track.indices.double()
    rows = torch.cat([stamps[:, None], pose[:, :3, 3], quaternion_from_rotation(pose[:, :3, :3])], -1)
    lines = [" ".join(f"{value:.9f}" for value in row) for row in rows.tolist()]
    text = "# timestamp tx ty tz qx qy qz qw\n" + "\n".join(lines) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))


def read_tum(path: str | Path) -> tuple[Float64[Tensor, "frame"], Float64[Tensor, "frame 4 4"]]:
    """(timestamps, world_from_camera). Raises UserError for a missing file and for lines of another form."""
    path = Path(path)
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        rows = torch.tensor([[float(word) for word in line.split()] for line in lines], dtype=torch.float64)
        rows = rows.reshape(len(lines), 8)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{str(path)!r} cannot be read as a TUM trajectory: give lines of eight numbers.") from error
    return rows[:, 0], rigid(rotation_from_quaternion(rows[:, 4:]), rows[:, 1:4])
