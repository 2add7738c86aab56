"""The table of all annotations as a Parquet file."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from video_ae.annotation.annotation_row import AnnotationRow, Number, as_columns
from video_ae.errors import UserError

_GROUP = 1000  # rows in memory
_KINDS = {str: "string", int: "int64", float: "float64", Number: "float64", bool: "bool_"}


def need_pyarrow() -> Any:
    """The package pyarrow.

    Raises:
        UserError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError("The table needs pyarrow: install it with `pip install 'video-ae[fleet]'`.") from error
    return pyarrow


def write_parquet(path: Path, videos: Iterable[list[AnnotationRow]]) -> None:
    """Writes rows as they come; a thousand of them are in memory.

    Args:
        path: of the file.
        videos: the rows of each video.
    """
    arrow = need_pyarrow()
    schema = arrow.schema([(one.name, getattr(arrow, _KINDS[one.type])()) for one in fields(AnnotationRow)])
    with arrow.parquet.ParquetWriter(path, schema) as writer:
        group: list[AnnotationRow] = []
        for rows in videos:
            group += rows
            if len(group) >= _GROUP:
                writer.write_table(arrow.table(_columns(group), schema))
                group = []
        if group:
            writer.write_table(arrow.table(_columns(group), schema))


def _columns(rows: Sequence[AnnotationRow]) -> dict[str, list[Any]]:
    """Bytes of a file's name that are no letters as their numbers: Parquet holds UTF-8 alone."""
    columns = as_columns(rows)
    for name, kind in ((one.name, one.type) for one in fields(AnnotationRow)):
        if kind is str:
            columns[name] = [text.encode("utf-8", "backslashreplace").decode() for text in columns[name]]
    return columns
