"""As much of a training run as the time allows, in a process of its own that SIGTERM ends with a checkpoint."""

import csv
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from gpu_checks.bench import CONFIG, ROOT, Bench, Skipped

STARTING = 15.0  # seconds that a run needs to start
ENDING, QUICK_ENDING = 15.0, 5.0  # seconds that its last step may take
QUICK_OPTIONS = ("--data.size=[64,48]", "--data.length=6", "--trainer.accumulate=1")


def train(bench: Bench) -> dict[str, Any]:
    """Starts or resumes the run in the folder `run`, and ends it when the time is over.

    Args:
        bench: the device, the folder and the time.

    Raises:
        Skipped: too little time is left, or the device is none that Lightning knows.
        RuntimeError: the run failed.
    """
    run, log = bench.folder / "run", bench.folder / "training.log"
    least = STARTING + _ending(bench)
    if bench.left() < least:
        raise Skipped(f"{bench.left():.0f} seconds are left, and {least:.0f} are needed")
    if bench.device.type not in ("cpu", "cuda"):
        raise Skipped(f"Lightning does not train on the device {bench.device.type}")
    command, before = command_of(bench, run), steps_of(run)
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
    begin, old = time.monotonic(), log.stat().st_size if log.exists() else 0
    with log.open("a") as lines:
        code = _ended_in_time(subprocess.Popen(command, cwd=ROOT, stdout=lines, stderr=lines), bench)
    said = log.read_text()[old:]
    seconds, steps = time.monotonic() - begin, steps_of(run)
    if code not in (0, 130):
        last = ([line for line in said.splitlines() if line.strip()] or ["nothing"])[-1]
        raise RuntimeError(f"video-ae train left with exit code {code} and said {last!r}")
    rate = (steps - before) * frames_of_step(run) / seconds
    speeds = re.findall(r"([\d.]+) steps/s", said)  # every 15 seconds, rounded, without the start
    own = float(speeds[-1]) * frames_of_step(run) if speeds else None
    found: dict[str, Any] = {"steps": steps, "new_steps": steps - before, "seconds": seconds, "frames_per_second": rate}
    found |= {"frames_per_second_by_its_log": own, "finished": code == 0, "loss": last_loss(run)}
    loss = "" if found["loss"] is None else f", loss {found['loss']:.4g}"
    own_words = " with its start" if own is None else f" with its start, {own:.3g} by its own log"
    state = "finished" if code == 0 else "to be resumed by the same command"
    result = f"{steps} steps ({steps - before} of them now, {rate:.3g} frames/s{own_words}){loss}; {state}"
    return found | {"result": result}


def command_of(bench: Bench, run: Path) -> list[str]:
    """The command of a run that starts, or goes on where there is a checkpoint.

    Args:
        bench: the device.
        run: the run's folder.
    """
    command = [sys.executable, "-m", "video_ae", "train", "--out", str(run.absolute())]
    if (run / "checkpoints" / "last.ckpt").is_file():
        return [*command, "--resume"]
    accelerator = "cpu" if bench.device.type == "cpu" else "gpu"
    often = ("--trainer.checkpoint_every=10", "--trainer.log_every=1", f"--trainer.accelerator={accelerator}")
    return [*command, "--overwrite", "--config", str(CONFIG), *often, *(QUICK_OPTIONS if bench.quick else ())]


def _ending(bench: Bench) -> float:
    return QUICK_ENDING if bench.quick else ENDING


def _ended_in_time(process: subprocess.Popen, bench: Bench) -> int:
    """Its exit code; it is told to stop so early that its last step ends in time."""
    try:
        return process.wait(max(1.0, bench.left() - _ending(bench)))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        return process.wait(2 * ENDING)
    finally:  # also where this process is stopped
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def steps_of(run: Path) -> int:
    """Steps of the last checkpoint, 0 without one.

    Args:
        run: the run's folder.
    """
    file = run / "checkpoints" / "last.ckpt"
    return int(torch.load(file, map_location="cpu", weights_only=True)["global_step"]) if file.is_file() else 0


def frames_of_step(run: Path) -> int:
    """Frames that an optimizer step of a run takes.

    Args:
        run: the run's folder.
    """
    import yaml

    settings = yaml.safe_load((run / "config.yaml").read_text())
    return settings["data"]["batch_size"] * settings["data"]["length"] * settings["trainer"]["accumulate"]


def last_loss(run: Path) -> float | None:
    """Mean of the last ten losses that were logged; None where there are none.

    Args:
        run: the run's folder.
    """
    losses: list[float] = []
    tables = sorted((run / "metrics").glob("version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:]))
    for table in tables:
        with table.open() as lines:
            losses += [float(row["train/loss"]) for row in csv.DictReader(lines) if row.get("train/loss")]
    return sum(losses[-10:]) / len(losses[-10:]) if losses else None
