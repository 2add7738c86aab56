"""The order in which people number files."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

_WHOLE = re.compile(r"\d+")
_DECIMAL = re.compile(r"(?<!\d)(?<!\d\.)\d+\.(\d+)(?!\.?\d|[^\W_])")  # 2.5, but nothing of 1.2.3 or of 2.3gp
Item = TypeVar("Item")


def natural_order(items: Iterable[Item], name: Callable[[Item], str] = lambda item: Path(str(item)).name) -> list[Item]:
    """Items sorted by their names, in which numbers are compared as numbers.

    Numbers with a decimal point are numbers where the names say so: `1.2, 1.25, 1.3` are times without the zeros at
    their end, as Python prints them, while `1.9, 1.10` count something within 1.

    Args:
        items: anything with names, such as files.
        name: of an item; by default the last part of a path.

    >>> natural_order(["frame10", "frame9", "Frame2"]), natural_order(["1.3.png", "1.25.png", "0.9.png"])
    (['Frame2', 'frame9', 'frame10'], ['0.9.png', '1.25.png', '1.3.png'])
    >>> natural_order(["shot1.10.png", "shot1.9.png"])
    ['shot1.9.png', 'shot1.10.png']
    """
    named = [(name(item), item) for item in items]
    number = _DECIMAL if have_decimals([text for text, _ in named]) else None
    return [item for _, item in sorted(named, key=lambda pair: _key(pair[0], number))]


def have_decimals(names: Iterable[str]) -> bool:
    """Whether the numbers with a point in some names are decimals: none ends in a zero, as a count of ten would.

    Args:
        names: of files.
    """
    fractions = {fraction for name in names for fraction in _DECIMAL.findall(name)}
    trimmed = not any(1 < len(fraction) < 5 and fraction.endswith("0") for fraction in fractions)
    return bool(fractions) and (trimmed or len({len(fraction) for fraction in fractions}) == 1)


def _key(name: str, decimal: re.Pattern[str] | None) -> list[tuple[int, int, str]]:
    """Texts and numbers in turn; of a number its whole part and the digits behind the point, which sort as text."""
    key: list[tuple[int, int, str]] = []
    text, end = name.casefold(), 0
    fractions = {} if decimal is None else {match.start(): match for match in decimal.finditer(text)}
    for match in _WHOLE.finditer(text):
        if match.start() < end:  # the digits behind a point
            continue
        key += [(1, 0, text[end : match.start()])] if match.start() > end else []
        found: Any = fractions.get(match.start())
        key.append((0, int(match[0]), "" if found is None else found[1]))
        end = match.end() if found is None else found.end()
    return [*key, *([(1, 0, text[end:])] if end < len(text) else []), (1, 0, name)]
