"""How fast training's data come: packed clips against raw H.264 and against a bare loop.

    OMP_NUM_THREADS=1 python tools/benchmark_data.py --work scratch/benchmark

Writes two phone-like videos (1280x720, x264's own distance of keyframes) from the sample walk-throughs, prepares them,
and times everything in turns, so that other work on the machine meets all alike. One thread, no workers. Prints medians
over rounds and their ratios, then the memory of a process that reads from 100 and from 10,000 segments.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from video_ae.datasets.clip_sampler import ClipChoice, ClipSampler
from video_ae.datasets.packed_videos import PackedVideos
from video_ae.datasets.shards import decode_jpeg
from video_ae.datasets.training_clips import RandomClips
from video_ae.geometry.resize import plan_resizing
from video_ae.preparation.prepare import prepare
from video_ae.videos.load import load_clip
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

LENGTH, GAP, SIZE = 6, (1, 4), 128
FRAMES = 240  # of each raw video
Work = Callable[[ClipChoice], object]


def write_videos(folder: Path, walkthroughs: Path, size: tuple[int, int] = (1280, 720), videos: int = 2) -> list[Path]:
    """Videos of one shot each with the grain of a phone: a walk-through there and back again.

    size: (width, height).
    """
    width, height = size
    sources = sorted(walkthroughs.glob("*.mp4"))
    paths = [folder / f"phone{number}.mp4" for number in range(videos)]
    for number, path in enumerate(paths):
        if path.exists():
            continue
        walk = load_clip(sources[number]).frames
        small = torch.cat([walk, walk.flip(0)] * (FRAMES // len(walk) + 1))[:FRAMES]
        large = torch.empty(len(small), 3, height, width, dtype=torch.uint8)
        noise = torch.Generator().manual_seed(number)
        for index, frame in enumerate(small):
            image = torch.nn.functional.interpolate(frame[None], size=(height, width), mode="bicubic")[0] * 255
            grain = torch.randn(1, height, width, generator=noise) * 2
            large[index] = (image + grain).round().clamp(0, 255).to(torch.uint8)
        write_video(path, large, fps=30)
    return paths


def time_in_turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, after one round of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def bare_loop(source: PackedVideos) -> Work:
    """Reads the same bytes at known offsets and decodes them: no table, no index, no checks."""
    file = os.open(source.store.fetch(source.store.shard_names[0]), os.O_RDONLY)
    count = int(np.frombuffer(os.pread(file, 4, 0), "<u4")[0])
    ends = np.frombuffer(os.pread(file, 4 * (count + 1), 4), "<u4").tolist()
    firsts = source.table["first"].tolist()

    def work(choice: ClipChoice) -> torch.Tensor:
        items = [firsts[choice.video] + index for index in choice.indices]
        jpegs = [os.pread(file, ends[item + 1] - ends[item] - 28, ends[item] + 12) for item in items]
        return torch.from_numpy(np.stack([decode_jpeg(jpeg) for jpeg in jpegs]))

    return work


def litdata_loop(source: PackedVideos) -> Work | None:
    """The same frames through LitData's own reader, where it is installed."""
    try:
        from litdata import StreamingDataset
    except ImportError:
        return None
    dataset = StreamingDataset(source.store.root, shuffle=False)
    starts = np.concatenate([[0], np.cumsum(source.table["frames"])]).tolist()  # items lie in the segments' order

    def work(choice: ClipChoice) -> torch.Tensor:
        items = [dataset[starts[choice.video] + index] for index in choice.indices]
        return torch.from_numpy(np.stack([decode_jpeg(bytes(jpeg)) for jpeg, _, _ in items]))

    return work


