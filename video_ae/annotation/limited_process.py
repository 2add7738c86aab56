"""A process that is ended from outside when its work takes too long or too much memory, or that may crash."""

import signal
import time
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from video_ae.errors import UserError
from video_ae.processes import end_with_parent

_LOOK = 0.2  # seconds between two looks at a process that works


class WorkEnded(Exception):
    """The work was ended, or crashed; the message is a sentence that says why."""


class LimitedProcess:
    """Calls a function in a process of its own, again and again; after a failure the next call gets a new process.

    The process ends with the one that made it, however that ends.

    Args:
        work: where the function is, as `package.module:function`. Its module is imported in the process alone.
    """

    def __init__(self, work: str) -> None:
        self._work = work
        self._process: Any = None
        self._connection: Connection | None = None

    def call(self, *arguments: Any, seconds: float | int, gigabytes: float | int) -> Any:
        """What the function returns; what it raises is raised here.

        Args:
            *arguments: of the function.
            seconds: that it may take.
            gigabytes: of memory that the process may have.

        Raises:
            WorkEnded: it took longer or more memory, or its process crashed.
        """
        connection = self._running()
        deadline = time.monotonic() + seconds
        try:
            connection.send(arguments)
            while not connection.poll(_LOOK):
                if time.monotonic() > deadline:
                    raise WorkEnded(f"It took longer than the {seconds:g} seconds that a video may take.")
                if _memory(self._process.pid) > gigabytes * 1e9:
                    raise WorkEnded(f"It took more than the {gigabytes:g} GB of memory that a video may take.")
            result, error = connection.recv()
        except (EOFError, ConnectionError) as ended:
            self._process.join()
            raise WorkEnded(f"Its process crashed ({_how_ended(self._process.exitcode)}).") from ended
        except BaseException:
            self.close()
            raise
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def _running(self) -> Connection:
        if self._connection is None or not self._process.is_alive():
            context = get_context("spawn")  # decoders have threads, which a forked process would not inherit
            self._connection, other = context.Pipe()
            self._process = context.Process(target=_serve, args=(other, self._work), daemon=True)
            self._process.start()
            other.close()
        return self._connection


def _serve(connection: Connection, work: str) -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    module, name = work.split(":")
    function = getattr(import_module(module), name)
    with suppress(EOFError):
        while True:
            arguments = connection.recv()
            result, failure = None, None
            try:
                result = function(*arguments)
            except Exception as error:
                failure = error
            connection.send((result, failure))


def _memory(process: int) -> int:
    """Bytes in memory; 0 where the process is gone."""
    import psutil

    with suppress(psutil.Error):
        return psutil.Process(process).memory_info().rss
    return 0


def _how_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def need_psutil() -> None:
    """Says at once where psutil is missing, which measures memory.

    Raises:
        UserError: it is not installed.
    """
    try:
        import psutil  # noqa: F401
    except ImportError as error:
        raise UserError("Limits of memory need psutil: install it with `pip install 'video-ae[fleet]'`.") from error
