"""Short clips for training, read from shards one by one."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch.utils.data import Dataset

from video_ae.datasets.byte_clips import ByteClip
from video_ae.datasets.clip_sampler import POSITIONS_PER_BLOCK, ClipSampler, OverlapCurriculum, gaps_in_frames
from video_ae.datasets.packed.packed_videos import PackedVideos
from video_ae.errors import UserError

ATTEMPTS = 10  # other clips that are tried where a shard is damaged
log = logging.getLogger(__name__)


class PackedClips(Dataset[ByteClip]):
    """Random clips of packed videos; clip `p` is a pure function of (seed, p), as in `TrainingClips`.

    Only the sampler is kept in memory. Where a clip cannot be read, another one is drawn for the same position. From
    object storage, the shards of the next block of positions are fetched while this one is read.

    `skipped` names the videos of which nothing was packed, with the reason.

    Args:
        source: the packed videos, with the overlaps that preparation measured.
        length: frames in a clip.
        gap: smallest and largest step between its frames, in frames.
        clips: their number.
        seed: of the draw.
        reverse: whether half of the clips run backwards in time.
        curriculum: as in `ClipSampler`.
        gap_seconds: the gap in seconds, for videos that have times.

    Raises:
        UserError: when no video is long enough, or a value is out of range.
    """

    def __init__(
        self,
        source: PackedVideos,
        length: int,
        gap: tuple[int, int] = (1, 1),
        clips: int = 1000,
        seed: int = 0,
        reverse: bool = False,
        curriculum: OverlapCurriculum | None = None,
        gap_seconds: tuple[float, float] | None = None,
    ) -> None:
        self._source, self._clips, self._seed = source, clips, seed
        self.skipped = source.skipped
        self._sampler_values = (length, gap, reverse, curriculum, gap_seconds)
        self._sampler = self._make_sampler()
        self._block = -1

    def _make_sampler(self) -> ClipSampler:
        length, gap, reverse, curriculum, seconds = self._sampler_values
        table = self._source.table
        gaps = gap if seconds is None else gaps_in_frames(seconds, table["rate"], gap)
        return ClipSampler(table["frames"], length, gaps, reverse, table["overlaps"], curriculum, table["shard"])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_sampler"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)  # the sampler looks into the mapped table, which is not sent along
        self._sampler = self._make_sampler()

    @property
    def names(self) -> Sequence[str]:
        """The names of the segments."""
        return self._source.names

    def __len__(self) -> int:
        return self._clips

    def __getitem__(self, position: int) -> ByteClip:
        if not 0 <= position < self._clips:
            raise IndexError(f"clip {position} was asked for, but the clips are 0 to {self._clips - 1}")
        self._fetch_ahead(position // POSITIONS_PER_BLOCK)
        failure: UserError | None = None
        for attempt in range(ATTEMPTS):
            choice = self._sampler.choose(self._seed + (attempt << 32), position)
            try:
                return replace(self._source.read(choice.video, choice.indices), position=position)
            except UserError as error:
                log.warning("left out a clip: %s", error)
                failure = error
        raise UserError(f"{ATTEMPTS} clips one after the other cannot be read; the last: {failure}")

    def _fetch_ahead(self, block: int) -> None:
        store = self._source.store
        if not store.remote or block == self._block:
            return
        self._block = block
        shards = self._sampler.shards_of_block(self._seed, block + 1)
        threading.Thread(target=_fetch, args=(self._source, shards), daemon=True).start()


def _fetch(source: PackedVideos, shards: list[int]) -> None:
    names = source.store.shard_names()
    for shard in dict.fromkeys(shards):
        try:
            source.store.fetch(names[shard])
        except UserError as error:
            log.warning("%s", error)  # reading the shard will report it again
            return
