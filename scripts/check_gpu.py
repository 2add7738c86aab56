"""Checks the project on a machine with a GPU, in one command and under six minutes.

    python scripts/check_gpu.py --out FOLDER [--wheels DIR] [--seconds 360] [--device auto] [--quick] [--only NAME,NAME]

It runs the tests marked `gpu`; compares data loading with that of the CPU; steps in bf16; looks for graph breaks under
`torch.compile`; counts host synchronisations; decodes with NVDEC where torchcodec can; measures rendered views and
training frames a second at 256 px and how far they are from the floor; and trains configs/perspective.yaml for the rest
of the time. A check that fails or lacks what it needs is recorded with a sentence, and the others go on.

FOLDER/check_gpu.json and FOLDER/check_gpu.md (for docs/performance.md) are written again after every check; FOLDER/run
is the training run. The same command on the same FOLDER goes on with that run; `--only training` does nothing else.
`--quick` takes small sizes, for a try on a processor. Exit codes: 0; 1 where a check failed, took too long, or none
could run; 2 for bad arguments.

The machine needs PyTorch 2.11 or later. What else the package imports can be carried as wheels; those whose package is
there already are left out. For Python 3.12 on x86-64, on a machine with a network:

    pip download --no-deps -d wheels -c constraints.txt --only-binary=:all: --python-version 3.12 \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
        --platform manylinux2014_x86_64 \
        av contourpy cycler docstring-parser einops filelock fonttools fsspec jaxtyping jsonargparse kiwisolver kornia \
        kornia-rs lightning lightning-utilities llvmlite markdown-it-py matplotlib mdurl numba numpy packaging pillow \
        pygments pyparsing python-dateutil pytorch-lightning pyyaml rich safetensors six torchcodec torchmetrics tqdm \
        typeshed-client typing-extensions wadler-lindig beartype pytest iniconfig pluggy

torchcodec's wheel there decodes on the CPU; NVDEC needs the one of PyTorch's own index
(https://download.pytorch.org/whl/cu130) and FFmpeg's shared libraries.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_checks import report as reports
from gpu_checks.wheels import install_missing, missing_imports

ROOT = Path(__file__).resolve().parents[1]
QUICK_SECONDS, SECONDS = 110.0, 360.0


@dataclass(frozen=True)
class Check:
    """One check.

    Args:
        name: in the table.
        share: of the whole time that it may take; 0: all that is left.
        run: takes a `Bench` and the seconds.
        goal: what is wanted of it on an H100 or H200.
    """

    name: str
    share: float
    run: Callable[[Any, float], dict[str, Any]]
    goal: str = ""


class OverTime(Exception):
    """A check took longer than its share."""


def all_checks() -> list[Check]:
    """The checks in their order; imports the package."""
    from gpu_checks import checks, compiling, training_run

    def untimed(run: Callable[[Any], dict[str, Any]]) -> Callable[[Any, float], dict[str, Any]]:
        return lambda bench, limit: run(bench)

    return [
        Check("gpu tests", 0.10, untimed(checks.gpu_tests)),
        Check("peaks", 0.06, untimed(checks.peaks)),
        Check("set-up", 0.35, untimed(checks.set_up)),
        Check("data loading", 0.10, untimed(checks.data_loading), "frames of the CPU"),
        Check("bf16", 0.15, untimed(checks.bf16)),
        Check("synchronisations", 0.15, untimed(checks.synchronisations)),
        Check("nvdec", 0.05, untimed(checks.nvdec)),
        Check("rendered views", 0.12, untimed(checks.rendered_views), "1000 views/s, 50 % of the floor"),
        Check("training frames", 0.15, untimed(checks.training_frames), "1000 frames/s, 50 % of the floor"),
        Check("compile", 0.30, compiling.compile_step, "no graph breaks"),
        Check("training frames, cameras solved", 0.20, untimed(checks.training_frames_solved)),
        Check("training", 0, untimed(training_run.train)),
    ]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises `OverTime` in the main thread when the time is over; one operation that does not return holds it up.

    Args:
        seconds: 0 for no limit.
    """

    def stop(*_: object) -> None:
        raise OverTime(f"it took longer than its {seconds:.0f} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome(check: Check, bench: Any) -> dict[str, Any]:
    """State, result and seconds of a check, whatever happens in it.

    Args:
        check: to run.
        bench: a `Bench`.
    """
    from gpu_checks.bench import Skipped

    begin = time.monotonic()
    limit = min(check.share * bench.seconds, max(1.0, bench.left()))
    try:
        if bench.left() <= 0:
            raise Skipped("no time is left")
        with time_limit(limit + 5 if check.share else 0):
            found = {"state": "passed", **check.run(bench, limit)}
    except Skipped as reason:
        found = {"state": "skipped", "result": f"skipped: {reason}"}
    except Exception as error:
        words = " ".join(str(error).split())[:300]
        found = {"state": "failed", "result": f"failed: {words or type(error).__name__}", "kind": type(error).__name__}
    return {**found, "goal": check.goal, "seconds": time.monotonic() - begin}


def run_checks(bench: Any, checks: list[Check], only: list[str]) -> dict[str, Any]:
    """Runs the checks and writes what is known after each; those left out keep what an earlier call has found.

    Args:
        bench: a `Bench`.
        checks: in their order.
        only: names; all if empty.
    """
    file = bench.folder / "check_gpu.json"
    known = json.loads(file.read_text())["checks"] if only and file.is_file() else {}
    report = {"machine": reports.machine(bench.device), "quick": bench.quick, "ran": []}
    for check in [check for check in checks if not only or check.name in only]:
        print(f"{check.name}: ", end="", flush=True, file=sys.stderr)
        known[check.name] = found = outcome(check, bench)
        print(f"{found['result']} ({found['seconds']:.1f} s)", flush=True, file=sys.stderr)
        report["ran"].append(check.name)
        report["checks"] = {each.name: known[each.name] for each in checks if each.name in known}
        reports.write(bench.folder, report)
    return report


def parse(words: list[str] | None) -> argparse.Namespace:
    """The arguments.

    Args:
        words: of the command line; None takes those of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the results, made where it is not there")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels, for what is not installed")
    parser.add_argument("--seconds", type=float, help="that all may take (default: 360, or 110 with --quick)")
    parser.add_argument("--device", default="auto", help="auto (CUDA where it is available), cpu, cuda or cuda:N")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a try without a GPU")
    parser.add_argument("--only", default="", help="names of checks, with commas between them")
    parser.add_argument("--part-compile", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.seconds is None:
        given.seconds = QUICK_SECONDS if given.quick else SECONDS
    if not given.seconds > 0:
        parser.error(f"--seconds is {given.seconds}, and a number above 0 is needed")
    if given.wheels is not None and not given.wheels.is_dir():
        parser.error(f"--wheels names {str(given.wheels)!r}, which is no folder")
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out names {str(given.out)!r}, which cannot be made: {error.strerror}")
    return given


def main(words: list[str] | None = None) -> int:
    """Runs the checks; returns the exit code.

    Args:
        words: of the command line; None takes those of the process.
    """
    begin = time.monotonic()
    given = parse(words)
    if str(ROOT) not in sys.path:  # the package of this checkout, which need not be installed
        sys.path.insert(0, str(ROOT))
    if given.wheels is not None:
        try:
            install_missing(given.wheels, given.out / "site-packages")
        except subprocess.CalledProcessError as error:
            print(f"check_gpu: the wheels cannot be installed: {error.stderr.strip()[-300:]}", file=sys.stderr)
            return 1
    if missing := missing_imports():
        print(f"check_gpu: not installed are {', '.join(missing)}: carry them (--wheels).", file=sys.stderr)
        return 1
    from gpu_checks.bench import Bench

    from video_ae.device import choose_device
    from video_ae.errors import UserError

    try:
        device = choose_device(given.device)
    except UserError as error:
        print(f"check_gpu: {error}", file=sys.stderr)
        return 2
    bench = Bench(device, given.out, given.quick, given.seconds - (time.monotonic() - begin))
    if given.part_compile:
        from gpu_checks.compiling import measure

        measure(bench)
        return 0
    checks, only = all_checks(), [name.strip() for name in given.only.split(",") if name.strip()]
    if unknown := set(only) - {check.name for check in checks}:
        names = ", ".join(check.name for check in checks)
        print(f"check_gpu: there is no check {sorted(unknown)[0]!r}: the checks are {names}.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the processes that were started, too
    report = run_checks(bench, checks, only)
    states = [report["checks"][name]["state"] for name in report["ran"]]
    return int("failed" in states or "passed" not in states)


if __name__ == "__main__":
    sys.exit(main())
