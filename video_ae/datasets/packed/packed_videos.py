"""What `video-ae prepare` wrote, in a folder or in object storage, as a source of clips."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.datasets.clip_sampler import OVERLAP_GAPS
from video_ae.datasets.packed.shard_store import ShardStore
from video_ae.datasets.packed.shards import decode_frames
from video_ae.errors import UserError
from video_ae.geometry.resize import Fit, plan_resizing
from video_ae.types import VideoClip


class PackedVideos(ClipSource):
    """Segments of videos, each as one video of small frames; any frame is read at once, without decoding others.

    The table of segments is memory-mapped, so that memory does not grow with it. The numbers of a loaded clip's frames
    are those in the whole video.

    Args:
        root: a folder, or an address such as `s3://bucket/packed`; then shards are fetched as they are needed.
        cache: the folder for these, as in `ShardStore`.

    Raises:
        UserError: when the root is no complete packed folder.
    """

    def __init__(self, root: str | Path, cache: Path | None = None) -> None:
        self.store = ShardStore(root, cache)
        text = self.store.fetch("packed.json").read_text(encoding="utf-8")
        try:
            about = json.loads(text)
            self.skipped = dict(about["quarantined"])
            gaps = about["overlap_gaps"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{str(root)!r} has a packed.json that is damaged: prepare the videos again.") from error
        if gaps != list(OVERLAP_GAPS):
            raise UserError(f"{str(root)!r} was prepared by another version of video-ae: prepare the videos again.")
        self._table_path = self.store.fetch("segments.npy")
        self._map()

    def _map(self) -> None:
        try:
            self._table = np.load(self._table_path, mmap_mode="r")
        except (ValueError, EOFError) as error:
            raise UserError(f"{str(self._table_path)!r} is damaged: prepare the videos again.") from error
        self.names = _Names(self._table["name"])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_table", "names")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._map()

    def frame_count(self, number: int) -> int:
        return int(self._table["frames"][number])

    @property
    def frame_counts(self) -> np.ndarray:
        """Frames of each segment; a view of the mapped table, as the next ones are."""
        return self._table["frames"]

    @property
    def overlaps(self) -> np.ndarray:
        """[segment, gap]: share of the frame that frames `OVERLAP_GAPS` apart have in common."""
        return self._table["overlaps"]

    @property
    def rates(self) -> np.ndarray:
        """Frames per second of each segment (the median), NaN where it has no times."""
        return self._table["rate"]

    @property
    def shards(self) -> np.ndarray:
        """The number of each segment's shard, ascending."""
        return self._table["shard"]

    def read(
        self, number: int, indices: Sequence[int]
    ) -> tuple[UInt8[Tensor, "frame 3 height width"], Int64[Tensor, "frame"], Float64[Tensor, "frame"]]:
        """Frames of one segment as they are stored, their numbers in the video, and seconds from the video's start.

        Args:
            number: of the segment.
            indices: of the frames in it.

        Raises:
            IndexError: when an index is outside the segment.
            UserError: when the shard is damaged.
        """
        row = self._table[number]
        count, first = int(row["frames"]), int(row["first"])
        for index in indices:
            if not 0 <= index < count:
                raise IndexError(f"frame {index} was asked for, but the frames are 0 to {count - 1}")
        stored = self.store.read(int(row["shard"]), [first + index for index in indices])
        try:
            frames = decode_frames(stored)
        except OSError as error:
            raise UserError(f"{self.names[number]!r} has a damaged frame: prepare the videos again.") from error
        numbers = torch.tensor([frame.number for frame in stored])
        return frames, numbers, torch.tensor([frame.time for frame in stored], dtype=torch.float64)

    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:
        frames, numbers, times = self.read(number, range(self.frame_count(number)) if indices is None else indices)
        resizing = plan_resizing((frames.shape[-1], frames.shape[-2]), size, fit)
        return VideoClip(resizing.frames(frames), numbers, times, name=self.names[number])


class _Names(Sequence[str]):
    """Names that are read from the mapped table when they are asked for."""

    def __init__(self, column: np.ndarray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[str]: ...
    def __getitem__(self, number: int | slice) -> str | Sequence[str]:
        if isinstance(number, slice):
            return _Names(self._column[number])
        return bytes(self._column[number]).decode()

    def __iter__(self) -> Iterator[str]:
        return (bytes(name).decode() for name in self._column)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)
