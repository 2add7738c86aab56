"""What the tests let limited processes and workers do."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from video_ae.annotation.annotation_row import AnnotationRow
from video_ae.annotation.video_job import VideoJob
from video_ae.annotation.video_task import VideoTask
from video_ae.errors import UserError


def process_number() -> int:
    return os.getpid()


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def hold(megabytes: int) -> None:
    held = bytes(range(256)) * 4096 * megabytes
    time.sleep(20)
    del held


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise UserError("It cannot be done.")


@dataclass(frozen=True)
class DyingOnce(VideoTask):
    """The first time, the worker that does the video `dies` is killed."""

    marker: str = ""

    def run(self, job: VideoJob) -> list[AnnotationRow]:
        if job.name == "dies" and not Path(self.marker).exists():
            Path(self.marker).touch()
            end()
        if job.name == "refused":
            refuse()
        return [AnnotationRow(job.name, source=job.address)]


@dataclass(frozen=True)
class Large(VideoTask):
    """The video takes more memory than the machine has."""

    def run(self, job: VideoJob) -> list[AnnotationRow]:
        hold(300)
        return [AnnotationRow(job.name, source=job.address)]
