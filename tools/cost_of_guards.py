"""What the guards of files cost: checkpoints that appear whole and are checked, result files that appear whole.

    python tools/cost_of_guards.py --run tests/golden/before/run --result RESULT [--seconds-a-step 0.5]

CPU seconds, medians of 50, with and without the guard in turns; as a share of the training between two checkpoints,
and of the reconstruction that wrote RESULT (its time stands in `summary.json`).
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from video_ae.formats.atomic import write_atomically
from video_ae.training.checkpoints import LAST, WholeCheckpoints, is_whole

ROUNDS = 50


def cpu_seconds(works: list[Callable[[], object]]) -> list[float]:
    """The median of each, measured in turns.

    Args:
        works: functions.
    """
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, found in zip(works, times, strict=True):
            start = time.process_time()
            work()
            found.append(time.process_time() - start)
    return [statistics.median(found) for found in times]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--seconds-a-step", type=float, default=0.5)
    parser.add_argument("--checkpoint-every", type=int, default=100)
    given = parser.parse_args()
    content = torch.load(given.run / LAST, weights_only=True)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "a"
        plain, whole, check, write, guarded = cpu_seconds(
            [
                lambda: TorchCheckpointIO().save_checkpoint(content, file),
                lambda: WholeCheckpoints().save_checkpoint(content, file),
                lambda: is_whole(file),
                lambda: file.with_suffix(".b").write_bytes(b"x" * 10**5),
                lambda: write_atomically(file.with_suffix(".c"), lambda path: path.write_bytes(b"x" * 10**5)),
            ]
        )
    training = given.checkpoint_every * given.seconds_a_step
    print(
        f"a checkpoint: {1e3 * plain:.2f} ms, whole {1e3 * whole:.2f} ms, checking it at a start {1e3 * check:.2f} ms"
    )
    print(f"of {given.checkpoint_every} steps: {(2 * whole - plain) / training:.4%}")  # the weights are written alike
    files = sum(path.is_file() for path in given.result.rglob("*"))
    seconds = sum(json.loads((given.result / "summary.json").read_text())["seconds"].values())
    print(f"a file: {1e3 * (guarded - write):.3f} ms more; of a result of {files} files in {seconds:.1f} s: "
          f"{files * (guarded - write) / seconds:.4%}")  # fmt: skip


if __name__ == "__main__":
    main()
