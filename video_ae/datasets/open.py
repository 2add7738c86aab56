"""What the user names -> a source of clips."""

import importlib
import re
from pathlib import Path

from video_ae.datasets.base import ClipSource
from video_ae.datasets.colmap_model import ColmapModels
from video_ae.datasets.nerfstudio import Nerfstudio
from video_ae.datasets.packed import PackedVideos
from video_ae.datasets.posed_frames import PosedVideos
from video_ae.datasets.realestate10k import RealEstate10K
from video_ae.datasets.video_folder import VideoFolder
from video_ae.errors import UserError
from video_ae.videos.shard_store import is_remote

POSED: tuple[type[PosedVideos], ...] = (Nerfstudio, ColmapModels)  # tried in this order


def open_dataset(root: str | Path, decoder: str = "auto") -> ClipSource:
    """What `video-ae prepare` wrote where `root` has a file `packed.json` or is an address in object storage;
    RealEstate10K's layout where it has a folder `cameras`; the first format of `POSED` that knows it; else every video
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
    if (Path(root) / "cameras").is_dir():
        return RealEstate10K(root, decoder)
    if Path(root).is_dir():
        for format in POSED:
            if format.recognises(Path(root)):
                return format(root, decoder)
    return VideoFolder(root, decoder)
