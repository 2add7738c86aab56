"""Kills a command at random moments, starts it again each time, and compares it with one that nothing happened to.

    python tools/kill_commands.py train --kills 20 --out FOLDER [--data.workers 2 and other options of `video-ae train`]
    python tools/kill_commands.py prepare --kills 20 --out FOLDER data/walkthroughs/validation [--workers 2]
    python tools/kill_commands.py reconstruct --kills 20 --out FOLDER VIDEO [--frames 30]

SIGKILL strikes after a random part of what most of the command takes. Of a training, weights, the state of the
optimizer and the logged losses must be the same to the bit; of `prepare` and `reconstruct`, every file. Nothing may be
left behind, neither files nor processes. Else the exit code is 1. `docs/reliability.md` says what it found.

Commands are forked from a process that has imported everything already, so that each kill strikes work and not an
import; those of several ranks (`--trainer.devices 2`) start as a user starts them, and one rank is killed.
"""

import argparse
import csv
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

DEFAULT = ["--config", "configs/autoencoder_convolutional.yaml", "--data.root", "data/walkthroughs/validation",
           "--trainer.checkpoint_every", "3", "--trainer.validate_every", "10", "--trainer.log_every", "1",
           "--trainer.max_steps", "40", "--trainer.max_time", "null", "--trainer.accelerator", "cpu"]  # fmt: skip
PATIENCE = 180  # seconds in which the helpers of a killed command must end; those of a busy machine import for long
_forks = multiprocessing.get_context("forkserver")
_PRELOADED = ("cli.main", "training.train", "preparation.prepare", "pipelines.reconstruct")
_forks.set_forkserver_preload([f"video_ae.{name}" for name in _PRELOADED])


def run(arguments: list[str], log: Path, seconds: float | None = None) -> bool:
    """Runs a command and kills it after some seconds; whether it came to its end.

    Args:
        arguments: of `video-ae`.
        log: file that its output is appended to.
        seconds: None lets it end.
    """
    ranks = "--trainer.devices" in arguments
    command = _Process(arguments, log) if ranks else _forks.Process(target=_work, args=(arguments, log))
    if not ranks:
        command.start()
    command.join(seconds)
    if command.exitcode is None:
        command.kill()
        command.join()
        await_end_of_group(command.pid)
        return False
    if command.exitcode:
        raise SystemExit(f"video-ae {' '.join(arguments)} ended with exit code {command.exitcode}, see {log}")
    return True


class _Process(subprocess.Popen):
    """A command as a user starts it, with the methods of a forked one."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        with log.open("a") as file:
            command = [sys.executable, "-m", "video_ae", *arguments]
            super().__init__(command, stdout=file, stderr=file, start_new_session=True)

    @property
    def exitcode(self) -> int | None:
        return self.poll()

    def kill(self) -> None:
        """Kills one of the ranks, whichever; the others must end by themselves."""
        ranks = [number for number in _alive(self.pid) if b"video_ae" in _command_line(number)]
        os.kill(random.choice(ranks or [self.pid]), signal.SIGKILL)

    def join(self, seconds: float | None = None) -> None:
        try:
            self.wait(seconds)
        except subprocess.TimeoutExpired:
            return


def _work(arguments: list[str], log: Path) -> None:
    os.setsid()  # a group of its own, whose end can be seen
    multiprocessing.set_start_method(None, force=True)  # that of a command which was not forked
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from video_ae.cli.main import main

    sys.exit(main(arguments))


def await_end_of_group(group: int) -> None:
    """Returns when no process of a group runs any more; SystemExit where one outlives its command for long."""
    limit = time.monotonic() + PATIENCE
    while (alive := _alive(group)) and time.monotonic() < limit:
        time.sleep(0.05)
    if alive:
        for number in alive:
            os.kill(number, 9)
        raise SystemExit(f"{len(alive)} processes outlived the command that was killed")


def _alive(group: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):  # it ended just now
            continue
        if int(of) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


def _command_line(number: int) -> bytes:
    with suppress(OSError):  # it ended just now
        return Path(f"/proc/{number}/cmdline").read_bytes()
    return b""


def same(one: object, other: object) -> bool:
    """Nested mappings and lists with the same numbers, to the bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return isinstance(other, type(one)) and len(one) == len(other) and all(map(same, one, other))
    return one == other


