"""What annotating many videos costs, and what training gains from it; every comparison in one run, side by side.

    python scripts/benchmark_annotate.py memory                           # peak memory of listing 100 and 10,000 videos
    python scripts/benchmark_annotate.py training --annotated annotated   # steps on stored cameras and solved anew
    python scripts/benchmark_annotate.py engine data/walkthroughs/train/videos    # a bare loop beside one worker
    python scripts/benchmark_annotate.py workers data/walkthroughs/train/videos   # one worker, then two

`training` counts CPU seconds of one thread, `memory` bytes, `engine` CPU seconds of all processes together. The loop
and the worker run at the same time, so that whatever else the machine does slows down both; `workers` counts seconds
on the clock and needs a machine that does nothing else.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    """CPU seconds of all processes together, from start to end: a bare loop, and at the same time one worker.

    Args:
        given: `source`, `videos`, `refine`.
    """
    with _some_videos(given) as (source, temporary):
        measured = _run_together(
            {
                "loop": _calling("_loop", source, temporary, given.refine),
                "worker": _annotating(source, f"{temporary}/worker", given.refine, 1),
            }
        )
        videos = len(list(Path(source).iterdir()))
    loop, worker = (measured[name]["cpu"] for name in ("loop", "worker"))
    return {"videos": videos, "loop": loop, "worker": worker, "a video": loop / videos, "overhead": worker / loop - 1}


def workers(given: argparse.Namespace) -> dict[str, float]:
    """Seconds on the clock from start to end: one worker, and then two.

    Args:
        given: as of `engine`.
    """
    taken = {}
    with _some_videos(given) as (source, temporary):
        for count in (1, 2):
            command = _annotating(source, f"{temporary}/{count}", given.refine, count)
            for kind, value in _run_together({"it": command})["it"].items():
                taken[f"{kind} {count}"] = value
    return {**taken, "times as fast": taken["clock 1"] / taken["clock 2"]}


@contextmanager
def _some_videos(given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """A folder with links to the first videos, and a folder for results."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        source.mkdir()
        for video in sorted(given.source.absolute().iterdir())[: given.videos]:
            (source / video.name).symlink_to(video)
        yield str(source), temporary


def _annotating(source: str, out: str, refine: int, workers: int) -> list[str]:
    options = ["--out", out, "--refine", str(refine), "--workers", str(workers)]
    return [sys.executable, "-m", "video_ae", "annotate", source, *options]


def _loop(source: str, temporary: str, refine: int) -> None:
    """All videos one after the other, without engine, limits and other processes."""
    from video_ae.annotation.annotation_table import write_parquet
    from video_ae.annotation.destination import Destination
    from video_ae.annotation.video_listing import list_videos
    from video_ae.annotation.video_task import VideoTask

    task = VideoTask(f"{temporary}/loop", {"refine": refine})
    for job in list_videos(source):
        task.annotate(job)
    destination = Destination(task.out)
    destination.write_table(lambda path: write_parquet(path, destination.all_rows()))


def _run_together(commands: dict[str, list[str]]) -> dict[str, dict[str, float]]:
    """What commands take that run at the same time; the last 0.3 s of a process that ends before its command may be
    missed."""
    import psutil

    started = time.monotonic()
    runs = {name: psutil.Popen(one, env=_environment(), stderr=subprocess.DEVNULL) for name, one in commands.items()}
    taken: dict[str, dict[int, float]] = {name: {} for name in runs}
    ended: dict[str, float] = {}
    while len(ended) < len(runs):
        for name, run in runs.items():
            with suppress(psutil.Error):
                for process in [run, *run.children(recursive=True)]:
                    with suppress(psutil.Error):
                        times = process.cpu_times()
                        taken[name][process.pid] = times.user + times.system
            if name not in ended and run.poll() is not None:
                ended[name] = time.monotonic() - started
                assert run.returncode == 0, f"{commands[name]} ended with exit code {run.returncode}"
        time.sleep(0.3)
    return {name: {"clock": ended[name], "cpu": sum(taken[name].values())} for name in runs}


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
    for measure in (engine, workers):
        part = parts.add_parser(measure.__name__)
        part.set_defaults(measure=measure)
        part.add_argument("source", type=Path)
        part.add_argument("--videos", type=int, help="the first so many (default: all)")
        part.add_argument("--refine", type=int, default=4)
    given = parser.parse_args()
    print(json.dumps({name: round(value, 3) for name, value in given.measure(given).items()}, indent=1))


if __name__ == "__main__":
    main()
