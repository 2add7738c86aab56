"""What the user names -> a source of clips."""

import importlib
import re
from pathlib import Path

from video_ae.datasets.base import ClipSource
from video_ae.datasets.colmap_model import ColmapModels
from video_ae.datasets.kitti_odometry import KittiOdometry
from video_ae.datasets.matterport3d import Matterport3D
from video_ae.datasets.nerfstudio_scenes import Nerfstudio
from video_ae.datasets.packed.packed_videos import PackedVideos
from video_ae.datasets.packed.shard_store import is_remote
from video_ae.datasets.posed_frames import PosedVideos
from video_ae.datasets.realestate10k import RealEstate10K
from video_ae.datasets.replica import Replica
from video_ae.datasets.seven_scenes import SevenScenes
from video_ae.datasets.tum_rgbd import TumRgbd
from video_ae.datasets.video_folder import VideoFolder
from video_ae.errors import UserError

# Tried in this order.
POSED: tuple[type[PosedVideos], ...] = (
    Nerfstudio,
    ColmapModels,
    TumRgbd,
    SevenScenes,
    KittiOdometry,
    Replica,
    Matterport3D,
)


def open_dataset(root: str | Path, decoder: str = "auto") -> ClipSource:
    """What `video-ae prepare` wrote where `root` has a file `packed.json` or is an address in object storage;
    the first format of `POSED` that knows it; RealEstate10K's layout where it has a folder `cameras`; else every video
    below it. `package.module.Class:FOLDER` is a data set of the user's own: `Class(FOLDER, decoder)`.

    Raises UserError where the folder does not exist or holds nothing usable, and where there is no such class.
    """
    if own := re.fullmatch(r"(\w+(?:\.\w+)*)\.(\w+):(?!//)(.+)", str(root)):
        try:
            kind = getattr(importlib.import_module(own[1]), own[2])
        except (ImportError, AttributeError) as error:
            raise UserError(f"{str(root)!r} names no data set ({error}): is its module on PYTHONPATH?") from error
        return kind(own[3], decoder)
    if is_remote(root) or (Path(root) / "packed.json").is_file():
        return PackedVideos(root)
    if Path(root).is_dir():
        for format in POSED:
            if format.recognises(Path(root)):
                return format(root, decoder)
    if (Path(root) / "cameras").is_dir():  # Matterport3D's scans may have one as well
        return RealEstate10K(root, decoder)
    return VideoFolder(root, decoder)
