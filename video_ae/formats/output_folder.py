"""A folder of results that appears under its name only when it is complete."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from video_ae.errors import UserError

MARK = "summary.json"  # every result folder has it; folders without it are never replaced


@contextmanager
def output_folder(out: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary folder beside `out` and renames it to `out` at the end; on any error nothing stays behind.

    Raises UserError, before it yields, if `out` is a file or not empty (with `overwrite`: not an earlier result), or
    cannot be made. An earlier result is replaced as a whole, at the end.
    """
    out = Path(os.path.abspath(out))
    _check(out, overwrite)
    made = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    except OSError as error:
        _remove_empty(made)
        raise UserError(
            f"The output folder {str(out)!r} cannot be written ({error.strerror}): choose one that you may write to."
        ) from error
    try:
        yield temporary
        temporary.chmod(0o755)
        _replace(temporary, out, overwrite)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        _remove_empty(made)
        raise


def _check(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"The output folder {str(out)!r} is a file: choose another name.")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not overwrite:
        raise UserError(f"The output folder {str(out)!r} is not empty: choose another or add --overwrite.")
    if not (out / MARK).is_file():
        raise UserError(f"{str(out)!r} is no earlier result (it has no {MARK}), so it is not replaced: choose another.")


def _replace(temporary: Path, out: Path, overwrite: bool) -> None:
    _check(out, overwrite)  # once more: minutes have passed
    if not out.exists():
        temporary.rename(out)
        return
    old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-old-"))
    out.rename(old)  # onto an empty folder
    try:
        temporary.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_empty(folders: list[Path]) -> None:
    """Takes back the folders that were made on the way, deepest first, as far as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
