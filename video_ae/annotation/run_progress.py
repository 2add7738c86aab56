"""How far a run over many videos is: how many a minute, and how long it will take."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from video_ae.annotation.annotation_row import AnnotationRow
from video_ae.annotation.video_job import VideoJob

_QUIET = 10.0  # seconds without a line, where there is no terminal


class RunProgress:
    """A bar on a terminal, else a line every ten seconds; videos that fail are named with their reason.

    The attributes `total`, `failed` and `finished` count videos; `finished` those of earlier runs as well.

    Args:
        total: videos of the source.
        finished: of them before this run.
    """

    def __init__(self, total: int, finished: int) -> None:
        self.total, self.finished, self.failed = total, finished, 0
        self._before, self._began, self._said = finished, time.monotonic(), 0.0
        self._console = Console(stderr=True)
        columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[rate]}")
        self._bar = Progress("videos", *columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("videos", total=total, completed=finished, rate="")

    def __enter__(self) -> "RunProgress":
        self._began = time.monotonic()
        self._bar.start()
        if self._before:
            self._say(f"{self._before} of {self.total} videos are done already.")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def done(self, job: VideoJob, rows: list[AnnotationRow]) -> None:
        """Counts a video.

        Args:
            job: the video.
            rows: that were found.
        """
        self.finished += 1
        reasons = [row.reason for row in rows if row.reason]
        if len(reasons) == len(rows):
            self.failed += 1
            self._say(f"nothing of {job.name}: {reasons[0]}")
        self._bar.update(self._task, completed=self.finished, rate=self.rate)
        now = time.monotonic()
        if not self._console.is_terminal and (now - self._said > _QUIET or self.finished == self.total):
            self._said = now
            self._say(f"{self.finished} of {self.total} videos, {self.rate}")

    @property
    def rate(self) -> str:
        """Videos a minute of this run, and the time left."""
        done, passed = self.finished - self._before, time.monotonic() - self._began
        a_minute = 60 * done / max(passed, 1e-9)
        left = (self.total - self.finished) * passed / max(done, 1)
        return f"{a_minute:.1f} a minute, {spoken(left)} left"

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def spoken(seconds: float) -> str:
    """A time for people.

    Args:
        seconds: from 0.

    >>> spoken(40.0), spoken(150.0), spoken(7000.0), spoken(300000.0)
    ('40 s', '2 min', '1.9 h', '3.5 days')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"
