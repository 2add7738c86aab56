"""Text files with numbers, a row a line, in which research data sets keep poses and times."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.se3 import rigid


def read_lines(file: Path) -> list[tuple[int, list[str]]]:
    """(number from 1, words) of each line that is not empty and does not start with `#`.

    Raises UserError where the file cannot be read or has no such line.
    """
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read ({error.strerror}).") from error
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, words) for number, words in lines if words and not words[0].startswith("#")]
    if not lines:
        raise UserError(f"{str(file)!r} has no line with values.")
    return lines


def as_numbers(file: Path, line: int, words: Sequence[str], count: int) -> list[float]:
    """The words as `count` finite numbers; raises UserError that names the line."""
    if len(words) != count:
        raise UserError(f"{str(file)!r}, line {line}: {len(words)} values, but {count} are expected.")
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise UserError(f"{str(file)!r}, line {line}: these are not all numbers.") from error
    if not all(map(math.isfinite, numbers)):
        raise UserError(f"{str(file)!r}, line {line}: these are not all finite numbers.")
    return numbers


def read_table(file: Path, columns: int) -> Float64[Tensor, "row {columns}"]:
    """Every line as `columns` numbers. Raises UserError, with the number of the line, for any other content."""
    rows = [as_numbers(file, number, words, columns) for number, words in read_lines(file)]
    return torch.tensor(rows, dtype=torch.float64)


def poses_of_rows(file: Path, rows: Float64[Tensor, "row entries"]) -> Float64[Tensor, "row 4 4"]:
    """Matrices from rows of 12 (3x4) or 16 (4x4) entries, row by row. Whether they are rigid is not asked here, but
    UserError says so where a 4x4 matrix does not end in 0 0 0 1 (`file` is for that sentence).
    """
    matrices = rows.unflatten(1, (-1, 4))
    last = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    if matrices.shape[1] == 4 and not torch.allclose(matrices[:, 3], last.expand(len(rows), 4), atol=1e-3):
        raise UserError(f"{str(file)!r} has a matrix whose last row is not 0 0 0 1.")
    return rigid(matrices[:, :3, :3], matrices[:, :3, 3])
