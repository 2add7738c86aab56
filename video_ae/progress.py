"""Progress bars and timing of the stages of a command, on standard error."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_QUIET = 10.0  # seconds without a line, where there is no terminal


class Stages:
    """A progress bar for each stage. Use it as a context manager and call it with (stage, fraction done).

    Where standard error is no terminal, each stage is a line, and another one every ten seconds says how far it is.

    The attribute `seconds` is the time, by stage, that passed while it was the latest one reported.

    Args:
        report: is called with (stage, fraction done) instead of bars being shown.
    """

    def __init__(self, report: Callable[[str, float], None] | None = None) -> None:
        self._report = report
        self.seconds: dict[str, float] = {}
        self._current: str | None = None
        self._since = time.perf_counter()
        self._bars: dict[str, TaskID] = {}
        console = Console(stderr=True)
        self._lines = _Lines(console) if report is None and not console.is_terminal else None
        self._progress = Progress(
            TextColumn("{task.description:<24}"), BarColumn(), TimeElapsedColumn(), console=console,
            disable=report is not None or self._lines is not None,
        )  # fmt: skip

    def __enter__(self) -> "Stages":
        self._since = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.flush_timer()
        if self._bars:  # a command that failed before its first stage shows no bar, not even an empty line
            self._progress.stop()

    def __call__(self, stage: str, done: float | int) -> None:
        if stage != self._current:
            self.flush_timer()
            self._current = stage
        if self._report is not None:
            self._report(stage, float(done))
        if self._lines is not None:
            self._lines(stage, float(done))
        if not self._bars:
            self._progress.start()
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=1.0)
        self._progress.update(self._bars[stage], completed=done)

    def flush_timer(self) -> None:
        """Adds the time since the last call to the current stage's `seconds`."""
        now = time.perf_counter()
        if self._current is not None:
            self.seconds[self._current] = self.seconds.get(self._current, 0.0) + now - self._since
        self._since = now


class _Lines:
    """Progress for a log: what begins, and from time to time how far it is and how long it will take."""

    def __init__(self, console: Console) -> None:
        self._console, self._began, self._said = console, dict[str, float](), 0.0

    def __call__(self, stage: str, done: float) -> None:
        now, text = time.perf_counter(), ""
        if stage not in self._began:
            self._began[stage], text = now, f"{stage} ..."
        elif now - self._said > _QUIET and 0 < done < 1:
            left = (now - self._began[stage]) * (1 - done) / done
            text = f"{stage}: {done:.0%}, about {left:.0f} s left"
        if text:
            self._said = now
            self._console.print(text, highlight=False)
