"""What `video-ae prepare` wrote, in a folder or in object storage, as a source of clips."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from video_ae.datasets.clip_sampler import OVERLAP_GAPS
from video_ae.datasets.packed.shard_store import ShardStore
from video_ae.datasets.packed.shards import decode_frames
from video_ae.errors import UserError
from video_ae.geometry.resize import Fit, plan_resizing
from video_ae.types import VideoClip


class PackedVideos:
    """Segments of videos, each as one video of small frames; any frame is reached at once, without decoding others.

    root: a folder, or an address such as `s3://bucket/packed` (then shards are fetched as they are needed, see
    `ShardStore`). The table of segments is mapped, not read: memory does not grow with it. Raises UserError where
    the root is no complete packed folder.
    """

    def __init__(self, root: str | Path, cache: Path | None = None) -> None:
        self.store = ShardStore(root, cache)
        text = self.store.fetch("packed.json").read_text(encoding="utf-8")
        try:
            about = json.loads(text)
            self._quarantined: dict[str, str] = about["quarantined"]
            gaps = about["overlap_gaps"]
        except (ValueError, KeyError) as error:
            raise UserError(f"{str(root)!r} has a packed.json that is damaged: prepare the videos again.") from error
        if gaps != list(OVERLAP_GAPS):
            raise UserError(f"{str(root)!r} was prepared by another version of video-ae: prepare the videos again.")
        self._table_path = self.store.fetch("segments.npy")
        self._table = self._map()

    def _map(self) -> np.ndarray:
        try:
            return np.load(self._table_path, mmap_mode="r")
        except (ValueError, EOFError) as error:
            raise UserError(f"{str(self._table_path)!r} is damaged: prepare the videos again.") from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_table"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._table = self._map()

    @property
    def names(self) -> Sequence[str]:
        return _Names(self._table["name"])

    @property
    def quarantined(self) -> dict[str, str]:
        return dict(self._quarantined)

    def __len__(self) -> int:
        return len(self._table)

    def frame_count(self, number: int) -> int:
        return int(self._table["frames"][number])

    @property
    def frame_counts(self) -> np.ndarray:
        """Frames of each segment; a view of the mapped table, as the next ones are."""
        return self._table["frames"]

    @property
    def overlaps(self) -> np.ndarray:
        """[segment, gap]: share of the picture that frames `OVERLAP_GAPS` apart have in common."""
        return self._table["overlaps"]

    @property
    def rates(self) -> np.ndarray:
        """Frames per second of each segment (the median), NaN where it has no times."""
        return self._table["rate"]

    @property
    def shards(self) -> np.ndarray:
        """The shard that holds each segment, ascending."""
        return self._table["shard"]

    def read(
        self, number: int, indices: Sequence[int]
    ) -> tuple[UInt8[Tensor, "frame 3 height width"], Int64[Tensor, "frame"], Float64[Tensor, "frame"]]:
        """(frames of one segment as they are stored, their numbers in the video, seconds from the video's start).

        Raises IndexError for a number outside the segment and UserError for a damaged shard.
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
        """As in `ClipSource`; `indices` of the clip are numbers in the whole video."""
        frames, numbers, times = self.read(number, range(self.frame_count(number)) if indices is None else indices)
        resizing = plan_resizing((frames.shape[-1], frames.shape[-2]), size, fit)
        return VideoClip(resizing.frames(frames), numbers, times, name=self.names[number])


class _Names(Sequence[str]):
    """Names that stay in the mapped table until they are asked for."""

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
