"""The one exception that a user sees as a sentence."""

import errno
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

# What libraries raise at files that are missing, cut off, damaged or of another kind.
_UNREADABLE: tuple[type[Exception], ...] = (
    OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError, MemoryError,
    struct.error,
)  # fmt: skip


class UserError(ValueError):
    """Bad input: one sentence that says what was given, what was expected and what to do.

    The command line prints it without a traceback and leaves with exit code 2.

    Args:
        message: the sentence. It names no options of the command line, since a notebook has none.
        argument: the Python argument whose value would help, such as `overwrite`; the command line adds the option of
            that name to the sentence.
    """

    def __init__(self, message: str, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


@contextmanager
def unreadable_as(message: str, advice: str | None = None, *others: type[Exception]) -> Iterator[None]:
    """Turns what goes wrong while a file is read into a `UserError`, and leaves a `UserError` as it is.

    Args:
        message: the sentence; where there is advice, its first half, which the reason follows in brackets.
        advice: what is expected, or what to do.
        *others: exceptions of libraries that are caught beside Python's own.
    """
    try:
        yield
    except UserError:
        raise
    except _UNREADABLE + others as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        full = message if advice is None else f"{message} ({reason}): {advice}"
        raise UserError(full) from error


def is_disk_full(error: BaseException | None) -> bool:
    """Whether there was no room for what was written: by the number of the error, or as safetensors says it.

    Args:
        error: with those that caused it.
    """
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    while error is not None:
        said = re.search(r"\(os error (\d+)\)", str(error))
        if getattr(error, "errno", None) in full or (said and int(said[1]) in full):
            return True
        error = error.__cause__ or error.__context__
    return False
