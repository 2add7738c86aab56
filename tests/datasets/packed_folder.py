"""A packed folder of five segments, as `video-ae prepare` would write it."""

import json
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from video_ae.datasets.clip_sampler import OVERLAP_GAPS
from video_ae.datasets.shards import ShardWriter, StoredFrame, encode_jpeg
from video_ae.datasets.training_clips import RandomClips

COUNTS = [20, 9, 30, 14, 25]


def frames_of(segment: int, count: int) -> list[StoredFrame]:
    """Frame `i` of a segment is grey of value 8 i, its number in the video is 100 i + segment."""
    pictures = [torch.full((3, 24, 32), 8 * number, dtype=torch.uint8) for number in range(count)]
    return [
        StoredFrame(encode_jpeg(picture), 100 * number + segment, 0.1 * number)
        for number, picture in enumerate(pictures)
    ]


def write_packed(folder: Path, counts: list[int] = COUNTS) -> Path:
    """Segments of so many frames in about five shards; their overlap falls to zero sixteen frames apart."""
    folder.mkdir()
    writer = ShardWriter(folder, shard_bytes=12_000)
    rows = []
    for number, count in enumerate(counts):
        shard, first = writer.add(frames_of(number, count))
        overlaps = [max(0, 1 - gap / 16) for gap in OVERLAP_GAPS]
        rows.append((f"walk {number}é".encode(), number, shard, first, count, 10.0, overlaps))
    writer.finish()
    kind = [("name", "S16"), ("video", "<i4"), ("shard", "<i4"), ("first", "<i4"), ("frames", "<i4"), ("rate", "<f4"),
            ("overlaps", "<f4", (len(OVERLAP_GAPS),))]  # fmt: skip
    np.save(folder / "segments.npy", np.array(rows, kind))
    about = {
        "format": 1, "quarantined": {"bad": "no pictures"}, "overlap_gaps": list(OVERLAP_GAPS), "contents": str(counts)
    }  # fmt: skip
    (folder / "packed.json").write_text(json.dumps(about))
    return folder


def positions_of(dataset: RandomClips, workers: int) -> list[tuple]:
    """(name, frames' numbers, position) of all clips, through a loader."""
    loader = DataLoader(dataset, batch_size=3, num_workers=workers, collate_fn=list)
    return [(clip.name, clip.indices.tolist(), clip.position) for batch in loader for clip in batch]
