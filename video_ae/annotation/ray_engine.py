"""Ray does the videos: it starts workers, does again what a lost one has begun, and grows with its cluster."""

import logging
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from video_ae.annotation.annotation_row import AnnotationRow
from video_ae.annotation.video_job import VideoJob
from video_ae.annotation.video_task import VideoTask
from video_ae.errors import UserError

RETRIES = 5  # of a video whose worker or machine dies, also for want of memory
_AHEAD = 2  # videos that are handed to Ray for each core: no worker waits, and Ray holds next to nothing
_STORE = 100 * 2**20  # bytes of Ray's own memory here; nothing but names and rows goes through it


@contextmanager
def engine(address: str | None = None, workers: int | None = None) -> Iterator[Any]:
    """Ray, connected: an engine of this machine that ends with this process, or a cluster.

    Args:
        address: of the cluster, as `ray.init` takes it; None: this machine alone.
        workers: videos at a time on this machine, by default as many as it has cores.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))  # Ray's own are without end
    try:
        import ray
    except ImportError as error:
        raise UserError("Annotating needs Ray: install it with `pip install 'video-ae[fleet]'`.") from error
    if address:
        _check_answers(address)
    here: dict[str, Any] = {"num_cpus": workers, "object_store_memory": _STORE, "include_dashboard": False}
    try:
        ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **({} if address else here))
    except Exception as error:  # among them plain ones, where a machine is too busy
        raise _unanswered(address, error) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Ray itself waits for minutes for a machine that does not answer."""
    if found := re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address):
        try:
            socket.create_connection((found[1], int(found[2])), timeout=10).close()
        except OSError as error:
            raise _unanswered(address, error) from error


def _unanswered(address: str | None, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    if not address:
        return UserError(f"Ray does not start here ({reason}): try it again when this machine has less to do.")
    return UserError(
        f"Ray's cluster at {address!r} does not answer ({reason}): check it with `ray status`, and set "
        "RAY_AUTH_MODE=token where it asks for a token."
    )


def cores(ray: Any) -> int:
    """How many videos the engine can do at a time.

    Args:
        ray: of `engine`.
    """
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def annotated(ray: Any, task: VideoTask, jobs: Iterable[VideoJob]) -> Iterator[tuple[VideoJob, list[AnnotationRow]]]:
    """The rows of each video, as they are done. Only a few videos for each core are handed to Ray at a time.

    Args:
        ray: of `engine`.
        task: how they are done.
        jobs: the videos.

    Raises:
        UserError: as `VideoTask.run`.
    """
    run = ray.remote(num_cpus=1, max_retries=RETRIES)(_run)
    waiting, under_way = iter(jobs), dict[Any, VideoJob]()
    while True:
        for job in islice(waiting, max(0, _AHEAD * cores(ray) - len(under_way))):
            under_way[run.remote(task, job)] = job
        if not under_way:
            return
        (done, *_), _ = ray.wait(list(under_way))
        job = under_way.pop(done)
        yield job, _rows(ray, done, task, job)


def _run(task: VideoTask, job: VideoJob) -> list[AnnotationRow]:
    return task.run(job)


def _rows(ray: Any, done: Any, task: VideoTask, job: VideoJob) -> list[AnnotationRow]:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:  # raised by the task itself
        raise error.cause from error
    except ray.exceptions.RayError as error:  # the worker, again and again
        reason = f"Its worker died {RETRIES + 1} times ({type(error).__name__})."
        return task.failed(job, reason, {"worker": "died"})
