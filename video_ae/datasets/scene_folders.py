"""Where the scenes of a data set are."""

import os
from collections.abc import Callable
from pathlib import Path

from video_ae.datasets.video_folder import VIDEO_SUFFIXES
from video_ae.videos.image_folder import images_in
from video_ae.videos.image_kinds import IMAGE_SUFFIXES
from video_ae.videos.natural_order import natural_order


def scenes_in(root: Path, is_scene: Callable[[Path], bool]) -> dict[str, Path]:
    """Name -> folder of each scene: the root alone where it is a scene, else the folders right below it.

    These are in natural order. Empty where more than half of the folders are no scenes, or where something would be
    lost: videos or images beside the folders, or in a folder that is no scene (but see `frames_alone`).

    Args:
        root: a folder.
        is_scene: whether a folder is one.
    """
    if is_scene(root):
        return {root.resolve().name: root}
    entries = [path for path in root.iterdir() if not path.name.startswith(".")]
    if any(path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES for path in entries):
        return {}
    folders = natural_order(path for path in entries if path.is_dir())
    found, others = {}, []
    for folder in folders:
        if _is_readable(folder) and is_scene(folder):
            found[folder.name] = folder
        else:
            others.append(folder)
            if 2 * len(others) > len(folders):
                return {}
    return {} if any(frames_alone(folder) is None for folder in others) else found


def frames_alone(folder: Path) -> list[Path] | None:
    """The images of a folder that is no scene, in it or in its folder `images`; None where more is to be seen in it.

    None are in a folder that may not be read.

    Args:
        folder: such as one for which no cameras were found.
    """
    if not _is_readable(folder):
        return []
    below = folder / "images"
    files = images_in(folder) or (images_in(below) if below.is_dir() else [])
    seen = [path for path in folder.rglob("[!.]*") if path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES]
    return files if len(seen) == len(files) else None


def _is_readable(folder: Path) -> bool:
    """Not so is `lost+found`, which every disk has."""
    return os.access(folder, os.R_OK | os.X_OK)
