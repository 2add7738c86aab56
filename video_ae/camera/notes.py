"""Notes that hold of some frames of a clip only: they begin with these frames."""

import re
from collections.abc import Sequence

_STRETCH = re.compile(r"frames (\d+) to (\d+): ")


def note_of_stretch(note: str, first: int, last: int) -> str:
    """A note that holds of some frames in a row only.

    Args:
        note: of these frames.
        first, last: their numbers.
    """
    return f"frames {first} to {last}: {note}"


def renumbered(notes: Sequence[str], numbers: Sequence[int]) -> tuple[str, ...]:
    """Notes of selected frames, with the numbers that these have in the whole clip.

    Args:
        notes: some of which begin with the frames that they are about.
        numbers: of the selected frames.

    >>> renumbered(["frames 1 to 2: no parallax", "zoom"], [0, 7, 9])
    ('frames 7 to 9: no parallax', 'zoom')
    """
    return tuple(
        _STRETCH.sub(lambda found: note_of_stretch("", *(numbers[int(one)] for one in found.groups())), note, count=1)
        for note in notes
    )


def flag_of(note: str) -> str:
    """What a note is about, in a word or two.

    Args:
        note: a sentence with its flag before the colon.

    >>> flag_of("frames 0 to 23: poor fit: no camera that ..."), flag_of("blur: poses are less sure")
    ('poor fit', 'blur')
    """
    return _STRETCH.sub("", note, count=1).partition(":")[0]
