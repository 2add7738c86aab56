"""Text files with numbers, a row a line, in which research data sets keep poses and times."""

import codecs
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError, unreadable_as
from video_ae.geometry.se3 import is_rigid, rigid


def read_lines(file: str | Path) -> list[tuple[int, list[str]]]:
    """(number from 1, words) of each line that is not empty and does not start with `#`.

    Args:
        file: a text file; words are separated by white space or commas, as the readers of the TUM benchmark take them.
            A byte order mark, with which Windows begins files, is passed over.

    Raises:
        UserError: when the file cannot be read or has no such line.
    """
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read ({error.strerror}).") from error
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if wide else "utf-8-sig", errors="replace").replace(",", " ")
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, words) for number, words in lines if words and not words[0].startswith("#")]
    if not lines:
        raise UserError(f"{str(file)!r} has no line with values.")
    return lines


def as_numbers(file: str | Path, line: int, words: Sequence[str], count: int, finite: bool = True) -> list[float]:
    """The words of a line as numbers.

    Args:
        file: where they come from, for the message.
        line: the number of the line, for the message.
        words: of the line.
        count: how many are expected.
        finite: whether NaN and infinity are refused; poses have them where a frame is lost.

    Raises:
        UserError: when there is another number of words or one is no (finite) number.
    """
    if len(words) != count:
        raise UserError(f"{str(file)!r}, line {line}: {len(words)} values, but {count} are expected.")
    with unreadable_as(f"{str(file)!r}, line {line}: these are not all numbers."):
        numbers = [float(word) for word in words]
    if finite and not all(map(math.isfinite, numbers)):
        raise UserError(f"{str(file)!r}, line {line}: these are not all finite numbers.")
    return numbers


def read_table(file: str | Path, columns: int, finite: bool = True) -> Float64[Tensor, "row {columns}"]:
    """Every line of a file as numbers.

    Args:
        file: a text file.
        columns: how many numbers a line has.
        finite: as in `as_numbers`.

    Raises:
        UserError: for any other content; it names the line.
    """
    rows = [as_numbers(file, number, words, columns, finite) for number, words in read_lines(file)]
    return torch.tensor(rows, dtype=torch.float64)


def poses_of_rows(file: str | Path, rows: Float64[Tensor, "row entries"]) -> Float64[Tensor, "row 4 4"]:
    """4x4 matrices from their entries. Whether they are poses is not checked (`video_ae.geometry.se3.is_rigid`).

    Args:
        file: where they come from, for the message.
        rows: 12 (3x4) or 16 (4x4) entries each, row by row.

    Raises:
        UserError: when the last row of a 4x4 pose is not 0 0 0 1.
    """
    matrices = rows.reshape(len(rows), -1, 4)
    poses = rigid(matrices[:, :3, :3], matrices[:, :3, 3])
    if matrices.shape[1] == 4 and not torch.allclose(
        matrices[is_rigid(poses), 3], poses[is_rigid(poses), 3], atol=1e-3
    ):
        raise UserError(f"{str(file)!r} has a matrix whose last row is not 0 0 0 1.")
    return poses
