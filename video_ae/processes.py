"""Processes that end with the one that started them, even where that one was killed."""

import os
import threading
import time
from collections.abc import Callable
from multiprocessing import parent_process


def end_with_parent() -> None:
    """In a process that `multiprocessing` started: ends it once its parent is gone, which it would not notice while it
    waits for work."""
    parent = parent_process()
    assert parent is not None
    _end_after(parent.join)


def end_with_launcher(launcher: int) -> None:
    """In a process that another one started as a command: ends it once that one is gone.

    Args:
        launcher: number of the process that started this one.
    """

    def wait() -> None:
        while os.getppid() == launcher:
            time.sleep(1)

    _end_after(wait)


def _end_after(wait: Callable[[], object]) -> None:
    def end() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
