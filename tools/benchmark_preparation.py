"""What `video-ae prepare` takes beside decoding, part by part, for sources from 192x144 to 1280x720.

    OMP_NUM_THREADS=1 python tools/benchmark_preparation.py --work scratch/benchmark_preparation

Times are processor time of one thread in microseconds a frame, medians of rounds in which everything takes its turn, so
that other work on the machine matters little. The share is the decoder's own time (opened with exact seeking, without
our checks) in that of the whole; the most that is possible is what decoding, shrinking and writing JPEGs would leave.
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

import torch
from benchmark_data import SIZE, write_videos

from video_ae.datasets.shards import encode_jpeg
from video_ae.geometry.resize import plan_resizing
from video_ae.preparation import scan
from video_ae.preparation.segments import cut_into_segments
from video_ae.preparation.video import Job, measure_overlaps, prepare_video
from video_ae.videos.load import CHUNK_VALUES, read_resized_bytes
from video_ae.videos.open import open_video
from video_ae.videos.torchcodec_reader import import_torchcodec

WIDE = [(256, 144), (480, 270), (640, 360), (960, 540), (1280, 720)]
ROUNDS = 5


def decode(path: Path) -> None:
    decoder = import_torchcodec()(str(path), seek_mode="exact")
    values = 3 * decoder.metadata.width * decoder.metadata.height
    step = max(1, CHUNK_VALUES // values)
    for start in range(0, len(decoder), step):
        decoder.get_frames_in_range(start, min(start + step, len(decoder)))


def prepare_once(path: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    prepare_video(Job(path, path.stem, folder, SIZE, "torchcodec"))


def parts(path: Path, work: Path) -> dict[str, tuple[Callable[[], object], int]]:
    """Name -> (one part of the work alone, for how many frames)."""
    reader = open_video(path, "torchcodec")
    resizing = plan_resizing(reader.image_size, SIZE)
    width, height = reader.image_size
    source = reader.read(range(min(len(reader), max(1, CHUNK_VALUES // (3 * width * height)))))
    small = torch.cat([chunk for _, chunk in read_resized_bytes(reader, range(len(reader)), resizing)])
    small = small.contiguous(memory_format=torch.channels_last)
    with open(work / "frames.bin", "wb") as file:
        scanned = scan.scan_video(reader, SIZE, file)
    segments, _ = cut_into_segments(scanned)

    def numbers() -> None:
        thumbnails = scan.grey_thumbnails(small)
        scan.RestDetector().add(thumbnails)
        thumbnails.std((1, 2)).tolist()
        scan._fingerprints(thumbnails)

    return {
        "decoder": (lambda: decode(path), len(reader)),
        "index of packets, opening": (lambda: open_video(path, "torchcodec"), len(reader)),
        "shrinking": (lambda: resizing.bytes(source), len(source)),
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
        yield write_videos(folder, walkthroughs, (width, height))[0]


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
            print("| source | frames | " + " | ".join(found) + " | share | possible | share by the clock |")
            print("|---" * (len(found) + 5) + "|")
        least = found["decoder"] + found["shrinking"] + found["JPEG"]
        reader = open_video(path)
        name = "{}x{}".format(*reader.image_size)
        numbers = " | ".join(f"{value:.0f}" for value in found.values())
        shares = " | ".join(
            f"{share:.2f}"
            for share in (
                found["decoder"] / found["whole"], found["decoder"] / least, by_clock["decoder"] / by_clock["whole"]
            )
        )  # fmt: skip
        print(f"| {name} | {len(reader)} | {numbers} | {shares} |", flush=True)
    return None


if __name__ == "__main__":
    main()
