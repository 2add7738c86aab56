"""`cameras.json`: the camera trajectory of a clip, for people and programs. `write_cameras_json` documents its keys."""

import json
import math
from pathlib import Path

import torch

from video_ae.errors import unreadable_as
from video_ae.formats.atomic import write_text_atomically
from video_ae.formats.trajectory import CameraTrajectory
from video_ae.formats.versions import check_version
from video_ae.types import Cameras

VERSION = 1  # files of before it was written are of this form too
CONVENTION = "opencv world_from_camera"
SCALE = "arbitrary"
_NAMES = ("fx", "fy", "cx", "cy")


def write_cameras_json(path: Path, trajectory: CameraTrajectory) -> None:
    """Writes a trajectory, one entry a frame.

    `{"version": 1, "convention": "opencv world_from_camera", "scale": "arbitrary", "image_size": [width, height],
    "intrinsics": {"fx", "fy", "cx", "cy"}, "readout": time, "frames": [{"index", "time_s", "world_from_camera",
    "confidence"}]}`:
    `image_size` is the source's in pixels; intrinsics are divided by width (fx, cx) and height (fy, cy), and are those
    of the first frame; where they change, each frame has `intrinsics` of its own; `readout` is the time that a rolling
    shutter takes from the first row to the last, in frame intervals (0: all rows at once), and cameras are those of the
    middle row; `index` is the frame's number in its source; `time_s` is null for sources without times;
    `world_from_camera` is 4x4 row by row, in a world that is the first frame's camera; `confidence` runs from 0 to 1.

    Args:
        path: the file.
        trajectory: what is written.

    Raises:
        ValueError: when a pose is not finite.
    """
    times = [time if math.isfinite(time) else None for time in trajectory.times.tolist()]
    columns = {
        "index": trajectory.indices.tolist(),
        "time_s": times,
        "world_from_camera": trajectory.cameras.world_from_camera.tolist(),
        "confidence": trajectory.confidence.tolist(),
    }
    intrinsics = [dict(zip(_NAMES, row, strict=True)) for row in trajectory.cameras.intrinsics.tolist()]
    if not trajectory.cameras.share_intrinsics:
        columns["intrinsics"] = intrinsics
    frames = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    head = {
        "version": VERSION,
        "convention": CONVENTION,
        "scale": SCALE,
        "image_size": list(trajectory.image_size),
        "intrinsics": intrinsics[0],
        "readout": trajectory.readout,
    }
    entries = ",\n".join("  " + json.dumps(frame, allow_nan=False) for frame in frames)  # a line a frame
    write_text_atomically(path, f'{json.dumps(head, allow_nan=False)[:-1]}, "frames": [\n{entries}\n]}}\n')


def read_cameras_json(path: str | Path) -> CameraTrajectory:
    """The trajectory that `write_cameras_json` wrote.

    Args:
        path: the file.

    Raises:
        UserError: when the file is missing, damaged, of a newer video-ae, or follows another convention.
    """
    path = Path(path)
    message = f"{str(path)!r} cannot be read as a cameras.json: give one that `video-ae reconstruct` wrote."
    with unreadable_as(message):
        content = json.loads(path.read_text())
        check_version(int(content.get("version", 1)), VERSION, path)
        if content["convention"] != CONVENTION:
            raise ValueError(content["convention"])
        frames = content["frames"]
        poses = torch.tensor([frame["world_from_camera"] for frame in frames], dtype=torch.float64).reshape(-1, 4, 4)
        lenses = [frame.get("intrinsics", content["intrinsics"]) for frame in frames]
        intrinsics = torch.tensor([[one[name] for name in _NAMES] for one in lenses], dtype=torch.float64)
        times = [math.nan if frame["time_s"] is None else float(frame["time_s"]) for frame in frames]
        if not (poses.isfinite().all() and intrinsics.isfinite().all()):  # Python's JSON knows NaN
            raise ValueError("a camera that is not finite")
        width, height = (int(side) for side in content["image_size"])
        return CameraTrajectory(
            cameras=Cameras(poses, intrinsics.reshape(-1, 4)),
            indices=torch.tensor([int(frame["index"]) for frame in frames]),
            times=torch.tensor(times, dtype=torch.float64),
            confidence=torch.tensor([float(frame["confidence"]) for frame in frames], dtype=torch.float64),
            image_size=(width, height),
            readout=float(content.get("readout", 0.0)),  # files of before there was a search for it have none
        )
