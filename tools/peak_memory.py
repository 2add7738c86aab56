"""The most memory that a command holds, with all processes below it (Linux): `python tools/peak_memory.py COMMAND ...`.

Prints, once the command has ended, the peak of its anonymous memory (what it allocates; pages of files, which the
system may drop, do not count) and of its resident memory, in GB, its CPU seconds and those on the clock. Looks five
times a second, so that a shorter peak is missed. Exits as the command does.
"""

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

INTERVAL = 0.2  # seconds between two looks
ANONYMOUS, RESIDENT = ("RssAnon", "RssShmem"), ("VmRSS",)


def memory(root: int) -> tuple[int, int]:
    """Anonymous and resident bytes of a process and all below it, now.

    Args:
        root: number of the process.
    """
    children, held = defaultdict(list), {}
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        except OSError:  # it has ended
            continue
        number = int(lines["Pid"])
        children[int(lines["PPid"])].append(number)
        held[number] = [sum(_bytes(lines.get(name, "0 kB")) for name in names) for names in (ANONYMOUS, RESIDENT)]
    family, anonymous, resident = [root], 0, 0
    while family:
        number = family.pop()
        own = held.get(number, (0, 0))
        anonymous, resident = anonymous + own[0], resident + own[1]
        family += children[number]
    return anonymous, resident


def _bytes(text: str) -> int:
    return 1024 * int(text.split()[0])


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    started, peaks = time.monotonic(), (0, 0)
    command = subprocess.Popen(sys.argv[1:])
    while command.poll() is None:
        now = memory(command.pid)
        peaks = max(peaks[0], now[0]), max(peaks[1], now[1])
        time.sleep(INTERVAL)
    times = os.times()
    cpu, clock = times.children_user + times.children_system, time.monotonic() - started
    print(
        f"peak of anonymous memory {peaks[0] / 1e9:.2f} GB, resident {peaks[1] / 1e9:.2f} GB;"
        f" {cpu:.0f} CPU seconds, {clock:.0f} on the clock"
    )
    sys.exit(command.returncode)


if __name__ == "__main__":
    main()
