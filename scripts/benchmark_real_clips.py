"""Time beside COLMAP and beside an older commit, on clips that are not part of the project.

    python scripts/benchmark_real_clips.py --root $REAL_CLIPS --against 73fe9c0

Writes docs/performance_real.json, which `make bench` puts into docs/performance.md. CPU seconds of one thread: cameras
of the evaluation's clips beside COLMAP (focal length unknown, same frames; pycolmap must be installed), and the whole
command on the 1,000 frames of `kitchen`. The older commit takes half an hour; without --against its last numbers stay.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CAMERAS = "cameras, {}, over COLMAP's"
SECONDS, MEMORY = "1,000 frames, CPU seconds", "1,000 frames, GB"


def beside_colmap(root: Path, scratch: Path) -> dict[str, float]:
    """Median over the clips of our CPU seconds over COLMAP's, feed-forward and refined.

    Args:
        root: of the real clips.
        scratch: a folder for what is written on the way.
    """
    from benchmark_cameras import median_ratio

    command = [sys.executable, str(ROOT / "scripts/benchmark_cameras.py"), "--root", str(root / "eval"), "--peers"]
    numbers = scratch / "cameras.json"
    steps = ["--refine-steps", "0", "4", "--runs", "3", "--out", str(numbers)]
    subprocess.run([*command, *steps], check=True)
    found = json.loads(numbers.read_text())
    labels = {"feed-forward": "feed-forward", "refined": "refined 4"}
    return {CAMERAS.format(name): median_ratio(found[key], found["COLMAP"]) for name, key in labels.items()}


def thousand_frames(root: Path, scratch: Path, package: Path) -> dict[str, float]:
    """CPU seconds and peak memory of the whole command.

    Args:
        root: of the real clips.
        scratch: a folder for the result.
        package: a checkout.
    """
    command = [sys.executable, "-m", "video_ae", "reconstruct", str(root / "train/frames/kitchen"), "--overwrite"]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = os.environ | threads | {"PYTHONPATH": str(package)}
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = ["--export", "none", "--out", str(scratch / "kitchen")]
    subprocess.run([*command, *out], cwd=package, env=environment, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime - begin.ru_utime - begin.ru_stime
    return {SECONDS: seconds, MEMORY: used.ru_maxrss / 1e6}


def main() -> None:
    """Measures what is asked for and writes it beside what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="$REAL_CLIPS")
    parser.add_argument("--against", help="an older commit, which is checked out beside")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "performance_real.json")
    given = parser.parse_args()
    rows = json.loads(given.out.read_text()) if given.out.is_file() else {"now": {}, "before": {}}
    with tempfile.TemporaryDirectory() as folder:
        scratch, older = Path(folder), Path(folder) / "older"
        # Ours before the older commit's: what is told is the memory of the largest child so far.
        rows["now"] |= thousand_frames(given.root, scratch, ROOT)
        rows["now"] |= beside_colmap(given.root, scratch)
        given.out.write_text(json.dumps(rows, indent=1))
        if given.against:
            git = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*git, "add", "--quiet", "--detach", str(older), given.against], check=True)
            try:
                rows["before"] |= thousand_frames(given.root, scratch, older)
            finally:
                subprocess.run([*git, "remove", "--force", str(older)], check=True)
    given.out.write_text(json.dumps(rows, indent=1))
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
