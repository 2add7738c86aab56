"""Prepared videos -> shards and the table of their segments."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from video_ae.datasets.clip_sampler import OVERLAP_GAPS
from video_ae.datasets.packed_videos import PACKED_VERSION
from video_ae.datasets.shards import SHARD_BYTES, ShardWriter, StoredFrame
from video_ae.formats.atomic import write_atomically, write_text_atomically
from video_ae.preparation.scan import read_jpegs
from video_ae.preparation.segments import Dropped
from video_ae.preparation.video import FRAMES, Prepared, load_record

TABLE, ABOUT = "segments.npy", "packed.json"
SAME = 0.2  # share of fingerprints that one longer segment has to contain as well, and
SAME_AT_LEAST = 5  # how many of them
UNINFORMATIVE = {0, 2**32 - 1}  # fingerprints of images without structure


@dataclass(frozen=True)
class Kept:
    """A segment as it was packed.

    Args:
        name: `video#n`, or the video's where it has one segment.
        video: the video's name.
        frames: their numbers in the video.
        overlaps: of frames `OVERLAP_GAPS` apart.
        rate: frames a second; NaN where the video has no times.
        shard: which shard its frames are in.
        first: number of its first frame in the shard.
    """

    name: str
    video: str
    frames: list[int]
    overlaps: list[float]
    rate: float
    shard: int
    first: int


@dataclass(frozen=True)
class Packed:
    """What was packed and what was not.

    Args:
        kept: segments, in order.
        dropped: video name -> parts that were left out.
        skipped: name of a video of which nothing is used -> reason.
        frames: of all videos.
    """

    kept: list[Kept]
    dropped: dict[str, list[Dropped]]
    skipped: dict[str, str]
    frames: int


def find_copies(segments: Iterable[tuple[str, np.ndarray]]) -> dict[str, str]:
    """Name of a segment that another one contains as well -> the name of that one.

    Copies may be encoded anew, trimmed or broken off. The longest one is kept, of equal ones the first.

    Args:
        segments: name and fingerprints of each.
    """
    owners: dict[int, str] = {}  # of a fingerprint
    copies: dict[str, str] = {}
    for name, fingerprints in sorted(segments, key=lambda segment: -len(segment[1])):
        different = set(fingerprints.tolist()) - UNINFORMATIVE
        found = Counter(owners[value] for value in different if value in owners)
        owner, count = found.most_common(1)[0] if found else ("", 0)
        if count >= max(SAME_AT_LEAST, SAME * len(different)):
            copies[name] = owner
            continue
        for value in different:
            owners.setdefault(value, name)
    return copies


def pack(records: Sequence[Path], out: Path, shard_bytes: int = SHARD_BYTES) -> Packed:
    """Writes shards, `index.json` and `segments.npy` into `out`, in the order of the records.

    The table has one row a segment: name, video, shard, first item, frames, rate, overlaps. One shard's frames are in
    memory at a time, and about 0.1 kB for each frame of a segment. Nothing is written if no segment is left.

    Args:
        records: of the prepared videos, beside their frames.
        out: the folder to write into.
        shard_bytes: how large a shard becomes.
    """
    writer = ShardWriter(out, shard_bytes)
    copies = find_copies(named for record in records for named in _fingerprints(load_record(record)))
    kept: list[Kept] = []
    dropped: dict[str, list[Dropped]] = {}
    skipped: dict[str, str] = {}
    frames = 0
    for record in records:
        video = load_record(record)
        frames += video.frames
        dropped[video.name] = list(video.dropped)
        before = len(kept)
        for number, segment in enumerate(video.segments):
            name = _name(video, number)
            if name in copies:
                dropped[video.name].append(Dropped(segment[0], segment[-1], f"duplicate of {copies[name]}"))
                continue
            shard, first = writer.add(_stored(video, segment, record.parent / FRAMES))
            kept.append(Kept(name, video.name, segment, video.overlaps[number], _rate(video, segment), shard, first))
        if len(kept) == before:
            skipped[video.name] = video.skipped or dropped[video.name][-1].reason
    if kept:
        writer.finish()
        table = _table(kept)
        write_atomically(out / TABLE, lambda temporary: np.save(temporary, table))
    return Packed(kept, dropped, skipped, frames)


def write_about(packed: Packed, out: Path, settings: dict, cameras: int | None = None) -> None:
    """Writes `packed.json`, whose presence says that the folder is complete.

    Args:
        packed: what `pack` wrote.
        out: into which folder.
        settings: of the preparation.
        cameras: version of the cameras that are packed with the frames; None where there are none.
    """
    contents = hashlib.sha256((out / "index.json").read_bytes() + (out / TABLE).read_bytes()).hexdigest()
    about = {
        "format": PACKED_VERSION, "settings": settings, "segments": len(packed.kept),
        "frames": sum(len(segment.frames) for segment in packed.kept),
        "overlap_gaps": list(OVERLAP_GAPS), "quarantined": packed.skipped,
        "contents": contents,
        **({} if cameras is None else {"cameras": cameras}),
    }  # fmt: skip
    write_text_atomically(out / ABOUT, json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def _name(video: Prepared, number: int) -> str:
    return video.name if len(video.segments) == 1 else f"{video.name}#{number}"


def _fingerprints(video: Prepared) -> Iterator[tuple[str, np.ndarray]]:
    for number, fingerprints in enumerate(video.fingerprints):
        yield _name(video, number), np.array(fingerprints, np.uint32)  # a tenth of what the list takes


def _stored(video: Prepared, segment: list[int], path: Path) -> Iterator[StoredFrame]:
    for number, jpeg in zip(segment, read_jpegs(path, video.offsets, segment), strict=True):
        time = video.times[number]
        yield StoredFrame(jpeg, number, float("nan") if time is None else time)


def _rate(video: Prepared, segment: list[int]) -> float:
    times = np.array([video.times[number] for number in segment], np.float64)  # None becomes NaN
    return float(1 / np.median(np.diff(times)))


def _table(kept: list[Kept]) -> np.ndarray:
    videos = {name: number for number, name in enumerate(dict.fromkeys(segment.video for segment in kept))}
    names = [os.fsencode(segment.name) for segment in kept]
    kind = np.dtype(
        [("name", f"S{max(map(len, names))}"), ("video", "<i4"), ("shard", "<i4"), ("first", "<i4"),
         ("frames", "<i4"), ("rate", "<f4"), ("overlaps", "<f4", (len(OVERLAP_GAPS),))]
    )  # fmt: skip
    rows = [
        (name, videos[segment.video], segment.shard, segment.first, len(segment.frames), segment.rate, segment.overlaps)
        for name, segment in zip(names, kept, strict=True)
    ]
    return np.array(rows, kind)
