"""Replica (Straub et al., The Replica Dataset, 2019) as rendered and distributed with NICE-SLAM (Zhu et al. 2022)."""

import json
from pathlib import Path

from video_ae.datasets.pinholes import pinhole_intrinsics
from video_ae.datasets.posed_frames import PosedFrames, PosedVideos, check_lines
from video_ae.errors import UserError, unreadable_as
from video_ae.formats.lens import Lens
from video_ae.formats.number_files import poses_of_rows, read_table
from video_ae.videos.natural_order import natural_order

CAMERA = "cam_params.json"
_EXPECTED = '{"camera": {"w", "h", "fx", "fy", "cx", "cy"}} is expected.'


class Replica(PosedVideos):
    """`<scene>/results/frame*.jpg`, `<scene>/traj.txt`, and `cam_params.json` beside the scenes (or in one).

    The root is the folder of scenes or a scene. Depth and meshes are not read. A line of traj.txt is a 4x4
    world_from_camera, row by row, in metres, for one image. Its axes are OpenCV's: NICE-SLAM's loader negates columns y
    and z to get OpenGL's (https://github.com/cvg/nice-slam, src/utils/datasets.py). cam_params.json is
    `{"camera": {"w", "h", "fx", "fy", "cx", "cy"}}` in pixels; the published cx = 599.5 of 1200 is the middle where the
    first pixel's centre is 0, so half a pixel is added. Images that were scaled are fine.

    SynSin's pairs of views of Replica were rendered while training and are no files; any two near frames of these paths
    are such a pair.
    """

    format = "Replica (results/frame*.jpg, traj.txt)"
    marks = ("traj.txt", "results/")

    def read(self, path: Path) -> PosedFrames:
        files = natural_order((path / "results").glob("frame*.jpg"))
        rows = read_table(path / "traj.txt", 16, finite=False)
        check_lines(path / "traj.txt", rows, files)
        intrinsics = pinhole_intrinsics(str(path), [_lens(path)] * len(files), files)
        return PosedFrames(files, poses_of_rows(path / "traj.txt", rows), intrinsics)


def _lens(scene: Path) -> Lens:
    file = next((file for file in (scene / CAMERA, scene.resolve().parent / CAMERA) if file.is_file()), None)
    if file is None:
        raise UserError(f"There is no {CAMERA} beside or in {str(scene)!r}.")
    with unreadable_as(f"{str(file)!r} is no usable {CAMERA}", _EXPECTED):
        values = json.loads(file.read_text(encoding="utf-8-sig"))["camera"]
        width, height = int(values["w"]), int(values["h"])
        fx, fy, cx, cy = (float(values[name]) for name in ("fx", "fy", "cx", "cy"))
    return Lens((width, height), (fx, fy), (cx + 0.5, cy + 0.5))
