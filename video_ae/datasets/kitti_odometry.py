"""KITTI odometry (Geiger et al., Are we ready for Autonomous Driving? The KITTI Vision Benchmark Suite, 2012)."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.datasets.posed_frames import PosedFrames, PosedVideos
from video_ae.errors import UserError
from video_ae.formats.number_files import as_numbers, poses_of_rows, read_lines, read_table
from video_ae.geometry.se3 import invert, rigid
from video_ae.videos.image_folder import images_in, natural_key

CAMERAS = (2, 0)  # left in colour, left in grey: the first whose pictures are there


class KittiOdometry(PosedVideos):
    """`sequences/00/image_2/*.png` (or `image_0`), `sequences/00/calib.txt`, `times.txt`, and `poses/00.txt`.

    Formats: readme.txt of the benchmark's development kit. Pictures are rectified. A line of poses is the 3x4
    world_from_camera of camera 0, in metres, OpenCV axes, where the first frame's camera 0 is the world. `P2:` of
    calib.txt projects points of *camera 0* to pixels of camera 2: P = K [I | t], so camera 2 sits at -t in the axes of
    camera 0 (6 cm aside), which is applied. Pixels are counted from 0 at the middle of the first one. times.txt has
    seconds and may be missing. There must be as many pictures, poses and times.

    Not read: the right cameras, laser scans. Sequences without poses (11 to 21) have clips without cameras.
    """

    format: ClassVar[str] = "KITTI odometry (sequences/00, poses/00.txt)"

    @staticmethod
    def recognises(root: Path) -> bool:
        return any((root / "sequences").glob("*/calib.txt"))

    def find(self, root: Path) -> Mapping[str, Path]:
        folders = (path for path in (root / "sequences").iterdir() if path.is_dir() and path.name[0] != ".")
        return {path.name: path for path in sorted(folders, key=lambda path: natural_key(path.name))}

    def read(self, path: Path) -> PosedFrames:
        camera = next((number for number in CAMERAS if (path / f"image_{number}").is_dir()), None)
        if camera is None:
            raise UserError(f"{str(path)!r} has neither image_2 nor image_0.")
        files = images_in(path / f"image_{camera}")
        times = torch.full((len(files),), torch.nan, dtype=torch.float64)
        if (path / "times.txt").is_file():
            times = _one_each(path / "times.txt", 1, files)[:, 0]
        truth = path.parent.parent / "poses" / f"{path.name}.txt"
        if not truth.is_file():
            return PosedFrames(files, torch.eye(4, dtype=torch.float64).expand(len(files), 4, 4), None, times)
        world_from_zero = poses_of_rows(truth, _one_each(truth, 12, files))
        intrinsics, camera_from_zero = read_projection(path / "calib.txt", camera)
        return PosedFrames(files, world_from_zero @ invert(camera_from_zero), intrinsics.expand(len(files), 4), times)


def read_projection(file: Path, camera: int) -> tuple[Float64[Tensor, "4"], Float64[Tensor, "4 4"]]:
    """((fx, fy, cx, cy) in pixels, the first pixel's middle at (0.5, 0.5); camera_from_camera_0) from the line `P2:`.

    Raises UserError where there is no such line or it is no projection matrix of a rectified camera.
    """
    for number, (name, *words) in read_lines(file):
        if name == f"P{camera}:":
            matrix = torch.tensor(as_numbers(file, number, words, 12), dtype=torch.float64).reshape(3, 4)
            (fx, _, cx), (_, fy, cy) = matrix[0, :3].tolist(), matrix[1, :3].tolist()
            plain = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
            if not (fx > 0 and fy > 0 and torch.allclose(matrix[:, :3], plain, atol=1e-6)):
                raise UserError(f"{str(file)!r}, line {number}: this is no K [I | t] of a rectified camera.")
            moved = torch.linalg.solve(plain, matrix[:, 3])
            pixels = torch.tensor([fx, fy, cx + 0.5, cy + 0.5], dtype=torch.float64)
            return pixels, rigid(torch.eye(3, dtype=torch.float64), moved)
    raise UserError(f"{str(file)!r} has no line `P{camera}:`.")


def _one_each(file: Path, columns: int, pictures: list[Path]) -> Tensor:
    rows = read_table(file, columns)
    if len(rows) != len(pictures):
        raise UserError(f"{str(file)!r} has {len(rows)} lines, but there are {len(pictures)} pictures.")
    return rows
