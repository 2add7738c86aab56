"""A folder from the user -> a source of clips."""

from pathlib import Path

from video_ae.datasets.base import ClipSource
from video_ae.datasets.realestate10k import RealEstate10K
from video_ae.datasets.video_folder import VideoFolder


def open_dataset(root: str | Path, decoder: str = "auto") -> ClipSource:
    """RealEstate10K's layout where `root` has a folder `cameras`, else every video below `root`.

    Raises UserError where the folder does not exist or holds nothing usable.
    """
    if (Path(root) / "cameras").is_dir():
        return RealEstate10K(root, decoder)
    return VideoFolder(root, decoder)
