"""One video from its address to its folder, within its limits; what a worker of the engine does."""

import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from video_ae.annotation.annotation_row import AnnotationRow
from video_ae.annotation.destination import VIDEOS, Destination, write_summary
from video_ae.annotation.limited_process import LimitedProcess, WorkEnded
from video_ae.annotation.video_job import VideoJob
from video_ae.datasets.object_storage import fetched, is_remote
from video_ae.errors import UserError, is_disk_full


@dataclass(frozen=True)
class Limits:
    """What one video may take.

    Args:
        seconds: of time.
        gigabytes: of memory.

    Raises:
        UserError: one of them is not above zero.
    """

    seconds: float | int = 3600.0
    gigabytes: float | int = 8.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise UserError(f"A limit of {value:g} {name} leaves nothing: give a number above zero.")


@dataclass(frozen=True)
class VideoTask:
    """How videos are done, the same for all of a run.

    Args:
        out: path or address of all results.
        asked: the values of `solving.SolverSettings`, whose module is too heavy for this one.
        limits: of one video.
    """

    out: str
    asked: dict[str, Any] = field(default_factory=dict)
    limits: Limits = Limits()

    def run(self, job: VideoJob) -> list[AnnotationRow]:
        """The rows of a video, whose folder is written; a video that fails has one row with the reason.

        Args:
            job: the video.

        Raises:
            UserError: the destination cannot be written, or the weights do not load.
        """
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many videos as cores
        os.environ.setdefault("NUMBA_NUM_THREADS", "1")
        limits = self.limits
        # Here, not in the process, which may be ended before it can remove it: it holds a copy of the video.
        with tempfile.TemporaryDirectory(prefix="video-ae-", ignore_cleanup_errors=True) as temporary:
            try:
                return _process().call(self, temporary, job, seconds=limits.seconds, gigabytes=limits.gigabytes)
            except WorkEnded as ended:
                return self.failed(job, str(ended), asdict(limits))

    def failed(self, job: VideoJob, reason: str, failed_at: dict[str, Any] | None = None) -> list[AnnotationRow]:
        """The row of a video that nothing was found of, whose folder says so.

        Args:
            job: the video.
            reason: why.
            failed_at: the limits that it failed at, with others of which it is tried again; nothing: it is not.
        """
        rows = [AnnotationRow(job.name, source=job.address, reason=reason)]
        with tempfile.TemporaryDirectory(prefix="video-ae-") as temporary:
            self._publish(job, Path(temporary), rows, failed_at or {})
        return rows

    def annotate(self, job: VideoJob) -> list[AnnotationRow]:
        """What `run` does, in this process and without limits.

        Args:
            job: the video.

        Raises:
            UserError: as `run`.
        """
        with tempfile.TemporaryDirectory(prefix="video-ae-") as temporary:
            return self.annotate_within(Path(temporary), job)

    def annotate_within(self, temporary: Path, job: VideoJob) -> list[AnnotationRow]:
        """What `run` does in the limited process.

        Args:
            temporary: an empty folder for the video's copy and results, which the caller removes.
            job: the video.

        Raises:
            UserError: as `run`.
        """
        from video_ae.annotation.solving import annotate_file, ready_to_solve, settings_from

        settings = settings_from(self.asked)
        ready_to_solve(settings)  # what is missing here is no fault of the video
        results = temporary / "results"
        results.mkdir()
        try:
            path = fetched(job.address, temporary) if is_remote(job.address) else Path(job.address)
        except UserError as error:
            return self.failed(job, _reason(error), {"reached": False})
        try:
            rows = annotate_file(path, job.name, results, settings)
        except Exception as error:  # a decoder's bug on one file must not end a run over a million
            return self.failed(job, _reason(error).replace(str(path), job.address))
        rows = [replace(row, source=job.address, folder=_placed(row, job)) for row in rows]
        self._publish(job, results, rows, {})
        return rows

    def _publish(self, job: VideoJob, results: Path, rows: list[AnnotationRow], failed_at: dict[str, Any]) -> None:
        write_summary(results, job, self.asked, failed_at, rows)
        Destination(self.out).publish(job, results)


def annotate_in_process(task: VideoTask, temporary: str, job: VideoJob) -> list[AnnotationRow]:
    """`VideoTask.annotate_within` as a function that a `LimitedProcess` finds by its name.

    Args:
        task: of the run.
        temporary: path of a folder, as there.
        job: the video.
    """
    return task.annotate_within(Path(temporary), job)


@cache
def _process() -> LimitedProcess:
    """The one process of this worker, whose model is loaded once."""
    return LimitedProcess("video_ae.annotation.video_task:annotate_in_process")


def _reason(error: Exception) -> str:
    if is_disk_full(error):
        raise UserError("The disk for temporary files is full: make room and run it again, it goes on.") from error
    return str(error) if isinstance(error, UserError) else f"Unexpected {type(error).__name__}: {error}"


def _placed(row: AnnotationRow, job: VideoJob) -> str:
    """The shot's folder below that of all results."""
    return "" if row.reason else (PurePosixPath(VIDEOS) / job.folder / row.folder).as_posix()
