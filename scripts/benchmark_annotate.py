"""What annotating many videos costs, and what training gains from it; every comparison in one run, side by side.

    python scripts/benchmark_annotate.py memory                           # peak memory of listing 100 and 10,000 videos
    python scripts/benchmark_annotate.py training --annotated annotated   # steps on stored cameras and solved anew
    python scripts/benchmark_annotate.py engine data/walkthroughs/train/videos    # a bare loop, one worker and two

`training` and `memory` count CPU seconds of one thread and bytes; `engine` counts seconds on the clock, so it needs a
machine that does nothing else.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def memory(given: argparse.Namespace) -> dict[str, float]:
    """Peak memory in MB of listing videos, looking for earlier results, and writing the table, by number of videos.

    Args:
        given: nothing of it counts.
    """
    return {str(count): float(_in_process("_peak_memory", count)) for count in (100, 10_000)}


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
    """Seconds on the clock for all videos: a bare loop in one process, one worker and two, engine start included.

    Args:
        given: `source`, `refine`.
    """
    from video_ae.annotation.video_listing import list_videos
    from video_ae.annotation.video_task import VideoTask

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        task = VideoTask(f"{temporary}/loop", {"refine": given.refine})
        jobs = list_videos(str(given.source.absolute()))
        task.annotate(jobs[0])  # compiles
        started = time.monotonic()
        for job in jobs:
            task.annotate(job)
        found["loop"] = time.monotonic() - started
        for workers in (1, 2):
            command = [
                sys.executable,
                "-m",
                "video_ae",
                "annotate",
                str(given.source),
                "--out",
                f"{temporary}/{workers}",
            ]
            started = time.monotonic()
            subprocess.run([*command, "--workers", str(workers), "--refine", str(given.refine)], check=True)
            found[f"workers {workers}"] = time.monotonic() - started
    return found


def _in_process(function: str, *arguments: object) -> str:
    script = f"import benchmark_annotate as one; print(one.{function}(*{arguments!r}))"
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()[-1]


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
    engines.add_argument("--refine", type=int, default=4)
    given = parser.parse_args()
    print(json.dumps({name: round(value, 3) for name, value in given.measure(given).items()}, indent=1))


if __name__ == "__main__":
    main()
