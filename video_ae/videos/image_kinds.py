"""Kinds of image files: which are read here, and which are only named."""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import features

COMMON = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}
HEIF = {".heic", ".heif", ".hif"}  # of phones and cameras, read by pillow-heif
AVIF = {".avif"}  # by Pillow, if it was built with it
RAW = {".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".rw2", ".orf", ".jxl", ".jp2"}
IMAGE_SUFFIXES = COMMON | (HEIF if find_spec("pillow_heif") else set()) | (AVIF if features.check("avif") else set())


@cache
def register_heif() -> None:
    """Lets Pillow open HEIF, where pillow-heif is installed."""
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()


def choose_images(entries: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The images among the files of a folder, in any order, and a sentence for each kind that is passed over.

    A HEIF, AVIF or raw file beside a common one of the same name is the same image and counts once. Hidden files are
    none.

    Args:
        entries: of one folder.
    """
    known = COMMON | HEIF | AVIF | RAW
    files = [(path, suffix) for path in entries if (suffix := path.suffix.lower()) in known and path.name[0] != "."]
    rest = [(path, suffix) for path, suffix in files if suffix not in COMMON]
    if not rest:
        return [path for path, _ in files], []
    stems = {path.stem for path, suffix in files if suffix in COMMON}
    chosen = [path for path, suffix in files if suffix in COMMON]
    chosen += [path for path, suffix in rest if suffix in IMAGE_SUFFIXES and path.stem not in stems]
    stems |= {path.stem for path in chosen}
    passed = Counter(suffix for path, suffix in rest if path.stem not in stems)
    return chosen, [f"{count} {suffix} images are not read: {_advice(suffix)}" for suffix, count in passed.items()]


def _advice(suffix: str) -> str:
    return "pip install pillow-heif" if suffix in HEIF else "convert them to jpg or png"
