"""Kills a training at random moments, resumes it each time, and compares it with one that nothing happened to.

    python tools/kill_training.py --kills 20 --out FOLDER [options of `video-ae train`]

SIGKILL strikes after a random part of what the whole training takes: while it imports, trains, validates or writes a
checkpoint. Weights, the state of the optimizer and the logged losses must be the same to the bit, else the exit code
is 1. `docs/reliability.md` says what it found.
"""

import argparse
import csv
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

DEFAULT = ["--config", "configs/autoencoder_convolutional.yaml", "--trainer.checkpoint_every", "5",
           "--trainer.validate_every", "20", "--trainer.log_every", "1", "--trainer.max_steps", "120",
           "--trainer.max_time", "null"]  # fmt: skip


def train(options: list[str], seconds: float | None = None) -> bool:
    """Runs `video-ae train` and kills it after some seconds; whether it came to its end."""
    child = subprocess.Popen([sys.executable, "-m", "video_ae", "train", *options])
    try:
        code = child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return False
    if code:
        raise SystemExit(f"video-ae train {' '.join(options)} ended with exit code {code}")
    return True


def same(one: object, other: object) -> bool:
    """Nested mappings and lists with the same numbers, to the bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return isinstance(other, type(one)) and len(one) == len(other) and all(map(same, one, other))
    return one == other


def losses(run: Path) -> dict[str, str]:
    """Step -> logged training loss, of all starts of a run; what was trained twice must have been logged alike."""
    found: dict[str, str] = {}
    for file in sorted(run.glob("metrics/version_*/metrics.csv")):
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row.get("train/loss") and found.setdefault(row["step"], row["train/loss"]) != row["train/loss"]:
                    raise SystemExit(f"step {row['step']} was logged twice, with different losses")
    return found


def train_killed(options: list[str], run: Path, moment: Callable[[], float]) -> int:
    """One training from its start to its end, and how often it was killed on the way."""
    shutil.rmtree(run, ignore_errors=True)
    kills = 0
    while True:
        resumable = any((run / "checkpoints" / name).is_file() for name in ("last.ckpt", "previous.ckpt"))
        started = ["--resume"] if resumable else [*options, *(["--overwrite"] if run.exists() else [])]
        if train([*started, "--out", str(run)], moment()):
            return kills
        kills += 1


def compare(whole: Path, killed: Path) -> list[str]:
    """What is different in the last checkpoints and the logs of two runs, and what a kill left behind."""
    one, other = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (whole, killed))
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "global_step")
    logged, again = losses(whole), losses(killed)
    return [
        *(part for part in parts if not same(one[part], other[part])),
        *(f"loss of step {step}" for step in again if again[step] != logged[step]),
        *(f"left behind: {path}" for path in killed.rglob(".*") if path.name != ".lock"),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given, options = parser.parse_known_args()
    options = options or DEFAULT
    whole, killed = given.out / "whole", given.out / "killed"
    start = time.monotonic()
    train([*options, "--out", str(whole), "--overwrite"])
    length, moments = time.monotonic() - start, random.Random(given.seed)
    kills, runs, wrong = 0, 0, list[str]()
    while kills < given.kills:
        kills += train_killed(options, killed, lambda: moments.uniform(0, length))
        runs += 1
        wrong += compare(whole, killed)
    print(f"{kills} kills in {runs} trainings of {len(losses(whole))} steps")
    print("different: " + ", ".join(wrong) if wrong else "the same to the bit, and nothing left behind")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
