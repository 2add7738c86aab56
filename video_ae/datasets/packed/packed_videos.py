"""What `video-ae prepare` wrote, in a folder or in object storage, as a source of clips."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from video_ae.datasets.base import ClipSource
from video_ae.datasets.byte_clips import ByteClip
from video_ae.datasets.clip_sampler import OVERLAP_GAPS
from video_ae.datasets.packed.shard_store import ShardStore
from video_ae.datasets.packed.shards import decode_frames
from video_ae.errors import UserError, unreadable_as
from video_ae.geometry.resize import Fit, plan_resizing
from video_ae.types import VideoClip
from video_ae.videos.base import check_indices


class PackedVideos(ClipSource):
    """Segments of videos, each as one video of small frames; any frame is read at once, without decoding others.

    `table` has a row a segment: its `name`, the number of its `video`, the number of its `shard` (ascending), which
    item of the shard its `first` frame is, how many `frames` it has, its `rate` (median frames per second, NaN without
    times) and its `overlaps` ([gap]: the share of the frame that frames `OVERLAP_GAPS` apart have in common). It is
    memory-mapped, so that memory does not grow with it. The numbers of a loaded clip's frames are those in the whole
    video.

    Args:
        root: a folder, or an address such as `s3://bucket/packed`; then shards are fetched as they are needed.
        cache: the folder for these, as in `ShardStore`.

    Raises:
        UserError: when the root is no complete packed folder.
    """

    def __init__(self, root: str | Path, cache: Path | None = None) -> None:
        self.store = ShardStore(root, cache)
        text = self.store.fetch("packed.json").read_text(encoding="utf-8")
        with unreadable_as(f"{str(root)!r} has a packed.json that is damaged: prepare the videos again."):
            about = json.loads(text)
            self.skipped = dict(about["quarantined"])
            gaps = about["overlap_gaps"]
        if gaps != list(OVERLAP_GAPS):
            raise UserError(f"{str(root)!r} was prepared by another version of video-ae: prepare the videos again.")
        self._table_path = self.store.fetch("segments.npy")
        self._map()

    def _map(self) -> None:
        with unreadable_as(f"{str(self._table_path)!r} is damaged: prepare the videos again."):
            self.table = np.load(self._table_path, mmap_mode="r")
        self.names = _Names(self.table["name"])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("table", "names")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._map()

    def frame_count(self, number: int) -> int:
        return int(self.table["frames"][number])

    def read(self, number: int, indices: Sequence[int]) -> ByteClip:
        """Frames of one segment as they are stored, with their numbers and times in the whole video.

        Args:
            number: of the segment.
            indices: of the frames in it.

        Raises:
            IndexError: when an index is outside the segment.
            UserError: when the shard is damaged.
        """
        row = self.table[number]
        items = [int(row["first"]) + index for index in check_indices(indices, int(row["frames"]))]
        stored = self.store.read(int(row["shard"]), items)
        with unreadable_as(f"{self.names[number]!r} has a damaged frame: prepare the videos again."):
            frames = decode_frames(stored)
        times = torch.tensor([frame.time for frame in stored], dtype=torch.float64)
        return ByteClip(frames, torch.tensor([frame.number for frame in stored]), times, self.names[number])

    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:
        clip = self.read(number, range(self.frame_count(number)) if indices is None else indices)
        resizing = plan_resizing((clip.frames.shape[-1], clip.frames.shape[-2]), size, fit)
        return VideoClip(resizing.frames(clip.frames), clip.indices, clip.times, name=clip.name)


class _Names(Sequence[str]):
    """Names that are read from the mapped table when they are asked for."""

    def __init__(self, column: np.ndarray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, number: Any) -> Any:  # a name, or the names of a slice
        if isinstance(number, slice):
            return _Names(self._column[number])
        return bytes(self._column[number]).decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)
