"""Gives every parser of ours changed files for some minutes each: each must be read, or refused in one sentence.

    python tools/fuzz_parsers.py --out runs/fuzz [--minutes 10] [--only tum ply ...]

atheris (libFuzzer) changes a good file and keeps the changes that reach new lines of our code. What it kept lies in
`--out`; minutes and files of each parser and day are added to the ledger, `docs/results/fuzz.json`, which adds up over
machines. The command may be stopped at any time and goes on there, parser after parser in rounds;
`python tools/make_tables.py docs/reliability.md` then writes the table. Exit code 1 where a parser raised anything but
a `UserError` of one line, took more than five seconds or more than 2 GB; the file that made it do so then lies there.
libFuzzer counts seconds of the clock: a file that took too long is read once more, and CPU time decides.
"""

import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from fuzz_targets import TARGETS, Target

OPTIONS = ("-timeout=5", "-rss_limit_mb=2500", "-print_final_stats=1", "-verbosity=0")
ROUND = 180  # seconds of a parser before the next one has its turn
LEDGER = Path(__file__).parents[1] / "docs" / "results" / "fuzz.json"
STARTED, EXECUTED = re.compile(r"^started after ([\d.]+)$", re.M), re.compile(r"number_of_executed_units:\s+(\d+)")


def fuzz(target: Target, folder: Path, seconds: int) -> None:
    """Never returns: libFuzzer ends the process.

    Args:
        target: the parser.
        folder: of what was kept, one file each.
        seconds: after which it ends.
    """
    import atheris

    with atheris.instrument_imports(include=["video_ae.formats", "video_ae.datasets", "video_ae.videos"]):
        target.load()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        place = Path(name)
        file = target.write_seed(place)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "seed").write_bytes(file.read_bytes())
        size = f"-max_len={2 * file.stat().st_size + 64}"
        found = f"-artifact_prefix={folder}-found-"

        def one(content: bytes) -> None:
            file.write_bytes(content)
            target.try_to_read(place)

        atheris.Setup([sys.argv[0], *OPTIONS, size, found, f"-max_total_time={seconds}", str(folder)], one)
        print("started after", time.process_time(), flush=True)
        atheris.Fuzz()


def read_again(target: Target, found: Path) -> None:
    """Reads a file that took too long by the clock; five CPU seconds later SIGXCPU ends the process.

    Args:
        target: the parser.
        found: what libFuzzer wrote.
    """
    target.load()
    with tempfile.TemporaryDirectory() as name:
        target.write_seed(Path(name)).write_bytes(found.read_bytes())
        limit = math.ceil(time.process_time()) + 5
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        target.try_to_read(Path(name))


def was_waiting(name: str, out: Path) -> bool:
    """Whether what a parser failed by is nothing but time on the clock, while others had the processor.

    Args:
        name: of the parser.
        out: folder of all parsers; what was found is removed from it where this is so.
    """
    found = list(out.glob(f"{name}-found-*"))
    for file in found:
        command = [sys.executable, __file__, "--out", out, "--child", name, "--again", file]
        if "-timeout-" not in file.name or subprocess.run(list(map(str, command))).returncode:
            return False
        file.unlink()
    return bool(found)


def fuzz_in_child(name: str, out: Path, seconds: int) -> tuple[float, int, str]:
    """(CPU seconds, files, what was said where it failed) of one parser, without the start of its process.

    Args:
        name: of the parser.
        out: folder of all parsers.
        seconds: after which it ends.
    """
    command = [sys.executable, __file__, "--out", out, "--child", name, "--seconds", seconds]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    started, executed = STARTED.search(done.stdout), EXECUTED.search(done.stdout)
    if not (started and executed):
        return 0, 0, done.stdout
    return used - float(started[1]), int(executed[1]), done.stdout if done.returncode else ""


def minutes_of(ledger: Path, name: str) -> float:
    """CPU minutes of a parser on all days.

    Args:
        ledger: file, which need not exist.
        name: of the parser.
    """
    return sum(day["minutes"] for day in _read(ledger).get(name, []))


def add_to_ledger(ledger: Path, name: str, seconds: float, files: int) -> None:
    """Adds to the day's numbers of a parser.

    Args:
        ledger: file, made where it does not exist; read anew, since another process may fuzz other parsers.
        name: of the parser.
        seconds: of CPU time.
        files: that it read or refused.
    """
    from video_ae.formats.atomic import write_json_atomically  # here: the child loads our code under atheris

    content, today = _read(ledger), date.today().isoformat()
    days = content.setdefault(name, [])
    if not days or days[-1]["date"] != today:
        days.append({"date": today, "minutes": 0.0, "files": 0})
    days[-1]["minutes"] = round(days[-1]["minutes"] + seconds / 60, 3)
    days[-1]["files"] += files
    write_json_atomically(ledger, dict(sorted(content.items())))


def _read(ledger: Path) -> dict[str, list[dict]]:
    return json.loads(ledger.read_text()) if ledger.exists() else {}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10, help="of CPU time for each parser, with earlier days'")
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    parser.add_argument("--only", nargs="*", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--child", help=argparse.SUPPRESS)  # the parser of this process
    parser.add_argument("--seconds", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--again", type=Path, help=argparse.SUPPRESS)  # a file that took it too long
    given = parser.parse_args()
    if given.again:
        read_again(TARGETS[given.child], given.again)
        sys.exit()
    if given.child:
        fuzz(TARGETS[given.child], given.out / given.child, given.seconds)
    failed = set[str]()

    def rest(name: str) -> float:
        return 0 if name in failed else 60 * (given.minutes - minutes_of(given.ledger, name))

    while waiting := [name for name in given.only if rest(name) >= 1]:
        for name in waiting:
            seconds, files, said = fuzz_in_child(name, given.out, min(ROUND, round(rest(name))))
            add_to_ledger(given.ledger, name, seconds, files)
            print(f"{name}: {files} files in {seconds / 60:.1f} minutes", flush=True)
            if said and not was_waiting(name, given.out):
                failed.add(name)
                print(f"{name} FAILED\n{said[-3000:]}", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
