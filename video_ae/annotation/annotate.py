"""A source of videos -> cameras of each, and one table."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from video_ae.annotation import ray_engine
from video_ae.annotation.annotation_table import need_pyarrow, write_parquet
from video_ae.annotation.destination import Destination
from video_ae.annotation.forecast import Forecast, forecast
from video_ae.annotation.limited_process import need_psutil
from video_ae.annotation.run_progress import RunProgress
from video_ae.annotation.solving import WEIGHTS_CHECKSUM, SolverSettings, ready_to_solve
from video_ae.annotation.video_job import VideoJob
from video_ae.annotation.video_listing import list_videos
from video_ae.annotation.video_task import Limits, VideoTask
from video_ae.datasets.object_storage import is_remote
from video_ae.errors import UserError
from video_ae.formats.weights import weights_file
from video_ae.models.base import DEFAULT_REFINE_STEPS
from video_ae.scene.fingerprint import fingerprint


def annotate(
    source: str,
    out: str,
    extras: Sequence[str] = (),
    weights: str | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    decoder: str = "auto",
    workers: int | None = None,
    address: str | None = None,
    time_limit: float | int = Limits.seconds,
    memory_limit: float | int = Limits.gigabytes,
    dry_run: bool = False,
    overwrite: bool = False,
) -> RunProgress | Forecast:
    """Finds the cameras of all videos of a source, each shot by itself, and writes a folder a video and one table.

    A run that was stopped goes on from there: videos that are done, with the same settings, are not done again.

    Args:
        source: a folder or a video, here or in object storage (`s3://`, `gs://`), or a list of them (.txt).
        out: the folder of the results, here or in object storage (`Destination`).
        extras: what is written beside cameras: `depth`, `masks`, `splats`.
        weights: a RUN folder or file; None takes the package's own. On a cluster, every machine must find it.
        refine: rounds of test-time refinement of the cameras; 0: feed-forward.
        decoder: of video files: "auto", "torchcodec", "pyav" or "decord".
        workers: videos at a time on this machine, by default as many as it has cores.
        address: of Ray's cluster; None: this machine alone.
        time_limit: seconds that one video may take.
        memory_limit: gigabytes of memory that one video may take.
        dry_run: nothing is written; a few videos are measured to say how long the others will take.
        overwrite: whether results may be added to those of another source.

    Returns:
        What was done; of a dry run, how long it will take.

    Raises:
        UserError: the source has no videos or cannot be reached, there are no such weights, the destination holds
            something else, is in use or full, a package is missing, or a number makes no sense.
        KeyboardInterrupt: it was stopped.
    """
    settings = SolverSettings(weights, refine, tuple(sorted(set(extras))), decoder)
    limits = Limits(time_limit, memory_limit)
    if workers is not None and (workers < 1 or address):
        raise UserError(f"{workers} workers were given: give 1 or more, and none beside a cluster, which has its own.")
    need_psutil()
    need_pyarrow()
    source, out = _absolute(source), _absolute(out)
    task, destination = VideoTask(out, _asked(settings), limits), Destination(out)
    jobs = list_videos(source, out)
    if dry_run:
        return forecast(task, _left(task, jobs), len(jobs), address, workers)
    with destination.claimed(source, overwrite):
        left = _left(task, jobs)
        try:
            with RunProgress(len(jobs), len(jobs) - len(left)) as progress:
                if left:
                    ready_to_solve(settings)
                    with ray_engine.engine(address, workers) as ray:
                        for job, rows in ray_engine.annotated(ray, task, left):
                            progress.done(job, rows)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; the same command goes on with the videos that are left.") from None
        destination.write_table(lambda path: write_parquet(path, destination.all_rows()))
    return progress


def _asked(settings: SolverSettings) -> dict[str, Any]:
    """The settings as they are written beside results, to tell whether these are the same."""
    asked = {**asdict(settings), "extras": list(settings.extras)}
    if settings.weights:  # a later training may write others into the same folder
        asked[WEIGHTS_CHECKSUM] = fingerprint(weights_file(settings.weights))
    return asked


def _left(task: VideoTask, jobs: Sequence[VideoJob]) -> list[VideoJob]:
    """The videos that are not done."""
    found = Destination(task.out).rows(jobs, task.asked, asdict(task.limits))
    return [job for job, rows in found if rows is None]


def _absolute(root: str) -> str:
    return root if is_remote(root) else str(Path(root).absolute())
