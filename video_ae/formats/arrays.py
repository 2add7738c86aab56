"""Arrays from `.npz` files, which may come from strangers."""

import zipfile
from pathlib import Path

import numpy as np

ALWAYS_READ = 256 << 20  # bytes
LARGEST_RATIO = 100  # beyond that; depth and images do not shrink so far, and deflate can to a thousandth


def read_npz(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of an archive, none of which unfolds to far more than the file's own size.

    Args:
        path: of an archive that numpy wrote.
        *names: of the arrays.

    Raises:
        ValueError: they unfold to more than 256 MB and a hundred times the file's size.
        OSError, KeyError, zipfile.BadZipFile: the file cannot be read, or lacks one.
    """
    with zipfile.ZipFile(path) as archive:  # which gives no more bytes of an entry than its directory says
        size = sum(archive.getinfo(f"{name}.npy").file_size for name in names)
    if size > max(ALWAYS_READ, LARGEST_RATIO * path.stat().st_size):
        raise ValueError(f"its arrays unfold to {size / 2**30:.1f} GB, {size // path.stat().st_size} times its size")
    with np.load(path, allow_pickle=False) as content:
        return [content[name] for name in names]
