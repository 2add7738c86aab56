"""A call that takes too long, too much memory or crashes costs itself alone."""

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from video_ae.annotation.limited_process import LimitedProcess, WorkEnded
from video_ae.errors import UserError


@pytest.fixture
def process() -> Iterator[LimitedProcess]:
    made = LimitedProcess("limited_work:process_number")
    yield made
    made.close()


def call(work: str, *arguments: object, seconds: float = 60, gigabytes: float = 8) -> object:
    process = LimitedProcess(f"limited_work:{work}")
    try:
        return process.call(*arguments, seconds=seconds, gigabytes=gigabytes)
    finally:
        process.close()


def test_calls_share_one_process(process: LimitedProcess) -> None:
    first = process.call(seconds=60, gigabytes=8)
    assert first == process.call(seconds=60, gigabytes=8)
    process.close()
    assert not psutil.pid_exists(first)
    assert first != process.call(seconds=60, gigabytes=8), "a new one after it was ended"


def test_what_takes_too_long_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(WorkEnded, match="longer than the 3 seconds"):
        call("sleep", 60, seconds=3)
    assert time.monotonic() - began < 30


def test_what_takes_too_much_memory_is_ended() -> None:
    with pytest.raises(WorkEnded, match=r"0\.6 GB of memory"):
        call("hold", 700, gigabytes=0.6)


def test_a_crash_is_named() -> None:
    with pytest.raises(WorkEnded, match="SIGKILL"):
        call("end")


def test_errors_are_passed_on() -> None:
    with pytest.raises(UserError, match="cannot be done"):
        call("refuse")


def test_the_process_ends_with_its_parent() -> None:
    script = (
        "from video_ae.annotation.limited_process import LimitedProcess; import os, signal\n"
        "if __name__ == '__main__':\n"
        "    print(LimitedProcess('os:getpid').call(seconds=60, gigabytes=8), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    child = int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(child)
