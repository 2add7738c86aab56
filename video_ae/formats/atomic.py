"""Files and folders that appear under their name only when they are complete."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from video_ae.errors import UserError

MARK = "summary.json"  # every result folder has it; folders without it are never replaced
_TEMPORARY = re.compile(r"\..+-[0-9a-f]{12}(\.[^.]*)?")  # names that `write_atomically` makes up


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Writes a file under a temporary name beside `path` and renames it to `path`.

    Whoever looks at `path` sees the old content or the new one, never a part.

    Args:
        path: the file; folders above it are made.
        write: writes the content to the path that it is given, which has the suffix of `path`.

    Raises:
        UserError: when the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{uuid4().hex[:12]}{path.suffix}")
    with writing(f"{str(path)!r}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
    try:
        write(temporary)
        temporary.chmod(mode)  # safetensors writes files that only their owner may read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(path: str | Path, text: str) -> None:
    r"""Writes a text file in UTF-8; see `write_atomically`.

    Bytes of a file's name that are no UTF-8 (a zip packed elsewhere) are written as their numbers, `\udce9`, which JSON
    reads as that name again.

    Args:
        path: the file.
        text: its content.
    """
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8", errors="backslashreplace"))


def write_bytes_atomically(path: str | Path, content: bytes) -> None:
    """Writes a file of bytes; see `write_atomically`.

    Args:
        path: the file.
        content: all of it.
    """
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_json_atomically(path: str | Path, content: object) -> None:
    """Writes a JSON file, a line an entry; see `write_atomically`.

    Args:
        path: the file.
        content: plain values.

    Raises:
        ValueError: when a number is not finite.
    """
    write_text_atomically(path, json.dumps(content, indent=1, allow_nan=False))


def claim_folder(path: str | Path, overwrite: bool = False, mark: str | None = None) -> Path:
    """Makes a folder that results may be written to, before any work starts, and returns its path.

    Nothing in it is deleted.

    Args:
        path: the folder.
        overwrite: whether it may have files in it already.
        mark: a file that it must have then, which says that they are earlier results; None: any files.

    Raises:
        UserError: when it is a file, is not empty (without `overwrite`, or without the mark) or cannot be written.
    """
    path = Path(path)
    _check_claimable(path, overwrite, mark)
    with writing(f"The output folder {str(path)!r}"):
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    return path


@contextmanager
def files_together(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder whose files are moved to `folder` at the end; on any error, none of them is.

    Args:
        folder: that is there; files of the same names are replaced.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-", ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)
        for path in Path(temporary).iterdir():
            path.replace(folder / path.name)


def remove_from(folder: Path, *patterns: str) -> None:
    """Removes files and folders that an earlier run wrote, one pattern after the other, and nothing else.

    Args:
        folder: in which they lie.
        *patterns: their names, as for `Path.glob`.
    """
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Removes the temporary files that `write_atomically` left anywhere below a folder when it was killed.

    Args:
        folder: into which nobody else writes at this time.
    """
    for path in [path for path in folder.rglob(".*") if _TEMPORARY.fullmatch(path.name) and path.is_file()]:
        path.unlink(missing_ok=True)


@contextmanager
def output_folder(out: Path, overwrite: bool = False, temporary: Path | None = None) -> Iterator[Path]:
    """Yields a temporary folder beside `out` and renames it to `out` at the end.

    An earlier result is replaced as a whole, at the end. On any error nothing stays behind. Where `out` is a link, the
    folder that it leads to is the one that is written, and the link stays.

    Args:
        out: the folder of the results.
        overwrite: whether an earlier result, a folder with a `summary.json`, may be replaced.
        temporary: the folder that is yielded, on the file system of `out`; what lies there is replaced. By default one
            beside `out` of a name that nothing else has.

    Raises:
        UserError: before it yields, when `out` is a file, is not empty (with `overwrite`: is no earlier result) or
            cannot be made.
    """
    out = Path(os.path.realpath(out))
    _check_claimable(out, overwrite, MARK)
    made = [folder for folder in out.parents if not folder.exists()]
    if temporary is None:
        temporary = out.with_name(f".{out.name}-{uuid4().hex[:12]}")
    try:
        with writing(f"The output folder {str(out)!r}"):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(mode=0o700, parents=True)
        yield temporary
        temporary.chmod(0o755)
        _replace(temporary, out, overwrite)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # deepest first, as far as they are empty
            for folder in made:
                folder.rmdir()
        raise


def _check_claimable(folder: Path, overwrite: bool, mark: str | None = None) -> None:
    """mark: the file that says of a folder which is not empty that it may be overwritten."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"The output folder {str(folder)!r} is a file: choose another name.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise UserError(
            f"The output folder {str(folder)!r} is not empty: choose another, or allow it to be replaced.", "overwrite"
        )
    if mark is not None and not (folder / mark).is_file():
        raise UserError(
            f"{str(folder)!r} is no earlier result (it has no {mark}), so it is not replaced: choose another."
        )


def _replace(temporary: Path, out: Path, overwrite: bool) -> None:
    _check_claimable(out, overwrite, MARK)  # once more: minutes have passed
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


def check_writable(path: Path) -> None:
    """Says before any work starts where a file or folder could not be made; makes nothing.

    Args:
        path: that will be written; folders above it may be missing.

    Raises:
        UserError: the nearest folder above it that is there is a file, or may not be written to.
    """
    above = next(folder for folder in Path(os.path.abspath(path)).parents if folder.exists())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        reason = "is not to be written to" if above.is_dir() else "is no folder"
        raise UserError(f"{str(path)!r} cannot be written, since {str(above)!r} {reason}: choose another folder.")


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Says of a folder or file that cannot be written that it cannot.

    Args:
        what: is written, for people.

    Raises:
        UserError: the system refuses.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{what} cannot be written ({error.strerror}): choose a folder that you may write to."
        ) from error
