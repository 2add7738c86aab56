"""Kills `video-ae reconstruct` at random moments: `python tools/kill_reconstruction.py VIDEO --out runs/kills`.

Each time SIGKILL strikes after a random part of what the whole command takes, and the same command goes on until it is
through. Every file of the result must be the same to the byte as without a kill, but summary.json, which holds times,
and nothing may lie beside it. Options that are not known here are given to the command.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path


def reconstruct(out: Path, given: list[str], seconds: float | None = None) -> bool:
    """Runs the command; whether it was through before it was killed.

    Args:
        out: folder of the result.
        given: the video and further options.
        seconds: after which it is killed; None lets it run.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", "video_ae", "reconstruct", *given, "--out", str(out)]
    with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL) as child:
        try:
            if child.wait(seconds):
                raise SystemExit(f"{' '.join(command)} failed with exit code {child.returncode}")
        except subprocess.TimeoutExpired:
            child.kill()
            return False
    return True


def contents(folder: Path) -> dict[str, bytes]:
    """The files that must agree: path -> bytes.

    Args:
        folder: of a result.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "summary.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given, options = parser.parse_known_args()
    asked, draw = [given.video, *options], random.Random(given.seed)
    start = time.monotonic()
    reconstruct(given.out / "whole", asked)
    whole = time.monotonic() - start
    print(f"without a kill: {whole:.0f} s", flush=True)
    killed = 0
    while killed < given.kills and not reconstruct(given.out / "killed", asked, draw.uniform(0.1, 0.9) * whole):
        killed += 1
        print(f"killed: {killed}, beside: {sorted(path.name for path in given.out.iterdir())}", flush=True)
    start = time.monotonic()
    if not (given.out / "killed").exists():
        reconstruct(given.out / "killed", asked)
    print(f"the last part: {time.monotonic() - start:.0f} s", flush=True)
    one, other = contents(given.out / "whole"), contents(given.out / "killed")
    wrong = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
    left = {path.name for path in given.out.iterdir()} - {"whole", "killed"}
    if wrong or left:
        raise SystemExit(f"files that differ: {sorted(wrong)}; left behind: {sorted(left)}")
    print(f"{killed} kills: {len(one)} files are the same to the byte, and nothing lies beside them")


if __name__ == "__main__":
    main()
