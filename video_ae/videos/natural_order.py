"""The order in which people number files."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

_POINT = "\0"  # stands for the point of a decimal, and in no file's name
_NUMBER = re.compile(f"(\\d+)(?:{_POINT}(\\d+))?")
_DECIMAL = re.compile(r"(?<!\d)(?<!\d\.)\d+\.(\d+)(?!\.?\d|[^\W_])")  # 2.5, but nothing of 1.2.3 or of 2.3gp
Item = TypeVar("Item")


def _name(item: Any) -> str:
    return item.name if isinstance(item, Path) else str(item)


def natural_order(items: Iterable[Item], name: Callable[[Item], str] = _name) -> list[Item]:
    """Items sorted by their names, in which numbers are compared as numbers.

    Numbers with a decimal point are numbers where the names say so: `1.2, 1.25, 1.3` are times without the zeros at
    their end, as Python prints them, while `1.9, 1.10` count something within 1.

    Args:
        items: anything with names, such as files.
        name: of an item; by default the last part of a path, or the text.

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
    fractions = set(_DECIMAL.findall("\n".join(names)))
    trimmed = not any(1 < len(fraction) < 5 and fraction.endswith("0") for fraction in fractions)
    return bool(fractions) and (trimmed or len({len(fraction) for fraction in fractions}) == 1)


def _key(name: str, decimal: re.Pattern[str] | None) -> list[tuple[int, int, str]]:
    """Texts and numbers in turn; of a number its whole part and the digits behind the point, which sort as text."""
    text = name.casefold()
    if decimal is not None:
        text = decimal.sub(lambda match: match[0].replace(".", _POINT), text)
    parts = _NUMBER.split(text)  # text, whole part, digits behind the point, text, ...
    key: list[tuple[int, int, str]] = [(1, 0, parts[0])] if parts[0] else []
    for whole, fraction, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        key.append((0, int(whole), fraction or ""))
        if after:
            key.append((1, 0, after))
    return [*key, (1, 0, name)]
