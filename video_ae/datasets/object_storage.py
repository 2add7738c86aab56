"""Files in object storage, reached by their address through fsspec; imports nothing heavy."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from video_ae.errors import UserError


def is_remote(root: str | Path) -> bool:
    """Whether a root names object storage, such as `s3://bucket/folder`.

    Args:
        root: a path or an address.
    """
    return "://" in str(root)


@contextmanager
def reaching(address: str) -> Iterator[tuple[Any, str]]:
    """(fsspec's file system, path in it); what goes wrong inside becomes a UserError.

    Args:
        address: of a file or folder in object storage, or a local path.

    Raises:
        UserError: when the package for this kind of storage is missing, or the storage answers with an error.
    """
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it prints a traceback of what it raises as well
    try:
        import fsspec

        yield fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise UserError(f"{address!r} needs another package: {error}") from error
    except Exception as error:  # each kind of storage has a library with errors of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{address!r} cannot be reached ({reason}): check the address and your access to it."
        ) from error


def fetched(address: str, folder: Path) -> Path:
    """A copy of a file, or of a folder with all that is in it.

    Args:
        address: in object storage.
        folder: that the copy is put into, under the same name.

    Raises:
        UserError: as `reaching`; also where the disk is full.
    """
    path = folder / PurePosixPath(address).name  # results hold the name
    with reaching(address) as (system, where):
        system.get(where, str(path), recursive=True)
    return path