def benchmark_clips(paths: list[Path], packed: Path, clips: int, rounds: int) -> None:
    source = PackedVideos(packed)
    readers = [open_video(path) for path in paths]
    raw_sampler = ClipSampler([len(reader) for reader in readers], LENGTH, GAP)
    dataset = RandomClips(source, LENGTH, GAP, clips=clips)
    sampler = ClipSampler(source.table["frames"], LENGTH, GAP)
    resizing = plan_resizing(readers[0].image_size, SIZE)
    raw_clips = max(4, clips // 40)  # they take long
    bare, litdata = bare_loop(source), litdata_loop(source)

    def raw() -> None:
        for position in range(raw_clips):
            choice = raw_sampler.choose(0, position)
            resizing.bytes(readers[choice.video].read(choice.indices))

    def each(work: Work) -> Callable[[], None]:
        choices = [sampler.choose(0, position) for position in range(clips)]
        return lambda: [work(choice) for choice in choices] and None

    works: dict[str, Callable[[], object]] = {
        "raw H.264, random access": raw,
        "packed": lambda: [dataset[position] for position in range(clips)],
        "bare loop over the same bytes": each(bare),
    }
    if litdata:
        works["LitData's reader"] = each(litdata)
    seconds = time_in_turns(works, rounds)
    rates = {name: (raw_clips if work is raw else clips) / seconds[name] for name, work in works.items()}
    print(
        f"\n{LENGTH} frames of {SIZE} px, gap {GAP[0]} to {GAP[1]}, {type(readers[0]).__name__}, median of {rounds}\n"
    )
    print("| | clips / s | packed is so many times as fast |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.1f} | {rates['packed'] / rate:.2f} |")


def benchmark_address(address: str, clips: int) -> None:
    """A packed folder in object storage, with an empty cache of its own."""
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        dataset = RandomClips(PackedVideos(address, Path(cache)), LENGTH, GAP, clips=clips)
        opened = time.perf_counter() - started
        rates = []
        for _ in range(2):
            started = time.perf_counter()
            for position in range(clips):
                dataset[position]
            rates.append(clips / (time.perf_counter() - started))
        megabytes = sum(path.stat().st_size for path in Path(cache).rglob("*.bin")) / 2**20
    print(f"{address}: opened in {opened:.2f} s; {clips} clips, {megabytes:.0f} MB of shards")
    print(f"while they are fetched {rates[0]:.1f} clips / s, afterwards {rates[1]:.1f}")


def benchmark_memory(packed: Path, work: Path) -> None:
    print("\n| segments in the index | memory after 300 clips, MB |\n|---|---|")
    for count in (100, 10_000):
        folder = work / f"table{count}"
        folder.mkdir(exist_ok=True)
        for file in packed.glob("*"):
            if file.suffix in (".bin", ".json") and not (folder / file.name).exists():
                os.link(file, folder / file.name)
        table = np.load(packed / "segments.npy")
        np.save(folder / "segments.npy", np.resize(table, count))
        command = [sys.executable, __file__, "--measure", str(folder)]
        found = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
        print(f"| {count} | {statistics.median(found):.1f} |")


def measure_memory(folder: Path) -> None:
    dataset = RandomClips(PackedVideos(folder), LENGTH, GAP, clips=300)
    for position in range(300):
        dataset[position]
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmRSS:")[1].split()[0]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="folder for videos and shards, kept for the next run")
    parser.add_argument("--videos", type=Path, help="a folder of mp4 files to use instead of the phone-like ones")
    parser.add_argument("--walkthroughs", type=Path, default=Path("data/walkthroughs/train/videos"))
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--address", help="only read clips from this packed folder, such as s3://bucket/packed")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.measure:
        return measure_memory(given.measure)
    if given.address:
        return benchmark_address(given.address, given.clips)
    given.work.mkdir(parents=True, exist_ok=True)
    videos = given.videos or given.work / "videos"
    videos.mkdir(exist_ok=True)
    paths = sorted(videos.glob("*.mp4")) if given.videos else write_videos(videos, given.walkthroughs)
    packed = given.work / "packed"
    if not (packed / "packed.json").exists():
        prepare(videos, packed, SIZE)
    benchmark_clips(paths, packed, given.clips, given.rounds)
    benchmark_memory(packed, given.work)
    return None


if __name__ == "__main__":
    main()
