"""One video to annotate; imports nothing heavy."""

import hashlib
import os
from dataclasses import dataclass
from urllib.parse import quote

_LONGEST = 150  # bytes of a folder's name


@dataclass(frozen=True)
class VideoJob:
    """One video to annotate.

    Args:
        name: unique among all.
        address: an absolute path, or an address that fsspec understands.
        size: in bytes; of a folder of images the sum.
        changed: says, together with the size, whether the video is still the same.
    """

    name: str
    address: str
    size: int
    changed: str

    @property
    def folder(self) -> str:
        """The name of the folder of its results: the name without slashes, cut where it is too long."""
        name = os.fsencode(self.name)  # of a file, whose bytes need not be letters
        flat = quote(name, safe=" +(),=@'")
        if flat.startswith("."):
            flat = f"%2E{flat[1:]}"
        if len(flat) <= _LONGEST:
            return flat
        return f"{flat[:_LONGEST]}-{hashlib.sha256(name).hexdigest()[:12]}"
