"""How long a run over many videos will take, measured on a few of them."""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from video_ae.annotation import ray_engine
from video_ae.annotation.run_progress import spoken
from video_ae.annotation.video_job import VideoJob
from video_ae.annotation.video_task import VideoTask
from video_ae.geometry.trajectories import spread_frames

SAMPLES = 3


@dataclass(frozen=True)
class Forecast:
    """What a run would do.

    Args:
        videos: of the source.
        left: of them that are not done yet.
        measured: how many of these were tried.
        seconds: that all would take one after the other.
        workers: at a time.
    """

    videos: int
    left: int
    measured: int
    seconds: float
    workers: int

    def __str__(self) -> str:
        if not self.left:
            return f"All {self.videos} videos are done."
        return (
            f"{self.left} of {self.videos} videos are left. By {self.measured} of them, they take "
            f"{spoken(self.seconds / self.left)} each and {spoken(self.seconds / self.workers)} in all with "
            f"{self.workers} at a time. Nothing was written."
        )


def forecast(
    task: VideoTask, left: Sequence[VideoJob], videos: int, address: str | None, workers: int | None
) -> Forecast:
    """Annotates a few of the videos into a folder that is thrown away; time goes with the bytes of the files.

    Args:
        task: of the run.
        left: the videos that are not done.
        videos: of the source.
        address, workers: as in `ray_engine.engine`.

    Raises:
        UserError: as `VideoTask.run`.
    """
    count = workers or os.cpu_count() or 1
    if address:
        with ray_engine.engine(address) as ray:
            count = ray_engine.cores(ray)
    chosen = [left[index] for index in spread_frames(len(left), SAMPLES)] if left else []
    with tempfile.TemporaryDirectory(prefix="video-ae-") as temporary:
        trial = replace(task, out=temporary)
        took = [_seconds(trial, job) for job in [*chosen[:1], *chosen]][1:]  # the first call starts and compiles
    each = sum(took) / max(1, sum(job.size for job in chosen))
    return Forecast(videos, len(left), len(chosen), each * sum(job.size for job in left), max(1, min(count, len(left))))


def _seconds(task: VideoTask, job: VideoJob) -> float:
    began = time.monotonic()
    task.run(job)
    return time.monotonic() - began
