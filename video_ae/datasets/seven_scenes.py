"""7-Scenes (Shotton et al., Scene Coordinate Regression Forests for Camera Relocalization in RGB-D Images, 2013)."""

from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.datasets.pinholes import pinhole_intrinsics
from video_ae.datasets.posed_frames import PosedFrames, PosedVideos
from video_ae.errors import UserError
from video_ae.formats.lens import Lens
from video_ae.formats.number_files import poses_of_rows, read_table
from video_ae.videos.natural_order import natural_order

LENS = Lens((640, 480), (525, 525), (320, 240))  # of the colour camera
SUFFIX = ".pose.txt"


class SevenScenes(PosedVideos):
    """`<scene>/seq-NN/frame-NNNNNN.color.png` beside `frame-NNNNNN.pose.txt`.

    The root is a folder of scenes, a scene or a sequence. A sequence is a video; images without a pose are left out.
    Depth is not read.

    A pose is a 4x4 matrix, world_from_camera, in metres, with OpenCV axes
    (https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/). It is that of the *depth* camera, and so
    is the page's focal length of 585: the colour camera's was never published. Taken here is 525 with the principal
    point in the middle, as by those who localise the colour images (DSAC*, ACE: `setup_7scenes.py`), with the poses
    as they are: the colour camera sits 2.5 cm beside, about which these authors' own corrections do not agree. Lens
    distortion is not undone.
    """

    format = "7-Scenes (seq-NN/frame-NNNNNN.pose.txt)"
    marks = ("seq-*/frame-*.color.png", f"seq-*/frame-*{SUFFIX}")

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return _has_frames(root) or super().recognises(root)

    def find(self, root: Path) -> dict[str, Path]:
        if _has_frames(root):
            return {root.resolve().name: root}
        scenes = super().find(root).items()
        return {f"{name}/{folder.name}": folder for name, scene in scenes for folder in _sequences(scene)}

    def read(self, path: Path) -> PosedFrames:
        poses = natural_order(path.glob(f"frame-*{SUFFIX}"))
        if not poses:
            raise UserError(f"{str(path)!r} has no frame-NNNNNN{SUFFIX}.")
        files = [file.with_name(file.name.removesuffix(SUFFIX) + ".color.png") for file in poses]
        intrinsics = pinhole_intrinsics(str(path), [LENS] * len(files), files)
        return PosedFrames(files, torch.cat([_pose(file) for file in poses]), intrinsics)


def _sequences(scene: Path) -> list[Path]:
    return natural_order(path for path in scene.glob("seq-*") if path.is_dir())


def _has_frames(folder: Path) -> bool:
    return any(True for _ in folder.glob("frame-*.color.png")) and any(True for _ in folder.glob(f"frame-*{SUFFIX}"))


def _pose(file: Path) -> Float64[Tensor, "1 4 4"]:
    rows = read_table(file, 4, finite=False)
    if len(rows) != 4:
        raise UserError(f"{str(file)!r} has {len(rows)} rows, but a matrix of 4x4 numbers is expected.")
    return poses_of_rows(file, rows.reshape(1, 16))
