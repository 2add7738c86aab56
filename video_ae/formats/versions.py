"""The versions of our own files: those of before are read, newer ones are named."""

from pathlib import Path

from video_ae.errors import UserError


def check_version(found: int, known: int, path: str | Path) -> None:
    """Refuses a file of a form that only a newer video-ae knows.

    Args:
        found: version of the file's form, from 1.
        known: the newest that this video-ae reads.
        path: of the file.

    Raises:
        UserError: it is newer.
    """
    if found > known:
        raise UserError(
            f"{str(path)!r} was written by a newer video-ae (its form is {found}, this one reads up to {known}): "
            "install the newer one."
        )
