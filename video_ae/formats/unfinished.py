"""Folders of results that take long: a run that was interrupted is gone on with by the next one."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from video_ae.errors import UserError
from video_ae.formats.atomic import output_folder, write_text_atomically, writing
from video_ae.steps import keeping_steps

_TASK, _STEPS, _RESULT, _LOCK = "task.json", "steps", "result", "lock"


@contextmanager
def resumable_folder(out: Path, overwrite: bool, task: Mapping[str, Any]) -> Iterator[Path]:
    """Yields a temporary folder that becomes `out` at the end, as `output_folder` does, and keeps the steps on the way.

    They lie in the hidden folder `.NAME-unfinished` beside it (of a link: beside what it leads to). A run that is
    stopped or killed, or that lacks memory or disk, leaves that folder, and the next one of the same task goes on from
    there. After success, and after other errors, which would come again, nothing of it is left.

    Args:
        out: the folder of the results.
        overwrite: whether an earlier result may be replaced.
        task: all that the steps depend on; steps of another task are thrown away.

    Raises:
        UserError: `out` is in the way, cannot be made, or another run is writing it.
        KeyboardInterrupt: it was stopped, saying how to go on.
    """
    out = Path(os.path.realpath(out))
    with (
        _hidden_folder(out, task) as hidden,
        output_folder(out, overwrite, hidden / _RESULT) as folder,
        keeping_steps(hidden / _STEPS),
    ):
        yield folder


@contextmanager
def _hidden_folder(out: Path, task: Mapping[str, Any]) -> Iterator[Path]:
    hidden = out.with_name(f".{out.name}-unfinished")
    made = [folder for folder in out.parents if not folder.exists()]
    with writing(f"The output folder {str(out)!r}"):
        hidden.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(hidden, out):
        _begin(hidden, task)
        try:
            yield hidden
        except (OSError, MemoryError):
            raise
        except KeyboardInterrupt:
            message = f"stopped; the same command goes on where it stood (what is done lies in {str(hidden)!r})."
            raise KeyboardInterrupt(message) from None
        except BaseException:
            _remove(hidden, made)
            raise
        _remove(hidden)


@contextmanager
def _locked(hidden: Path, out: Path) -> Iterator[None]:
    try:
        with FileLock(hidden / _LOCK, timeout=0):
            yield
    except Timeout:
        raise UserError(f"Another run is writing {str(out)!r}: wait for it, or choose another folder.") from None


def _begin(hidden: Path, task: Mapping[str, Any]) -> None:
    """Throws away the steps of another task."""
    file, text = hidden / _TASK, json.dumps(task, indent=1, default=str)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        shutil.rmtree(hidden / _STEPS, ignore_errors=True)
        write_text_atomically(file, text)


def _remove(hidden: Path, made: Sequence[Path] = ()) -> None:
    """Removes the folder, and those above it that were made for it, as far as they are empty."""
    shutil.rmtree(hidden, ignore_errors=True)
    with suppress(OSError):
        for folder in made:
            folder.rmdir()
