"""Short random clips for training, from packed videos or from videos that are kept in memory at the model's size."""

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from video_ae.datasets.base import ClipSource, Sendable
from video_ae.datasets.byte_clips import ByteClip
from video_ae.datasets.clip_sampler import POSITIONS_PER_BLOCK, ClipSampler, OverlapCurriculum, gaps_in_frames
from video_ae.datasets.packed_videos import PackedVideos
from video_ae.datasets.stored_cameras import cut
from video_ae.errors import UserError
from video_ae.geometry.resize import plan_resizing

CHUNK_FRAMES = 256  # frames that exist as float32 at one time while a video is read
ATTEMPTS = 10  # other clips that are tried where a shard is damaged
log = logging.getLogger(__name__)


class MemoryVideos:
    """Videos in memory: decoded once, in order, scaled until they cover `size`, cropped at their centre, as uint8.

    That takes width * height * 3 bytes a frame. When there are too many frames, every video is cut to the same largest
    number of frames, from its middle. `names` are those of the videos that are kept, `skipped` has the reasons of those
    that are damaged or too short, and `table` is that of `PackedVideos` without overlaps and shards.

    Args:
        source: the videos.
        size: (width, height) in pixels.
        length: frames in a clip; videos that are too short for one are skipped.
        gap: smallest and largest step between them, in frames.
        max_frames: of all videos together.

    Raises:
        UserError: when no video can be used, or a value is out of range.
    """

    def __init__(
        self,
        source: ClipSource,
        size: tuple[int, int],
        length: int,
        gap: tuple[int, int] = (1, 1),
        max_frames: int = 8_000,
    ) -> None:
        counts = [source.frame_count(number) for number in range(len(source))]
        share = fair_share(counts, max_frames)
        middles = [range(count)[max(0, count - share) // 2 :][:share] for count in counts]
        ClipSampler(list(map(len, middles)), length, gap)  # raises before anything is read if no video is long enough
        self.skipped = dict(source.skipped)
        self._videos: list[ByteClip] = []
        needed = (length - 1) * gap[0] + 1
        for number, (name, kept) in enumerate(zip(source.names, middles, strict=True)):
            if len(kept) < needed:
                self.skipped[name] = f"{len(kept)} frames are fewer than the {needed} of a clip."
                continue
            try:
                self._videos.append(_in_memory(source, number, kept, size))
            except UserError as error:
                self.skipped[name] = str(error)
                log.warning("left out %s: %s", name, error)
        if not self._videos:
            name, reason = list(self.skipped.items())[-1]
            raise UserError(f"None of {len(counts)} videos can be used; {name}: {reason}")
        self.names = [video.name for video in self._videos]
        frames = [len(video.frames) for video in self._videos]
        rates = [float(1 / video.times.diff().median()) if len(video.times) > 1 else np.nan for video in self._videos]
        self.table: dict[str, Any] = {"frames": frames, "rate": np.array(rates), "overlaps": None, "shard": None}
        if sum(counts) > sum(frames):
            log.info("%d of %d frames are kept in memory", sum(frames), sum(counts))

    def read(self, number: int, indices: Sequence[int]) -> ByteClip:
        """Some frames of one video.

        Args:
            number: of the video.
            indices: of the kept frames.
        """
        return self._videos[number].select(indices)


def _in_memory(source: ClipSource, number: int, indices: Sequence[int], size: tuple[int, int]) -> ByteClip:
    frames = torch.empty(len(indices), 3, size[1], size[0], dtype=torch.uint8)
    times = torch.empty(len(indices), dtype=torch.float64)
    for start in range(0, len(indices), CHUNK_FRAMES):
        part = slice(start, start + CHUNK_FRAMES)
        clip = source.load(number, indices[part], size, "crop")
        frames[part], times[part] = (clip.frames * 255).round().to(torch.uint8), clip.times
    estimate = source.stored_cameras(number)
    if estimate is not None:
        resizing = plan_resizing(source.open(number).image_size, size, "crop")
        estimate = cut(estimate.select(list(indices)), resizing)
    return ByteClip(frames, torch.tensor(indices), times, source.names[number], estimate=estimate)


class RandomClips(Sendable, Dataset[ByteClip]):
    """Random clips; clip `p` is a pure function of (seed, p), whatever the order or the number of workers.

    Where a clip cannot be read, another one is drawn for the same position. From object storage, the shards of the next
    block of positions are fetched while this one is read. Clips have no cameras: training never sees them.

    Args:
        videos: where the frames are; several sets of clips may share them.
        length: frames in a clip.
        gap: smallest and largest step between its frames, in frames.
        clips: their number.
        seed: of the draw.
        reverse: whether half of the clips run backwards in time.
        curriculum: as in `ClipSampler`, for packed videos.
        gap_seconds: the gap in seconds, for videos that have times.

    Raises:
        UserError: when no video is long enough, or a value is out of range.
    """

    def __init__(
        self,
        videos: PackedVideos | MemoryVideos,
        length: int,
        gap: tuple[int, int] = (1, 1),
        clips: int = 1000,
        seed: int = 0,
        reverse: bool = False,
        curriculum: OverlapCurriculum | None = None,
        gap_seconds: tuple[float, float] | None = None,
    ) -> None:
        self.videos, self._clips, self._seed, self._block = videos, clips, seed, -1
        self._sampling = (length, gap, reverse, curriculum, gap_seconds)
        _ = self._sampler  # raises where no clip is possible

    @cached_property
    def _sampler(self) -> ClipSampler:
        length, gap, reverse, curriculum, seconds = self._sampling
        table = self.videos.table
        gaps = gap if seconds is None else gaps_in_frames(seconds, table["rate"], gap)
        return ClipSampler(table["frames"], length, gaps, reverse, table["overlaps"], curriculum, table["shard"])

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
                return replace(self.videos.read(choice.video, choice.indices), position=position)
            except UserError as error:
                log.warning("left out a clip: %s", error)
                failure = error
        raise UserError(f"{ATTEMPTS} clips one after the other cannot be read; the last: {failure}")

    def _fetch_ahead(self, block: int) -> None:
        if block == self._block or not (isinstance(self.videos, PackedVideos) and self.videos.store.remote):
            return
        self._block = block
        shards = self._sampler.shards_of_block(self._seed, block + 1)
        threading.Thread(target=self.videos.store.fetch_shards, args=(shards,), daemon=True).start()


class MixedClips(Dataset[ByteClip]):
    """Clip `p` is clip `p` of one of the sources, drawn by (seed, p) and the weights.

    Args:
        sources: name -> (clips, weight); clip `p` of each is a pure function of its seed and `p`.
        seed: of the draw.

    Raises:
        UserError: when a weight is not above zero.
    """

    def __init__(self, sources: Mapping[str, tuple[Dataset[ByteClip], float]], seed: int) -> None:
        for name, (_, weight) in sources.items():
            if not weight > 0:
                raise UserError(f"{name!r} has the weight {weight} in the mixture: give a number above zero.")
        self._sources = [clips for clips, _ in sources.values()]
        self._cumulated = list(accumulate(weight for _, weight in sources.values()))
        self._seed = seed

    def __getitem__(self, position: int) -> ByteClip:
        draw = random.Random(f"mixture {self._seed} {position}")
        (clips,) = draw.choices(self._sources, cum_weights=self._cumulated)
        return clips[position]


def fair_share(counts: Sequence[int], total: int) -> int:
    """The largest number of frames to which every video may be cut so that all together have at most `total`.

    Args:
        counts: frames in each video.
        total: of frames.

    >>> fair_share([10, 100, 100], 90)
    40
    """
    left, videos = total, len(counts)
    for count in sorted(counts):
        if count * videos > left:
            return left // videos
        left, videos = left - count, videos - 1
    return max(counts, default=0)