def losses(folder: Path) -> dict[str, str]:
    """Step -> logged training loss, of all starts of a run; what was trained twice must have been logged alike."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("metrics/version_*/metrics.csv")):
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row.get("train/loss") and found.setdefault(row["step"], row["train/loss"]) != row["train/loss"]:
                    raise SystemExit(f"step {row['step']} was logged twice, with different losses")
    return found


def train_again(options: list[str], folder: Path) -> list[str]:
    """Arguments with which a training in a folder goes on, or starts where nothing can be resumed."""
    resumable = any((folder / "checkpoints" / name).is_file() for name in ("last.ckpt", "previous.ckpt"))
    started = ["--resume"] if resumable else [*options, *(["--overwrite"] if folder.exists() else [])]
    ranks = [options[i + k] for i in range(len(options)) if options[i] == "--trainer.devices" for k in (0, 1)]
    return ["train", *started, *(ranks if resumable else []), "--out", str(folder)]


def prepare_again(options: list[str], folder: Path) -> list[str]:
    """Arguments with which a preparation goes on; where it was killed when all was packed, it is made anew."""
    done = (folder / "packed.json").is_file()
    return ["prepare", *options, "--out", str(folder), *(["--overwrite"] if done else [])]


def reconstruct_again(options: list[str], folder: Path) -> list[str]:
    """Arguments with which a reconstruction goes on: the same ones."""
    return ["reconstruct", *options, "--out", str(folder)]


def compare_runs(whole: Path, killed: Path) -> list[str]:
    """What is different in the last checkpoints and the logs of two runs, and what a kill left behind."""
    one, other = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (whole, killed))
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "global_step")
    logged, again = losses(whole), losses(killed)
    return [
        *(part for part in parts if not same(one[part], other[part])),
        *(f"loss of step {step}" for step in again if again[step] != logged[step]),
        *(f"left behind: {path}" for path in killed.rglob(".*") if path.name != ".lock"),
    ]


def compare_folders(whole: Path, killed: Path, apart: str = "*.png") -> list[str]:
    """Files that are in one of two folders only, or differ by a byte; figures are drawn, by default not compared."""
    one, other = ({path.relative_to(top) for path in top.rglob("*")} for top in (whole, killed))
    return [
        *(f"only one has {path}" for path in sorted(one ^ other)),
        *(
            f"{path} differs"
            for path in sorted(one & other)
            if (whole / path).is_file()
            and not path.match(apart)
            and (whole / path).read_bytes() != (killed / path).read_bytes()
        ),
    ]


def compare_results(whole: Path, killed: Path) -> list[str]:
    """What is different in two results but for the times in summary.json, and what lies beside them."""
    beside = {path.name for path in killed.parent.iterdir()} - {whole.name, killed.name, "log.txt"}
    return [*compare_folders(whole, killed, "summary.json"), *(f"left behind: {name}" for name in sorted(beside))]


WAYS: dict[str, tuple[Callable[[list[str], Path], list[str]], Callable[[Path, Path], list[str]]]] = {
    "train": (train_again, compare_runs),
    "prepare": (prepare_again, compare_folders),
    "reconstruct": (reconstruct_again, compare_results),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=WAYS)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given, options = parser.parse_known_args()
    options = [*DEFAULT, *options] if given.command == "train" else options
    again, compare = WAYS[given.command]
    whole, killed, log = given.out / "whole", given.out / "killed", given.out / "log.txt"
    shutil.rmtree(given.out, ignore_errors=True)
    given.out.mkdir(parents=True)
    run(["--help"], log)  # the imports
    start = time.monotonic()
    run(again(options, whole), log)
    length, moments = time.monotonic() - start, random.Random(given.seed)
    kills, runs, wrong = 0, 0, list[str]()
    while kills < given.kills:
        shutil.rmtree(killed, ignore_errors=True)
        while not run(again(options, killed), log, moments.uniform(0, 0.6 * length)):
            kills += 1
        runs += 1
        wrong += compare(whole, killed)
    print(f"{given.command} {' '.join(options)}: {kills} kills in {runs} runs")
    print("different: " + ", ".join(wrong) if wrong else "the same to the bit, and nothing left behind")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
