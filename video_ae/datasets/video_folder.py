"""Any folder with videos and folders of frames in it."""

import logging
import os
from collections import Counter
from functools import lru_cache
from pathlib import Path

from video_ae.datasets.base import ClipSource
from video_ae.datasets.skipped import usable
from video_ae.errors import UserError
from video_ae.videos.base import VideoReader
from video_ae.videos.image_kinds import choose_images
from video_ae.videos.natural_order import natural_order
from video_ae.videos.open import open_video

log = logging.getLogger(__name__)
COMMON_SUFFIXES = {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".gif"}
VIDEO_SUFFIXES = COMMON_SUFFIXES | {
    ".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2t", ".m2ts", ".3gp", ".3g2", ".mxf", ".y4m", ".wmv", ".asf",
    ".flv", ".f4v", ".ogv", ".divx", ".dv", ".rm", ".rmvb", ".h264", ".264", ".h265", ".265", ".hevc",
}  # fmt: skip


class VideoFolder(ClipSource):
    """All videos below a folder (or one video file), in natural order; a folder of two or more images is one video.

    Files that cannot be read, and those with fewer than two frames, are skipped. Names are paths below the root,
    without suffix where that is unique.

    Args:
        root: the folder or file.
        decoder: as in `video_ae.videos.open.open_video`.

    Raises:
        UserError: when the root does not exist, or nothing in it can be used.
    """

    def __init__(self, root: str | Path, decoder: str = "auto") -> None:
        root = Path(root)
        self._decoder = decoder
        paths, passed = search_videos(root)
        names = [path.name if path == root else path.relative_to(root).as_posix() for path in paths]
        found, self.skipped = usable(dict(zip(names, paths, strict=True)), self._admit)
        self.skipped |= passed
        if not found:
            example = "".join(f"; {name}: {reason}" for name, reason in list(self.skipped.items())[:1])
            raise UserError(
                f"{str(root)!r} holds no usable video ({len(self.skipped)} were found and left out): "
                f"give a folder with videos or folders of images{example.rstrip('.')}."
            )
        self._paths, self._counts = [path for path, _ in found], [count for _, count in found]
        self.names = short_names(root, self._paths)

    def _admit(self, path: Path) -> tuple[Path, int]:
        """(path, number of frames)."""
        reader = open_video(path, self._decoder)
        if len(reader) < 2:
            raise UserError("It has one frame, a video needs at least two.")
        return path, len(reader)

    def frame_count(self, number: int) -> int:
        return self._counts[number]

    def open(self, number: int) -> VideoReader:
        return open_video(self._paths[number], self._decoder)


def search_videos(root: Path) -> tuple[list[Path], dict[str, str]]:
    """Video files and folders of at least two images at or below a path; names that start with a dot are left out.

    A folder to which several links lead counts once, so that links in a circle end; one that may not be read (such as
    `lost+found` of a disk) is passed over.

    Args:
        root: a folder, or a file, which is taken as a video.

    Returns:
        The videos, and name -> reason of the images and folders that are passed over, which a warning says too.

    Raises:
        UserError: it does not exist.
    """
    if not root.exists():
        raise UserError(f"{str(root)!r} does not exist: give a folder with videos in it.")
    if root.is_file():
        return [root], {}
    found: list[Path] = []
    passed: dict[str, str] = {}
    _search(root, root, found, passed, set())
    for name, reason in passed.items():
        log.warning("%s: %s", name, reason)
    return found, passed


def _search(root: Path, folder: Path, found: list[Path], passed: dict[str, str], seen: set[Path]) -> None:
    if (real := folder.resolve()) in seen:
        return
    seen.add(real)
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except PermissionError as error:
        passed[folder.relative_to(root.parent).as_posix()] = f"This folder cannot be read ({error.strerror})."
        return
    images, reasons = choose_images(entries)
    if len(images) > 1:
        found.append(folder)
    if reasons:
        passed[f"images in {folder.relative_to(root.parent).as_posix()}"] = "; ".join(reasons)
    for path in natural_order(entries):
        if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir():
            found.append(path)
        elif path.is_dir():
            _search(root, path, found, passed, seen)


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies below it, however both are written (`..`, links).

    Args:
        path: of a video that was found.
        folder: there or not.
    """
    own, outer = path if path.is_dir() else path.parent, os.path.realpath(folder)
    return outer in (real := _real(own.absolute()), *map(str, Path(real).parents))


@lru_cache(1)  # videos of one folder follow each other
def _real(folder: Path) -> str:
    return os.path.realpath(folder)


def short_names(root: Path, paths: list[Path]) -> list[str]:
    """Paths below the root, without suffix where that is unique.

    Args:
        root: a folder or file.
        paths: of videos at or below it.
    """
    if root.is_file():
        return [root.stem]
    full = [path.relative_to(root).as_posix() if path != root else root.resolve().name for path in paths]
    short = [name if path.is_dir() else name.removesuffix(path.suffix) for path, name in zip(paths, full, strict=True)]
    times = Counter(short)
    return [name if times[name] == 1 else whole for name, whole in zip(short, full, strict=True)]
