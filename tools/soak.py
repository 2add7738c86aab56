"""Runs one command after the other in one process for a long time: memory, open files and threads must stay flat.

    python tools/soak.py --out runs/soak [--minutes 120] [--calls 2000] [--plot docs/images/soak.png]

A training, twenty `reconstruct` and twenty `render`, over and over, of a small clip: what is tried is the process, and
not the solver. The calls are spread evenly over the minutes. Written are soak.csv (a line a call) and the plot. Exit
code 1 where the second half of the calls took more than 5 % more memory than the first, or left a file or thread open.
"""

import argparse
import contextlib
import csv
import gc
import io
import itertools
import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CALLS = 20  # of each kind between two trainings
GROWTH = 1.05
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


def soak(video: Path, out: Path, minutes: float, calls: int) -> list[tuple]:
    """The rows of soak.csv.

    Args:
        video, out: as for `commands`.
        minutes: over which the calls are spread; on a machine that is too slow for it, they take longer.
        calls: after which it ends.
    """
    rows, start = list[tuple](), time.monotonic()
    with (out / "soak.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for number, arguments in enumerate(itertools.islice(commands(video, out), calls)):
            time.sleep(max(0.0, start + 60 * minutes * number / calls - time.monotonic()))
            seconds = call(arguments)
            rows.append((round(time.monotonic() - start, 1), arguments[0], *state(), round(seconds, 2)))
            lines.writerow(rows[-1])
            file.flush()
    return rows


def plot(rows: list[tuple], path: Path) -> None:
    """Memory, files and threads over the number of the call.

    Args:
        rows: of `soak`.
        path: a PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    for panel, name, column in zip(panels, ("memory [MB]", "open files", "threads"), range(2, 5), strict=True):
        values = [row[column] for row in rows]
        panel.plot(values, linewidth=1)
        panel.set_ylabel(name)
        panel.set_ylim(0, 1.2 * max(values))
    panels[-1].set_xlabel(f"calls, {rows[-1][0] / 60:.0f} minutes")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--video", type=Path, default=Path("tests/golden/before/videos/small.mp4"))
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    folder = given.out / "videos"
    folder.mkdir(exist_ok=True)
    rows = soak(Path(shutil.copy(given.video, folder)), given.out, given.minutes, given.calls)
    plot(rows, given.plot or given.out / "soak.png")
    kept = rows[len(rows) // 5 :]  # what is compiled or loaded once is loaded by then
    first, second = kept[: len(kept) // 2], kept[len(kept) // 2 :]
    peaks = [[max(row[column] for row in half) for column in range(2, 5)] for half in (first, second)]
    memory = [float(np.median([row[2] for row in half])) for half in (first, second)]
    print(
        f"{len(rows)} calls in {rows[-1][0] / 60:.1f} minutes; median memory {memory[0]:.0f} MB, then {memory[1]:.0f}"
    )
    print(f"most open files {peaks[0][1]}, then {peaks[1][1]}; threads {peaks[0][2]}, then {peaks[1][2]}")
    print(f"python's threads at the end: {threading.active_count()}")
    sys.exit(memory[1] > GROWTH * memory[0] or peaks[1][1] > peaks[0][1] or peaks[1][2] > peaks[0][2])


if __name__ == "__main__":
    main()
