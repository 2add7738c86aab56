"""Gives damaged and odd videos and images to `reconstruct`, `prepare` and `train`: each must be read or be refused.

    python tools/try_damaged.py --out runs/damaged [--count 300] [--seed 0]

Videos of a dozen codecs and containers and images of eight formats are changed at random places (`damage_videos.py`);
a few odd ones are added. Many files go through one process, whose memory is watched; a file that ends or halts it is
named, and the next ones go through another process. Exit code 1 where a command crashed, hung or raised anything but
one sentence. Files that do so in somebody else's decoder are described in `docs/reliability.md`, and not kept.
"""

import argparse
import json
import multiprocessing
import os
import queue
import resource
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from damage_videos import damage, damage_at_random
from odd_video_kinds import CODECS, PROPERTIES, scene, write_odd_video

KINDS = [
    ("h264", "mp4"),
    ("h264", "mov"),
    ("h264", "mkv"),
    ("h264", "ts"),
    ("hevc", "mp4"),
    ("vp9", "webm"),
    ("mpeg4", "avi"),
    ("mjpeg", "avi"),
    ("mpeg2", "mpg"),
    ("prores", "mov"),
    ("av1", "mp4"),
    ("vp8", "webm"),
]
IMAGES = (".png", ".jpg", ".webp", ".bmp", ".tif", ".ppm", ".avif", ".gif")
SECONDS = 90  # for one file, on a busy machine
GIGABYTES = 6  # that a process may ask for


