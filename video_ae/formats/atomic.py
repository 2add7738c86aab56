"""Files and folders that appear under their name only when they are complete."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from video_ae.errors import UserError


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Calls `write(temporary)` with a name beside `path` and renames the result to `path`.

    Whoever looks at `path` sees the old content or the new one, never a part. Raises UserError where the folder cannot
    be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise UserError(
            f"{str(path)!r} cannot be written ({error.strerror}): choose a folder that you may write to."
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def claim_folder(path: str | Path, overwrite: bool = False) -> Path:
    """Makes `path` a folder that may be written to, before any work starts, and returns it.

    Raises UserError if it is a file, is not writable, or has something in it and `overwrite` is off. Nothing in it is
    deleted.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"--out {str(path)!r} is a file, and a folder is needed: choose another name.")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise UserError(f"--out {str(path)!r} is not empty: choose another folder or add --overwrite.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(
            f"--out {str(path)!r} cannot be written ({error.strerror}): choose a folder that you may write to."
        ) from error
    return path
