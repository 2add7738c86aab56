"""When images were taken: from a list of time stamps beside them, or from their names."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from video_ae.videos.natural_order import have_decimals

# In the images' folder or in the one above: TUM, EuRoC, KITTI and what people call their own.
LISTS = ("rgb.txt", "timestamps.txt", "times.txt", "data.csv", "timestamps.csv")
_UNITS = {13: 1e-3, 16: 1e-6, 19: 1e-9}  # seconds per unit of a Unix time, by its digits
_NUMBER = re.compile(r"\d+(\.\d+)?([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")  # KITTI's raw recordings


def time_stamps(folder: Path, files: Sequence[Path]) -> list[float] | None:
    """Seconds at which each image was taken; None where neither a list nor the names say it.

    A list has a line for each image, with its name and the time in any order (`LISTS`, TUM's rgb.txt), or the time
    alone; a time is a number or a date (ISO 8601, of UTC where it names no zone). Names are seconds with a decimal
    point and enough digits (1.01 may count something within 1), or Unix times in milli-, micro- or nanoseconds. They
    count only where all are different.

    Args:
        folder: of the images.
        files: the images, in natural order.
    """
    for file in (place / name for place in (folder, folder.parent) for name in LISTS):
        if file.is_file() and (found := _distinct(_from_list(file, files))):
            return found
    return _distinct(_from_names(files))


def _distinct(times: list[float] | None) -> list[float] | None:
    return times if times and len(set(times)) == len(times) and all(map(math.isfinite, times)) else None


def _from_list(file: Path, files: Sequence[Path]) -> list[float] | None:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    text = _DATE.sub(_unix_time, text)
    lines = [line.replace(",", " ").split() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    if len(lines) == len(files) and all(len(words) == 1 for words in lines):
        times = [_seconds(words[0]) for words in lines]
        return None if None in times else [time for time in times if time is not None]
    named: dict[str, float] = {}
    for words in lines:
        if len(words) == 2:
            for name, word in (words, words[::-1]):
                if Path(name).suffix and (time := _seconds(word)) is not None:
                    named.setdefault(Path(name).name, time)
    return [named[path.name] for path in files] if all(path.name in named for path in files) else None


def _from_names(files: Sequence[Path]) -> list[float] | None:
    if not _NUMBER.fullmatch(files[0].stem):  # as in most folders
        return None
    stems = [path.stem for path in files]
    long = any(len(whole) >= 6 or len(part) >= 3 for whole, _, part in (stem.partition(".") for stem in stems))
    decimal = long and have_decimals([f"{stem}.x" for stem in stems])
    if not all(_NUMBER.fullmatch(stem) and (decimal or _is_unix_time(stem)) for stem in stems):
        return None
    return [time for stem in stems if (time := _seconds(stem)) is not None]


def _unix_time(date: re.Match[str]) -> str:
    """Seconds since 1970; the date itself where there is none of that name.

    >>> _unix_time(_DATE.fullmatch("2011-09-26 13:02:25.951199337"))
    '1317042145.951199'
    """
    try:
        time = datetime.fromisoformat(date[0])
    except ValueError:
        return date[0]
    return repr((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _is_unix_time(text: str) -> bool:
    return text.isdecimal() and len(text) in _UNITS and text[0] == "1"


def _seconds(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) * _UNITS[len(text)] if _is_unix_time(text) else float(text)
