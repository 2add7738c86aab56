"""Gives every parser of ours changed files for some minutes each: each must be read, or refused in one sentence.

    python tools/fuzz_parsers.py --out runs/fuzz [--minutes 10] [--only tum ply ...]

atheris (libFuzzer) changes a good file and keeps the changes that reach new lines of our code; what it kept in `--out`
is where the next run begins. Exit code 1 where a parser raised anything but a `UserError` of one line, took more than
five seconds or more than 2 GB; the file that made it do so then lies in `--out`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz_targets import TARGETS, Target

OPTIONS = ("-timeout=5", "-rss_limit_mb=2500", "-print_final_stats=1", "-verbosity=0")


def fuzz(target: Target, folder: Path, seconds: int) -> None:
    """Never returns: libFuzzer ends the process.

    Args:
        target: the parser.
        folder: of what was kept, one file each.
        seconds: after which it ends.
    """
    import atheris

    with atheris.instrument_imports(include=["video_ae.formats", "video_ae.datasets", "video_ae.videos"]):
        target.load()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        place = Path(name)
        file = target.write_seed(place)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "seed").write_bytes(file.read_bytes())
        size = f"-max_len={2 * file.stat().st_size + 64}"
        found = f"-artifact_prefix={folder}-found-"

        def one(content: bytes) -> None:
            file.write_bytes(content)
            target.try_to_read(place)

        atheris.Setup([sys.argv[0], *OPTIONS, size, found, f"-max_total_time={seconds}", str(folder)], one)
        atheris.Fuzz()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", nargs="*", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in the child process of one parser
    given = parser.parse_args()
    if given.here:
        fuzz(TARGETS[given.only[0]], given.out / given.only[0], round(60 * given.minutes))
    failed = []
    for name in given.only:
        command = [sys.executable, __file__, "--here", "--out", given.out, "--minutes", given.minutes, "--only", name]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        runs = [line.split()[-1] for line in done.stdout.splitlines() if "number_of_executed_units" in line]
        print(f"{name}: {runs[0] if runs else 'no'} files", "refused or read" if not done.returncode else "FAILED")
        if done.returncode:
            failed.append(name)
            print(done.stdout[-3000:])
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
