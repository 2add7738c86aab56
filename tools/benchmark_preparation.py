"""What `video-ae prepare` takes beside decoding, part by part, for sources from 192x144 to 1920x1080.

    OMP_NUM_THREADS=1 python tools/benchmark_preparation.py --work scratch/benchmark_preparation

Times are processor time of one thread in microseconds a frame, medians of rounds in which everything takes its turn, so
that other work on the machine matters little. The share is a decoder's own time for whole RGB frames, opened without
our checks, in that of preparing: of torchcodec (exact seeking), and of PyAV, which scales what is prepared while it
decodes. The most that is possible is what decoding to scaled frames and writing JPEGs would leave.
By the clock the share is larger where a second core is free: the next frames are decoded while some are worked on.
With `--processes 2` the wall time of two decoding processes is compared with that of two preparing ones.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import av
import torch
from benchmark_data import SIZE, write_videos

from video_ae.datasets.shards import encode_jpeg
from video_ae.geometry.resize import plan_resizing
from video_ae.preparation import scan
from video_ae.preparation.segments import cut_into_segments
from video_ae.preparation.video import Job, measure_overlaps, prepare_video
from video_ae.videos.load import CHUNK_VALUES
from video_ae.videos.open import open_video
from video_ae.videos.torchcodec_reader import import_torchcodec

WIDE = [(480, 270), (640, 360), (1280, 720), (1920, 1080)]
ROUNDS = 3


def decode(path: Path) -> None:
    decoder = import_torchcodec()(str(path), seek_mode="exact")
    values = 3 * decoder.metadata.width * decoder.metadata.height
    step = max(1, CHUNK_VALUES // values)
    for start in range(0, len(decoder), step):
        decoder.get_frames_in_range(start, min(start + step, len(decoder)))


def decode_by_pyav(path: Path) -> None:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")


def prepare_once(path: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    prepare_video(Job(path, path.stem, folder, SIZE, "auto"))


def parts(path: Path, work: Path) -> dict[str, tuple[Callable[[], object], int]]:
    """Name -> (one part of the work alone, for how many frames)."""
    whole = open_video(path, "pyav")
    reader = whole.shrunk(plan_resizing(whole.image_size, SIZE).size)
    small = reader.read(range(len(reader)))
    with open(work / "frames.bin", "wb") as file:
        scanned = scan.scan_video(reader, SIZE, file)
    segments, _ = cut_into_segments(scanned)

    def numbers() -> None:
        thumbnails = scan.grey_thumbnails(small)
        scan.RestDetector().add(thumbnails)
        thumbnails.std((1, 2)).tolist()
        scan._fingerprints(thumbnails)

    return {
        "torchcodec": (lambda: decode(path), len(reader)),
        "PyAV": (lambda: decode_by_pyav(path), len(reader)),
        "index of packets": (lambda: open_video(path, "pyav"), len(reader)),
        "scaled frames": (lambda: reader.read(range(len(reader))), len(reader)),
        "JPEG": (lambda: [encode_jpeg(image) for image in small], len(small)),
        "shots": (lambda: scan.ShotDetector().add(small), len(small)),
        "rests, fingerprints": (numbers, len(small)),
        "overlap": (
            lambda: [measure_overlaps(work / "frames.bin", scanned, segment) for segment in segments],
            len(reader),
        ),
        "whole": (lambda: prepare_once(path, work / "part"), len(reader)),
    }


def time_parts(works: dict[str, tuple[Callable[[], object], int]]) -> tuple[dict[str, float], dict[str, float]]:
    """Median microseconds a frame, after one round of warm-up: of processor time, and by the clock."""
    clocks = time.process_time, time.perf_counter
    times: tuple[dict[str, list[float]], ...] = tuple({name: [] for name in works} for _ in clocks)
    for number in range(ROUNDS + 1):
        for name, (work, frames) in works.items():
            started = [clock() for clock in clocks]
            work()
            for clock, before, found in zip(clocks, started, times, strict=True):
                if number:
                    found[name].append((clock() - before) / frames * 1e6)
    processor, clock_time = ({name: statistics.median(values) for name, values in found.items()} for found in times)
    return processor, clock_time


def sources(work: Path, walkthroughs: Path) -> Iterator[Path]:
    yield min(walkthroughs.glob("*.mp4"))
    for width, height in WIDE:
        folder = work / f"{width}x{height}"
        folder.mkdir(exist_ok=True)
        yield write_videos(folder, walkthroughs, (width, height), videos=1)[0]


def benchmark_processes(paths: list[Path], work: Path, processes: int) -> None:
    seconds: dict[str, list[float]] = {"decoding": [], "preparing": []}
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for number in range(ROUNDS + 1):
            for name, times in seconds.items():
                started = time.perf_counter()
                if name == "decoding":
                    list(pool.map(decode, paths))
                else:
                    list(pool.map(prepare_once, paths, [work / "parts" / path.stem for path in paths]))
                if number:
                    times.append(time.perf_counter() - started)
    decoding, preparing = (statistics.median(times) for times in seconds.values())
    print(
        f"{len(paths)} videos, {processes} processes: {decoding:.2f} s, {preparing:.2f} s: {decoding / preparing:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the videos, kept for the next run")
    parser.add_argument("--walkthroughs", type=Path, default=Path("data/walkthroughs/train/videos"))
    parser.add_argument("--processes", type=int, help="compare so many decoding processes with as many preparing ones")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    if given.processes:
        return benchmark_processes(sorted(given.walkthroughs.glob("*.mp4")), given.work, given.processes)
    for number, path in enumerate(sources(given.work, given.walkthroughs)):
        found, by_clock = time_parts(parts(path, given.work))
        if not number:
            shares = "share of torchcodec | of PyAV | possible | by the clock"
            print("| source | frames | " + " | ".join(found) + f" | {shares} |")
            print("|---" * (len(found) + 6) + "|")
        possible = found["torchcodec"] / (found["scaled frames"] + found["JPEG"])
        reader = open_video(path)
        name = "{}x{}".format(*reader.image_size)
        numbers = " | ".join(f"{value:.0f}" for value in found.values())
        shares = " | ".join(
            f"{share:.2f}"
            for share in (
                found["torchcodec"] / found["whole"], found["PyAV"] / found["whole"], possible,
                by_clock["torchcodec"] / by_clock["whole"],
            )
        )  # fmt: skip
        print(f"| {name} | {len(reader)} | {numbers} | {shares} |", flush=True)
    return None


if __name__ == "__main__":
    main()
