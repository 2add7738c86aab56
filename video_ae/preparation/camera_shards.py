"""The cameras of annotated videos beside the shards of their frames: a file a shard, a row a frame."""

from collections.abc import Mapping
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from video_ae.datasets.annotated_videos import AnnotatedShot
from video_ae.datasets.stored_cameras import cameras_of_shard, rows_of, rows_without_cameras
from video_ae.formats.atomic import write_atomically
from video_ae.preparation.pack import Kept, Packed


def pack_cameras(packed: Packed, shots: Mapping[str, AnnotatedShot], out: Path) -> None:
    """Writes the cameras of all packed frames, in the order of the frames.

    Args:
        packed: what `pack` wrote.
        shots: of the videos, by name.
        out: the folder of the shards.

    Raises:
        UserError: what is stored of a shot is damaged.
    """
    for shard, segments in groupby(packed.kept, lambda segment: segment.shard):
        rows = np.concatenate([_rows(segment, shots[segment.video]) for segment in segments])
        write_atomically(out / cameras_of_shard(shard), partial(_save, rows))


def _rows(segment: Kept, shot: AnnotatedShot) -> np.ndarray:
    estimate = shot.cameras()
    if estimate is None:
        return rows_without_cameras(len(segment.frames))
    return rows_of(estimate.select(segment.frames))


def _save(rows: np.ndarray, path: Path) -> None:
    np.save(path, rows)
