"""Processes that are forked after videos were read or written: loaders' workers are."""

import gc
import multiprocessing
from pathlib import Path

import pytest
import torch

from video_ae.videos.pyav_reader import PyAVReader
from video_ae.videos.writer import write_video

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")


def _read(path: Path) -> torch.Tensor:
    return PyAVReader(path).read([3, 1])


def test_a_forked_process_does_not_wait_for_threads_of_the_decoders_it_inherits(tmp_path: Path) -> None:
    gc.disable()  # what was read and written below stays as garbage until the child collects it
    try:
        write_video(tmp_path / "a.mp4", torch.randint(0, 256, (6, 3, 48, 64), dtype=torch.uint8))
        _read(tmp_path / "a.mp4")
        child = multiprocessing.get_context("fork").Process(target=gc.collect)
        child.start()
        child.join(30)
        waits = child.is_alive()
        child.kill()
        child.join()
    finally:
        gc.enable()
    assert not waits, "a forked process hangs when it collects garbage"
    assert child.exitcode == 0
