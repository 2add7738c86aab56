"""What annotating many videos costs, and what training gains from it; every comparison in one run, side by side.

    python scripts/benchmark_annotate.py memory                           # peak memory of listing 100 and 10,000 videos
    python scripts/benchmark_annotate.py training --annotated annotated   # steps on stored cameras and solved anew
    python scripts/benchmark_annotate.py engine data/walkthroughs/train/videos    # a bare loop, one worker and two

`training` counts CPU seconds of one thread, `memory` bytes, `engine` CPU seconds and seconds on the clock; it needs a
machine that does nothing else, since Ray takes some CPU in each second that passes and lets others go first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def memory(given: argparse.Namespace) -> dict[str, float]:
    """Peak memory in MB of listing videos, looking for earlier results, and writing the table, by number of videos.

    Args:
        given: nothing of it counts.
    """
    found = {}
    for count in (100, 10_000):
        command = _calling("_peak_memory", count)
        done = subprocess.run(command, env=_environment(), check=True, capture_output=True, text=True)
        found[str(count)] = float(done.stdout.split()[-1])
    return found


def _peak_memory(count: int) -> float:
    import resource

    from video_ae.annotation.annotation_row import AnnotationRow
    from video_ae.annotation.annotation_table import write_parquet
    from video_ae.annotation.destination import Destination, write_summary
    from video_ae.annotation.video_listing import list_videos

    with tempfile.TemporaryDirectory() as temporary:
        source, out = Path(temporary) / "source", Path(temporary) / "out"
        source.mkdir()
        for number in range(count):
            (source / f"{number:06d}.mp4").write_bytes(b"1")
        jobs = list_videos(str(source))
        for job in jobs:
            folder = out / "videos" / job.folder
            folder.mkdir(parents=True)
            write_summary(folder, job, {}, {}, [AnnotationRow(job.name, reason="a reason of some length" * 5)])
        destination = Destination(str(out))
        assert all(rows for _, rows in destination.rows(jobs, {}, {}))
        destination.write_table(lambda path: write_parquet(path, destination.all_rows()))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def training(given: argparse.Namespace) -> dict[str, float]:
    """Median CPU seconds of a training step (forward, loss, backward) of configs/perspective.yaml, each clip new.

    Args:
        given: `annotated`, `steps`.
    """
    import torch

    from video_ae.datasets.byte_clips import finish_batch
    from video_ae.datasets.open import open_dataset
    from video_ae.datasets.training_clips import MemoryVideos, RandomClips
    from video_ae.models.open import build_model
    from video_ae.training.config import parse_run

    torch.set_num_threads(1)
    settings = parse_run(["--config", str(ROOT / "configs/perspective.yaml")])
    data, model = settings.data, build_model(settings.model).train()
    model._cached_cameras = model.training_camera.forward  # a clip that comes again is solved again
    videos = MemoryVideos(open_dataset(str(given.annotated)), data.size, given.length, data.gap)
    clips = RandomClips(videos, given.length, data.gap)
    seconds: dict[str, list[float]] = {"stored": [], "solved": []}
    for position in range(given.steps + 1):  # the first one compiles and does not count
        for way, taken in seconds.items():
            batch = finish_batch([clips[position]], data.size)
            if way == "solved":
                batch = type(batch)(batch.frames, batch.indices, batch.times, name=batch.name)
            torch.manual_seed(position)
            started = time.process_time()
            output = model(batch)
            total = sum(term.weight * term(output, batch) for term in settings.losses.values())
            total.backward()
            taken.append(time.process_time() - started)
    found = {way: statistics.median(taken[1:]) for way, taken in seconds.items()}
    return {**found, "ratio": found["solved"] / found["stored"]}


def engine(given: argparse.Namespace) -> dict[str, float]:
    """Seconds on the clock and CPU seconds of all processes together: a bare loop, two at once, one worker, two.

    Beside these: how long the start takes (of a source with nothing but an empty file), and what the engine adds to the
    loop, with the start and without it. Each of the two loops does all videos: no two workers can gain more by the
    clock than these, since processes on one machine share its caches, memory and clock rate.

    Args:
        given: `source`, `videos`, `refine`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source, empty = Path(temporary) / "source", Path(temporary) / "empty"
        for folder in (source, empty):
            folder.mkdir()
        (empty / "empty.mp4").touch()
        for video in sorted(given.source.absolute().iterdir())[: given.videos]:
            (source / video.name).symlink_to(video)

        def loop(videos: Path, name: str) -> list[str]:
            return _calling("_loop", str(videos), f"{temporary}/{name}", given.refine)

        def annotate(videos: Path, name: str, workers: int) -> list[str]:
            options = ["--out", f"{temporary}/{name}", "--refine", str(given.refine), "--workers", str(workers)]
            return [sys.executable, "-m", "video_ae", "annotate", str(videos), *options]

        commands = {
            "loop, start": [loop(empty, "loop, start")],
            "worker, start": [annotate(empty, "worker, start", 1)],
            "loop": [loop(source, "loop")],
            "two loops": [loop(source, "first of two"), loop(source, "second of two")],
            "worker": [annotate(source, "worker", 1)],
            "two workers": [annotate(source, "two workers", 2)],
        }
        taken = {name: _seconds(*together) for name, together in commands.items()}
        found = {"videos": float(len(list(source.iterdir())))}
    for kind in ("clock", "cpu"):
        of = {name: both[kind] for name, both in taken.items()}
        alone = (of["worker"] - of["worker, start"]) / (of["loop"] - of["loop, start"]) - 1
        added = {"overhead": of["worker"] / of["loop"] - 1, "overhead but for the start": alone}
        found |= {f"{name}, {kind}": value for name, value in {**of, **added}.items()}
    clock = {name: both["clock"] for name, both in taken.items()}
    found["two loops, times as fast"] = 2 * clock["loop"] / clock["two loops"]
    return {**found, "two workers, times as fast": clock["worker"] / clock["two workers"]}


