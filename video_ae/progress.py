"""Progress bars and timing of the stages of a command, on standard error."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_QUIET = 10.0  # seconds without a line, where there is no terminal
_told: ContextVar[Callable[[str, float], None] | None] = ContextVar("told", default=None)


@contextmanager
def reporting_to(progress: Callable[[str, float], None]) -> Iterator[None]:
    """Whom `report` tells within it.

    Args:
        progress: called with what is being done and the part done, from 0 to 1.
    """
    token = _told.set(progress)
    try:
        yield
    finally:
        _told.reset(token)


def report(stage: str, done: float | int) -> None:
    """Says how far a computation is, to whoever wants to know.

    Args:
        stage: what is being done.
        done: the part that is done, from 0 to 1.
    """
    if (progress := _told.get()) is not None:
        progress(stage, float(done))


class Stages:
    """A progress bar for each stage. Use it as a context manager and call it with (stage, fraction done).

    Where standard error is no terminal, each stage is a line, and another one every ten seconds says how far it is.

    The attribute `seconds` is the time, by stage, that passed while it was the latest one reported.

    Args:
        report: is called with (stage, fraction done) instead of bars being shown.
    """

    def __init__(self, report: Callable[[str, float], None] | None = None) -> None:
        console = Console(stderr=True)
        self._show = report or (_Bars(console) if console.is_terminal else _Lines(console))
        self.seconds: dict[str, float] = {}
        self._current: str | None = None
        self._since = time.perf_counter()

    def __enter__(self) -> "Stages":
        self._since = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.flush_timer()
        # A command that failed before its first stage shows no bar, not even an empty line.
        if isinstance(self._show, _Bars) and self._show.tasks:
            self._show.stop()

    def __call__(self, stage: str, done: float | int) -> None:
        if stage != self._current:
            self.flush_timer()
            self._current = stage
        self._show(stage, float(done))

    def flush_timer(self) -> None:
        """Adds the time since the last call to the current stage's `seconds`."""
        now = time.perf_counter()
        if self._current is not None:
            self.seconds[self._current] = self.seconds.get(self._current, 0.0) + now - self._since
        self._since = now


class _Bars(Progress):
    """A bar for each stage, from its first report on."""

    def __init__(self, console: Console) -> None:
        left = TimeRemainingColumn(elapsed_when_finished=True)
        super().__init__(TextColumn("{task.description:<24}"), BarColumn(), left, console=console)

    def __call__(self, stage: str, done: float) -> None:
        bars = {task.description: task.id for task in self.tasks}
        if stage not in bars:
            self.start()
            bars[stage] = self.add_task(stage, total=1.0)
        elif done == 0:  # a stage that comes again
            self.reset(bars[stage])
        self.update(bars[stage], completed=done)


class _Lines:
    """Progress for a log: what begins, and from time to time how far it is and how long it will take.

    The time up to a stage's first part says nothing: code is compiled and files are read in it.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._from, self._said = console, dict[str, tuple[float, float]](), 0.0

    def __call__(self, stage: str, done: float) -> None:
        now, text = time.perf_counter(), "" if stage in self._from else f"{stage} ..."
        since, before = self._from.get(stage, (now, 0.0))
        if now - self._said > _QUIET and 0 < done < 1 and not text:
            text = f"{stage}: {done:.0%}"
            if 0 < before < done:
                text += f", about {_in_words((now - since) * (1 - done) / (done - before))} left"
        if before == 0 or done == 0:  # a stage may come again
            self._from[stage] = now, done
        if text:
            self._said = now
            self._console.print(text, highlight=False)


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"