def write_inputs(out: Path, count: int, seed: int) -> list[Path]:
    """Writes the files, and returns them: videos, images, and folders of three images with a damaged one.

    Args:
        out: folder.
        count: at least so many.
        seed: of the changes.
    """
    from PIL import Image

    good, paths = out / "good", list[Path]()
    good.mkdir(parents=True)
    for codec, suffix in KINDS:
        assert suffix in CODECS[codec][1]
        write_odd_video(good / f"{codec}.{suffix}", PROPERTIES["plain"], codec, seed)
    images = [Image.fromarray(frame) for frame in scene(seed, 3)]
    for suffix in IMAGES:
        images[0].save(good / f"image{suffix.replace('.', '_')}{suffix}")
    sources = sorted(good.iterdir())
    each = max(1, (count - 10) // len(sources) + 1)
    for source in sources:
        paths += damage_at_random(source, out / "videos" if "image" not in source.name else out / "images", each, seed)
    paths += damage(good / "h264.mp4", out / "videos")
    for number, path in enumerate(
        path for path in list(paths) if path.parent.name == "images" and path.suffix == ".png"
    ):
        folder = out / "videos" / f"folder{number}"
        folder.mkdir()
        shutil.copy(path, folder / "b.png")
        for name, image in zip("ac", images[1:], strict=True):
            image.save(folder / f"{name}.png")
        paths.append(folder)
    return paths + write_odd_ones(out / "odd", images[0])


def write_odd_ones(out: Path, image: "Image.Image") -> list[Path]:
    """Writes what is whole and odd: sizes, links, permissions, kinds of pixels.

    Args:
        out: folder.
        image: any.
    """
    from PIL import Image

    out.mkdir()
    Image.new("RGB", (1, 1)).save(out / "one_pixel.png")
    Image.new("RGB", (16000, 8)).save(out / "wide.png")
    Image.new("L", (8, 16000)).save(out / "high.png")
    image.convert("RGBA").save(out / "alpha.png")
    image.convert("P").save(out / "palette.png")
    image.convert("CMYK").save(out / "cmyk.jpg")
    Image.fromarray(np.full((48, 64), 40000, np.uint16)).save(out / "deep.png")
    image.save(out / "turned.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
    (out / "empty.jpg").touch()
    (out / "circle.mp4").symlink_to(out / "circle.mp4")
    (out / "nowhere.mp4").symlink_to(out / "gone.mp4")
    (out / "a_folder.mp4").mkdir()
    os.mkfifo(out / "pipe.mp4")
    shutil.copy(out / "turned.jpg", out / "locked.jpg")
    (out / "locked.jpg").chmod(0)
    return sorted(out.iterdir())


def work(jobs: "multiprocessing.Queue[list[str]]", answers: "multiprocessing.Queue[tuple]", log: Path) -> None:
    """Runs commands one after the other, and says of each its exit code, its last words and the memory since.

    Args:
        jobs: arguments of `video-ae`; an empty list ends it.
        answers: (exit code, text, resident megabytes).
        log: for the output.
    """
    os.setsid()
    multiprocessing.set_start_method(None, force=True)
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    with log.open("w+") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        from video_ae.cli.main import main

        while arguments := jobs.get():
            before = os.lseek(2, 0, os.SEEK_END)
            try:
                code: object = main(arguments)
            except BaseException as error:
                code = f"{type(error).__name__}: {error}"
            said = os.pread(file.fileno(), 10**6, before).decode(errors="replace").strip()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            answers.put((code, said, pages * resource.getpagesize() >> 20))


class Worker:
    """A process that runs commands, and another one when it has ended or hangs.

    Args:
        log: for its output.
    """

    def __init__(self, log: Path) -> None:
        self._forks, self._log = multiprocessing.get_context("forkserver"), log
        self._forks.set_forkserver_preload(["video_ae.cli.main", "video_ae.pipelines.reconstruct"])
        self._start()

    def _start(self) -> None:
        self._jobs, self._answers = self._forks.Queue(), self._forks.Queue()
        self._process = self._forks.Process(target=work, args=(self._jobs, self._answers, self._log), daemon=False)
        self._process.start()

    def run(self, arguments: list[str], seconds: float) -> dict:
        """What became of a command: "verdict", its words, seconds and the memory of the process after it.

        Args:
            arguments: of `video-ae`.
            seconds: after which it is ended.
        """
        start = time.monotonic()
        self._jobs.put(arguments)
        while True:
            try:
                code, said, memory = self._answers.get(timeout=0.2)
                break
            except queue.Empty:
                late = time.monotonic() - start > seconds
                if late or not self._process.is_alive():
                    self._process.kill()
                    self._process.join()
                    self._start()
                    return {"verdict": "HUNG" if late else "CRASHED", "said": self._log.read_text()[-2000:]}
        verdict = {0: "done", 2: "refused"}.get(code, "WRONG") if "Traceback" not in said else "WRONG"
        return {"verdict": verdict, "code": str(code), "said": said[-2000:], "memory": memory,
                "seconds": round(time.monotonic() - start, 2)}  # fmt: skip

    def close(self) -> None:
        """Ends it."""
        self._jobs.put([])
        self._process.join()


def try_all(paths: list[Path], out: Path, worker: Worker) -> dict[str, dict]:
    """What became of each file in `reconstruct`, and of all of them in `prepare` and `train`.

    Args:
        paths: of `write_inputs`.
        out: folder of the results.
        worker: runs the commands.
    """
    found: dict[str, dict] = {}
    options = ["--frames", "3", "--refine", "0", "--export", "none", "--overwrite", "--out", str(out / "result")]
    worker.run(["reconstruct", str(out / "inputs" / "good" / "h264.mp4"), *options], 600)  # compiles what it needs
    for path in paths:
        shutil.rmtree(out / "result", ignore_errors=True)
        found[path.name] = worker.run(["reconstruct", str(path), *options], SECONDS)
        if found[path.name]["verdict"] not in ("done", "refused"):
            print(path.name, found[path.name], flush=True)
    root = str(out / "inputs" / "videos")
    found["prepare"] = worker.run(["prepare", root, "--out", str(out / "packed"), "--size", "48"], 600)
    model = [
        "--model",
        "PlainAutoencoder",
        "--model.image_size",
        "[32,24]",
        "--losses.l1",
        "L1",
        "--data.size",
        "[32,24]",
    ]
    steps = ["--data.length", "1", "--trainer.max_steps", "2", "--trainer.accelerator", "cpu", "--overwrite"]
    found["train"] = worker.run(["train", *model, "--data.root", root, *steps, "--out", str(out / "run")], 600)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    paths = write_inputs(given.out / "inputs", given.count, given.seed)
    worker = Worker(given.out / "log.txt")
    found = try_all(paths, given.out, worker)
    worker.close()
    (given.out / "results.json").write_text(json.dumps(found, indent=1))
    counts = Counter(one["verdict"] for one in found.values())
    memory = [one["memory"] for one in found.values() if "memory" in one]
    print(
        f"{len(paths)} files, {dict(counts)}; memory after the first 20: {max(memory[:20])} MB, later: {max(memory)} MB"
    )
    sys.exit(bool(counts.keys() - {"done", "refused"}))


if __name__ == "__main__":
    main()