def _loop(source: str, out: str, refine: int) -> None:
    """All videos one after the other, without engine, limits and other processes."""
    from video_ae.annotation.annotation_table import write_parquet
    from video_ae.annotation.destination import Destination
    from video_ae.annotation.video_listing import list_videos
    from video_ae.annotation.video_task import VideoTask

    task = VideoTask(out, {"refine": refine})
    for job in list_videos(source):
        task.annotate(job)
    destination = Destination(task.out)
    destination.write_table(lambda path: write_parquet(path, destination.all_rows()))


def _seconds(*commands: list[str]) -> dict[str, float]:
    """What commands take that start at once; the last 0.3 s of a process that ends before it may be missed."""
    import psutil

    started, taken = time.monotonic(), dict[int, float]()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    runs = [psutil.Popen(command, env=_environment(), **quiet) for command in commands]
    while any(run.poll() is None for run in runs):
        for run in runs:
            with suppress(psutil.Error):
                for process in [run, *run.children(recursive=True)]:
                    with suppress(psutil.Error):
                        times = process.cpu_times()
                        taken[process.pid] = times.user + times.system
        time.sleep(0.3)
    for run, command in zip(runs, commands, strict=True):
        assert run.returncode == 0, f"{command} ended with exit code {run.returncode}"
    return {"clock": time.monotonic() - started, "cpu": sum(taken.values())}


def _calling(function: str, *arguments: object) -> list[str]:
    """The command that calls a function of this file in a process of its own and prints what it returns."""
    return [sys.executable, "-c", f"import benchmark_annotate as one; print(one.{function}(*{arguments!r}))"]


def _environment() -> dict[str, str]:
    """This one, with one thread a process and with the modules of this checkout."""
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    parts.add_parser("memory").set_defaults(measure=memory)
    trained = parts.add_parser("training")
    trained.set_defaults(measure=training)
    trained.add_argument("--annotated", type=Path, required=True)
    trained.add_argument("--steps", type=int, default=10)
    trained.add_argument("--length", type=int, default=24, help="frames in a clip")
    engines = parts.add_parser("engine")
    engines.set_defaults(measure=engine)
    engines.add_argument("source", type=Path)
    engines.add_argument("--videos", type=int, help="the first so many (default: all)")
    engines.add_argument("--refine", type=int, default=4)
    given = parser.parse_args()
    print(json.dumps({name: round(value, 3) for name, value in given.measure(given).items()}, indent=1))


if __name__ == "__main__":
    main()
