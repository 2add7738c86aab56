"""Runs one command after the other in one process for a long time: memory, open files and threads must stay flat.

    python tools/soak.py --out runs/soak [--minutes 120] [--calls 2000]
    python tools/soak.py --read runs/soak/soak.csv --results docs/results/soak.json --plot docs/images/soak.png

A training, twenty `reconstruct` and twenty `render`, over and over, of a small clip: what is tried is the process, and
not the solver. The calls are spread evenly over the minutes. Written are soak.csv (a line a call), the numbers and the
plot; `--read` writes these of calls that were made before, also of a soak that was stopped, and
`python tools/make_tables.py docs/reliability.md` then the table. Exit code 1 where the second half of the calls took
more than 1 % more memory than the first, or left a file or thread open; the first fifth is left out.
"""

import argparse
import contextlib
import csv
import gc
import io
import itertools
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CALLS = 20  # of each kind between two trainings
GROWTH = 1.01
COLUMNS = ("seconds", "command", "memory_mb", "files", "threads", "call_seconds")


def commands(video: Path, out: Path) -> Iterator[list[str]]:
    """Arguments of `video-ae`, without end.

    Args:
        video: a small clip.
        out: folder of the results.
    """
    run, walk = out / "run", out / "walk"
    training = ["--model", "PlainAutoencoder", "--model.image_size", "[32,24]", "--losses.l1", "L1",
                "--data.root", str(video.parent), "--data.size", "[32,24]", "--data.length", "1",
                "--trainer.max_steps", "20", "--trainer.validate_every", "10", "--trainer.checkpoint_every", "5",
                "--trainer.accelerator", "cpu"]  # fmt: skip
    few = ["--frames", "4", "--overwrite"]
    while True:
        yield ["train", *training, "--overwrite", "--out", str(run)]
        for _ in range(CALLS):
            yield ["reconstruct", str(video), *few, "--refine", "1", "--export", "points", "tum", "--out", str(walk)]
            yield ["render", str(walk), "--path", "orbit", *few, "--out", str(out / "orbit.mp4")]


def state() -> tuple[float, int, int]:
    """(resident megabytes, open files, threads of the operating system) of this process.

    Videos that were read are closed when the garbage collector comes by, so it is called first.
    """
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return (
        pages * resource.getpagesize() / 2**20,
        len(os.listdir("/proc/self/fd")),
        len(os.listdir("/proc/self/task")),
    )


def call(arguments: list[str]) -> float:
    """Seconds that a command took; SystemExit where it failed."""
    from video_ae.cli.main import main

    start, said = time.monotonic(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(arguments)
    if code:
        raise SystemExit(f"video-ae {' '.join(arguments)} ended with exit code {code}: {said.getvalue()[-1000:]}")
    return time.monotonic() - start


def soak(video: Path, out: Path, minutes: float, calls: int) -> None:
    """Makes the calls, and writes soak.csv.

    Args:
        video, out: as for `commands`.
        minutes: over which the calls are spread; on a machine that is too slow for it, they take longer.
        calls: after which it ends.
    """
    start = time.monotonic()
    with (out / "soak.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for number, arguments in enumerate(itertools.islice(commands(video, out), calls)):
            time.sleep(max(0.0, start + 60 * minutes * number / calls - time.monotonic()))
            seconds = call(arguments)
            lines.writerow([round(time.monotonic() - start, 1), arguments[0], *state(), round(seconds, 2)])
            file.flush()


def read(file: Path) -> tuple[list[str], np.ndarray]:
    """(commands, the other columns of each call: seconds, memory, files, threads, seconds of the call) of a soak.csv.

    Args:
        file: that `soak` wrote.
    """
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    numbers = [[float(row[name]) for name in COLUMNS if name != "command"] for row in rows]
    return [row["command"] for row in rows], np.array(numbers)


def summary(commands: list[str], rows: np.ndarray) -> dict[str, Any]:
    """What a soak came to; halves, least, most and trend are those of the last four fifths of the calls.

    Args:
        commands, rows: of `read`.
    """
    kept = rows[len(rows) // 5 :]  # what is compiled or loaded once is loaded by then
    first, second = kept[: len(kept) // 2], kept[len(kept) // 2 :]
    seconds, memory = kept[:, 0], kept[:, 1]
    return {
        "minutes": round(rows[-1, 0] / 60, 1),
        "trainings": commands.count("train"),
        "calls": len(commands) - commands.count("train"),
        "least_mb": round(memory.min(), 1),
        "most_mb": round(memory.max(), 1),
        "median_mb": [round(float(np.median(half[:, 1])), 1) for half in (first, second)],
        "mb_an_hour": round(3600 * float(np.polyfit(seconds, memory, 1)[0]), 2) + 0.0,  # no -0.0
        "files": [int(half[:, 2].max()) for half in (first, second)],
        "threads": [int(half[:, 3].max()) for half in (first, second)],
    }


def plot(rows: np.ndarray, path: Path) -> None:
    """Memory, files and threads over the number of the call.

    Args:
        rows: of `read`.
        path: a PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    for panel, name, column in zip(panels, ("memory [MB]", "open files", "threads"), range(1, 4), strict=True):
        panel.plot(rows[:, column], linewidth=1)
        panel.set_ylabel(name)
        panel.set_ylim(0, 1.2 * rows[:, column].max())
    panels[-1].set_xlabel(f"calls, {rows[-1, 0] / 60:.0f} minutes")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="FOLDER")
    what.add_argument("--read", type=Path, metavar="SOAK.csv")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--video", type=Path, default=Path("tests/golden/before/videos/small.mp4"))
    parser.add_argument("--results", type=Path, metavar="FILE.json", help="default: soak.json beside soak.csv")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="default: soak.png beside soak.csv")
    given = parser.parse_args()
    if given.out:
        folder = given.out / "videos"
        folder.mkdir(parents=True, exist_ok=True)
        soak(Path(shutil.copy(given.video, folder)), given.out, given.minutes, given.calls)
    file = given.read or given.out / "soak.csv"
    named, rows = read(file)
    found = summary(named, rows)
    (given.results or file.with_suffix(".json")).write_text(json.dumps(found, indent=1) + "\n")
    plot(rows, given.plot or file.with_suffix(".png"))
    print("\n".join(f"{name}: {value}" for name, value in found.items()))
    grown = found["median_mb"][1] > GROWTH * found["median_mb"][0]
    sys.exit(grown or any(second > first for first, second in (found["files"], found["threads"])))


if __name__ == "__main__":
    main()
