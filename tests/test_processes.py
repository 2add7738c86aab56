"""Processes that end with the one that started them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from video_ae.training import train

RANK = """
import os, time
from video_ae.processes import end_with_launcher
end_with_launcher(int(os.environ["VIDEO_AE_LAUNCHER"]))
print("here", flush=True)
time.sleep(60)
"""
LAUNCHER = f"""
import os, subprocess, sys
os.environ["VIDEO_AE_LAUNCHER"] = str(os.getpid())
rank = subprocess.Popen([sys.executable, "-c", {RANK!r}], stdout=subprocess.PIPE)
rank.stdout.readline()
print(rank.pid, flush=True)
rank.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_rank_ends_with_the_process_that_started_it():
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    rank = int(launcher.stdout.readline())
    os.kill(rank, 0)
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    for _ in range(100):
        if not _is_there(rank):
            break
        time.sleep(0.1)
    assert not _is_there(rank)


@pytest.mark.parametrize("started_by", ["torchrun", "a rank of ours"])
def test_a_rank_of_torchrun_does_not_wait_for_an_earlier_training(started_by, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv(train.LAUNCHER, "before")
    train._end_with_first_rank()  # a training in the process that starts the other one
    assert os.environ[train.LAUNCHER] == str(os.getpid())
    ends_with = []
    monkeypatch.setattr(train, "end_with_launcher", ends_with.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    if started_by == "torchrun":
        for name in ("TORCHELASTIC_RUN_ID", "GROUP_RANK", "LOCAL_WORLD_SIZE"):
            monkeypatch.setenv(name, "1")
    train._end_with_first_rank()
    assert ends_with == ([] if started_by == "torchrun" else [os.getpid()])


def _is_there(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"  # nobody may have asked how it ended yet
    except FileNotFoundError:
        return False
