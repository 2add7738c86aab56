"""KITTI odometry (Geiger et al., Are we ready for Autonomous Driving? The KITTI Vision Benchmark Suite, 2012)."""

from pathlib import Path

from video_ae.datasets.posed_frames import PosedFrames, PosedVideos, check_lines
from video_ae.errors import UserError
from video_ae.formats.kitti import read_kitti, read_kitti_projection
from video_ae.formats.number_files import read_table
from video_ae.geometry.se3 import invert
from video_ae.videos.image_folder import images_in
from video_ae.videos.natural_order import natural_order

CAMERAS = (2, 0)  # left in colour, left in grey: the first whose images are there


class KittiOdometry(PosedVideos):
    """`sequences/00/image_2/*.png` (or `image_0`), `sequences/00/calib.txt`, `times.txt`, and `poses/00.txt`.

    Formats: readme.txt of the benchmark's development kit. Images are rectified. A line of poses is the 3x4
    world_from_camera of camera 0, in metres, OpenCV axes, where the first frame's camera 0 is the world. `P2:` of
    calib.txt projects points of *camera 0* to pixels of camera 2: P = K [I | t], so camera 2 sits at -t in the axes of
    camera 0 (6 cm aside), which is applied. Pixels are counted from 0 at the centre of the first one. times.txt has
    seconds and may be missing. There must be as many images, poses and times.

    Not read: the right cameras, laser scans. Sequences without poses (11 to 21) have clips without cameras.
    """

    format = "KITTI odometry (sequences/00, poses/00.txt)"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any((root / "sequences").glob("*/calib.txt"))

    def find(self, root: Path) -> dict[str, Path]:
        folders = (path for path in (root / "sequences").iterdir() if path.is_dir() and path.name[0] != ".")
        return {path.name: path for path in natural_order(folders)}

    def read(self, path: Path) -> PosedFrames:
        camera = next((number for number in CAMERAS if (path / f"image_{number}").is_dir()), None)
        if camera is None:
            raise UserError(f"{str(path)!r} has neither image_2 nor image_0.")
        files = images_in(path / f"image_{camera}")
        times = None
        if (path / "times.txt").is_file():
            times = read_table(path / "times.txt", 1)[:, 0]
            check_lines(path / "times.txt", times, files)
        truth = path.parent.parent / "poses" / f"{path.name}.txt"
        if not truth.is_file():
            return PosedFrames(files, times=times)
        world_from_zero = read_kitti(truth)
        check_lines(truth, world_from_zero, files)
        intrinsics, camera_from_zero = read_kitti_projection(path / "calib.txt", camera)
        return PosedFrames(files, world_from_zero @ invert(camera_from_zero), intrinsics.expand(len(files), 4), times)
