"""Where the time goes, beside an older commit, in one run: `make bench`, or

    python scripts/benchmark_performance.py --against 73fe9c0 --out docs/performance.md

CPU seconds of one thread. Every measurement runs in a process of its own, with the package of this checkout and with
that of the other commit in turn; a first turn, in which code is compiled and caches are filled, is not counted. The
clips are the project's walk-throughs; of others, and of COLMAP, `scripts/benchmark_real_clips.py` has told before.
Commits before 73fe9c0 have another interface.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from performance_measurements import FRAMES, OTHERS, ROOT, ROWS, measure

REAL = ROOT / "docs" / "performance_real.json"


def in_process(name: str, package: Path) -> dict[str, Any]:
    """`measure` with the package of a checkout.

    Args:
        name: of the measurement.
        package: the checkout.
    """
    print(f"{name} with {package}", file=sys.stderr)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    as_commands_do = {"OMP_WAIT_POLICY": "PASSIVE"}  # 4 times the share beside a busy core without it
    environment = os.environ | threads | as_commands_do | {"PYTHONPATH": str(package)}
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", name]
    ran = subprocess.run(command, cwd=package, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def plot(measured: dict[str, dict[str, float]], path: Path) -> None:
    """Time over size.

    Args:
        measured: as of `sizes`.
        path: PNG.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    labels = ("frames of a clip", "cameras, feed-forward"), ("shorter side of a view, pixels", "a view from the codes")
    for axis, values, (label, title) in zip(axes, measured.values(), labels, strict=True):
        axis.loglog([int(key) for key in values], list(values.values()), "o-")
        axis.set_xticks([int(key) for key in values], list(values))
        axis.xaxis.minorticks_off()
        axis.set(xlabel=label, ylabel="CPU seconds, one thread", title=title)
        axis.grid(True, alpha=0.3)
    figure.savefig(path, dpi=110)


def page(rows: dict[str, dict[str, float]], flow: dict[str, float], against: str, image: str) -> str:
    """The page as Markdown.

    Args:
        rows: package -> row -> seconds.
        flow: as of `matcher`, and of the measurements of this commit alone.
        against: the older commit.
        image: of the plot, relative to the page.
    """
    import numba
    import torch

    now, before = rows["now"], rows["before"]
    table = "".join(
        f"| {name} | {before[name]:.3g} | {now[name]:.3g} | {now[name] / before[name]:.2f} | {note} |\n"
        for name, note in ROWS.items()
    )
    others = "".join(f"| {name} | {flow[name]:.3g} | {note} |\n" for name, note in OTHERS.items() if name in flow)
    machine = f"{os.cpu_count()} cores of {processor()}"
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__}, Numba {numba.__version__}"
    slow, fast, floor = (1000 * flow[name] for name in ("tensor operations", "compiled", "floor"))
    return f"""# Performance

What the main steps cost, in CPU seconds of one thread, by `make bench` in one run beside commit `{against}`:
{versions}, {machine}.

| | before | now | ratio | how |
|---|---|---|---|---|
{table}
More measurements of this commit alone, in seconds unless the row says otherwise:

| | now | how |
|---|---|---|
{others}
The dense matcher, one level of {FRAMES} frames at 170x128, both directions of each pair: {slow:.0f} ms by tensor
operations, {fast:.0f} ms by the compiled loop ({slow / fast:.1f} times less). Reading its inputs and writing its
results once would take {floor:.1f} ms here: the loop is bound by arithmetic, not by memory.

![Time over size]({image})
{real_clips(against)}
Which goals are not reached, what was tried and where the floor lies:
[experiments](experiments.md#where-the-time-still-goes).
"""


def real_clips(against: str) -> str:
    """What `scripts/benchmark_real_clips.py` measured, as Markdown.

    Args:
        against: the older commit.
    """
    rows = json.loads(REAL.read_text())
    before = rows["before"]
    table = "".join(
        f"| {name} | {f'{before[name]:.3g}' if name in before else ''} | {value:.3g} | "
        f"{f'{value / before[name]:.2f}' if name in before else ''} |\n"
        for name, value in rows["now"].items()
    )
    return f"""
On real clips, which are not part of the project, by `python scripts/benchmark_real_clips.py --root $REAL_CLIPS
--against {against}`; COLMAP is pycolmap 4.2.1 with its default mapper and the focal length unknown, on the same frames:

| | before | now | ratio |
|---|---|---|---|
{table}"""


def processor() -> str:
    """Its name, where the system says it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Measures and writes the page, or is one of the measuring processes."""
    both = ("feed_forward", "refined", "training_step", "new_views", "reconstruct")
    alone = ("matcher", "views_again", "large_views", "training_256", "paper_256", "two_processes", "busy_core")
    alone += ("sizes",)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="73fe9c0", help="the older commit, which is checked out beside")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "performance.md")
    parser.add_argument("--only", nargs="+", choices=both + alone, help="the rest is kept as the last run measured it")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    stored, chosen = arguments.out.with_suffix(".json"), arguments.only or both + alone
    rows = json.loads(stored.read_text()) if arguments.only else {"now": {}, "before": {}, "alone": {}}
    with tempfile.TemporaryDirectory() as folder:
        older, git = Path(folder) / "older", ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(older), arguments.against], check=True)
        try:
            for name in filter(chosen.__contains__, both):
                for label, package in (("now", ROOT), ("before", older)):
                    rows[label] |= in_process(name, package)
                    stored.write_text(json.dumps(rows, indent=1))
        finally:
            subprocess.run([*git, "remove", "--force", str(older)], check=True)
    for name in filter(chosen.__contains__, alone):
        rows["alone"] |= in_process(name, ROOT)
        stored.write_text(json.dumps(rows, indent=1))
    image = arguments.out.parent / "images" / "performance.png"
    image.parent.mkdir(exist_ok=True)
    plot({name: rows["alone"][name] for name in ("frames", "side")}, image)
    text = page(rows, rows["alone"], arguments.against, f"images/{image.name}")
    arguments.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
