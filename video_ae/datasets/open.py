"""Opens the data set that a path, an address or a class names."""

import importlib
import re
from pathlib import Path

from video_ae.datasets.annotated_videos import AnnotatedVideos, is_annotated
from video_ae.datasets.base import ClipSource
from video_ae.datasets.colmap_model import ColmapModels
from video_ae.datasets.kitti_odometry import KittiOdometry
from video_ae.datasets.matterport3d import Matterport3D
from video_ae.datasets.nerfstudio_scenes import Nerfstudio
from video_ae.datasets.object_storage import is_remote
from video_ae.datasets.packed_videos import PackedVideos
from video_ae.datasets.realestate10k_clips import RealEstate10K
from video_ae.datasets.replica import Replica
from video_ae.datasets.seven_scenes import SevenScenes
from video_ae.datasets.tum_rgbd import TumRgbd
from video_ae.datasets.video_folder import VideoFolder
from video_ae.errors import UserError

# Tried in this order.
POSED = (Nerfstudio, ColmapModels, TumRgbd, SevenScenes, KittiOdometry, Replica, Matterport3D)


def open_dataset(root: str | Path, decoder: str = "auto") -> ClipSource:
    """The data set at `root`.

    It is what `video-ae annotate` wrote where the root is a table (.parquet) or has one; what `video-ae prepare` wrote
    where it has a file `packed.json` or is an address in object storage; else of the first format of `POSED` that
    recognises it; else of RealEstate10K's layout where it has a folder `cameras`; else all videos below it.

    Args:
        root: a folder, a video, or an address. `package.module.Class:FOLDER` is a data set of the user's own:
            `Class(FOLDER, decoder)`, a `ClipSource`.
        decoder: as in `video_ae.videos.open.open_video`.

    Raises:
        UserError: when the root does not exist or nothing in it can be used, or there is no such class.
    """
    if own := re.fullmatch(r"(\w+(?:\.\w+)*)\.(\w+):(?!//)(.+)", str(root)):
        try:
            kind = getattr(importlib.import_module(own[1]), own[2])
        except (ImportError, AttributeError) as error:
            raise UserError(f"{str(root)!r} names no data set ({error}): is its module on PYTHONPATH?") from error
        if not (isinstance(kind, type) and issubclass(kind, ClipSource)):
            raise UserError(f"{own[2]!r} of {own[1]!r} is no data set: derive it from ClipSource (docs/extending.md).")
        return kind(own[3], decoder)  # type: ignore[call-arg]
    if is_annotated(root):
        return AnnotatedVideos(root, decoder)
    if is_remote(root) or (Path(root) / "packed.json").is_file():
        return PackedVideos(root)
    if Path(root).is_dir():
        for format in POSED:
            if format.recognises(Path(root)):
                return format(root, decoder)
    if (Path(root) / "cameras").is_dir():  # Matterport3D's scans may have one as well
        return RealEstate10K(root, decoder)
    return VideoFolder(root, decoder)
