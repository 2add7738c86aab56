"""Every parser reads its good file, and a few hundred damaged ones end in a sentence (`make fuzz` tries millions)."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from fuzz_targets import TARGETS

FILES = 120


def damaged(content: bytes, draw: random.Random) -> bytes:
    """A file with up to four changes, each at a random place."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at, length = draw.randrange(len(changed) + 1), draw.choice([1, 1, 4, 8, 50])
        other = draw.choice([b"", draw.randbytes(length), b"\xff" * length, bytes(length), b"nan", b"-1", b"99999999"])
        changed[at : at + draw.choice([0, length])] = other
    return bytes(changed[: draw.choice([len(changed)] * 3 + [draw.randrange(len(changed) + 1)])])


@pytest.mark.parametrize("name", TARGETS)
def test_it_is_read_or_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    target, draw = TARGETS[name], random.Random(name)
    file = target.write_seed(tmp_path)
    good = file.read_bytes()
    assert not isinstance(target.try_to_read(tmp_path), str), "the good file is read"
    for _ in range(FILES):
        file.write_bytes(damaged(good, draw))
        target.try_to_read(tmp_path)
