"""Numbers in text files, and sentences for what is wrong with them."""

from pathlib import Path

import pytest
import torch

from video_ae.errors import UserError
from video_ae.formats.number_files import poses_of_rows, read_table


def test_comments_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# time x\n\n1 2.5\n  -3e2\t4\n")
    assert read_table(tmp_path / "a.txt", 2).tolist() == [[1, 2.5], [-300, 4]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# x y\n1 2\n1 2 3\n", "line 3: 3 values, but 2"),
        ("1 2\nno number\n", "line 2: these are not all numbers"),
        ("1 2\n\n3 nan\n", "line 3: these are not all finite"),
        ("# nothing\n", "no line with values"),
        (b"\x89PNG\r\n\xff\xfe", "line 1"),
    ],
)
def test_the_sentence_names_the_line(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    (tmp_path / "a.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=sentence):
        read_table(tmp_path / "a.txt", 2)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.txt' cannot be read"):
        read_table(tmp_path / "a.txt", 2)


def test_matrices_are_read_row_by_row(tmp_path: Path) -> None:
    row = torch.arange(12, dtype=torch.float64)
    whole = torch.cat([row, torch.tensor([0.0, 0, 0, 1])])
    for rows in (row[None], whole[None]):
        pose = poses_of_rows(tmp_path, rows)[0]
        assert pose[1].tolist() == [4, 5, 6, 7]
        assert pose[3].tolist() == [0, 0, 0, 1]
    transposed = torch.tensor([[1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]], dtype=torch.float64)
    with pytest.raises(UserError, match="last row"):
        poses_of_rows(tmp_path, transposed)
