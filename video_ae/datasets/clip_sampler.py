"""Which frames form a training clip: pure functions of (seed, position), without reading anything.

Any number of workers and machines that ask for position `p` get the same clip, in any order and after any restart.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from video_ae.errors import UserError

OVERLAP_GAPS = (1, 2, 4, 8, 16, 32, 64)  # frames, at which preparation measures how much two frames share
SHARDS_AT_A_TIME = 16
POSITIONS_PER_BLOCK = 4096  # which share their shards


@dataclass(frozen=True)
class ClipChoice:
    """The frames of one clip.

    video: number of the video.
    indices: frame numbers in that video, evenly spaced; descending if the clip runs backwards.
    """

    video: int
    indices: list[int]


@dataclass(frozen=True)
class OverlapCurriculum:
    """From easy to hard: how much of the first frame's picture the last frame of a clip still has to show.

    start: at position 0. end: from position `positions` on; in between along a line. Both in 0 .. 1.
    Raises UserError for other values.
    """

    start: float
    end: float
    positions: int

    def __post_init__(self) -> None:
        if not (0 <= self.start <= 1 and 0 <= self.end <= 1 and self.positions >= 1):
            raise UserError(
                f"An overlap from {self.start} to {self.end} over {self.positions} clips is not possible: "
                "give shares from 0 to 1 and at least one clip."
            )

    def demanded(self, position: int) -> float:
        """The smallest overlap allowed at a position.

        >>> [OverlapCurriculum(0.9, 0.5, 100).demanded(position) for position in (0, 50, 1000)]
        [0.9, 0.7, 0.5]
        """
        return self.start + (self.end - self.start) * min(1.0, position / self.positions)


class ClipSampler:
    """Draws the frames of clips from videos of known lengths.

    frame_counts: frames in each video. length: frames in a clip. gap: smallest and largest step between its frames,
    both included; one for all videos, or [video, 2] as `gaps_in_frames` makes it. Every window of `length` frames at
    the smallest gap is equally likely to name the video, so long videos come more often. The gap is then drawn evenly
    from those in the range that fit into the video, then the start. `reverse` turns half of the clips around in time.

    overlaps, curriculum: [video, gap] shares of the picture that frames `OVERLAP_GAPS` apart have in common; gaps at
    which the clip's first and last frame share less than the curriculum demands are left out, but never the smallest.
    shards: the file that holds each video, ascending. When there are more than `SHARDS_AT_A_TIME`, the clips of
    `POSITIONS_PER_BLOCK` positions come from that many files, drawn for the block by their number of windows; so files
    that lie far away are fetched one after the other, and all windows stay equally likely over many blocks.

    Holds eight bytes a video (sixteen with gaps of its own); columns of a memory-mapped table are not copied. Python's
    `random.Random`, seeded by text, keeps its sequence over versions and platforms. Raises UserError where no video is
    long enough, or the length or the gap is below 1.
    """

    def __init__(
        self,
        frame_counts: Sequence[int] | np.ndarray,
        length: int,
        gap: tuple[int, int] | np.ndarray = (1, 1),
        reverse: bool = False,
        overlaps: np.ndarray | None = None,
        curriculum: OverlapCurriculum | None = None,
        shards: np.ndarray | None = None,
    ) -> None:
        self._counts, self._length, self._gaps, self._reverse = frame_counts, length, np.atleast_2d(gap), reverse
        self._overlaps, self._curriculum = overlaps, curriculum
        smallest, largest = self._gaps.T.astype(np.int64)
        if length < 1 or (smallest < 1).any() or (largest < smallest).any():
            raise UserError(
                f"Clips of {length} frames at gaps {smallest[0]} to {largest[0]} are not possible: "
                "give a length of at least 1 and gaps 1 <= smallest <= largest."
            )
        counts = np.asarray(frame_counts, np.int64)
        self._cumulated = np.cumsum(np.maximum(0, counts - (length - 1) * smallest))
        if not len(counts) or not self._cumulated[-1]:
            raise UserError(
                f"No video is long enough for a clip of {length} frames, {smallest.min()} apart, which needs "
                f"{(length - 1) * smallest.min() + 1} frames; the longest has {counts.max(initial=0)}: "
                "give longer videos, fewer frames or a smaller gap."
            )
        last_of_shard = np.flatnonzero(np.diff(shards, append=-1)) if shards is not None else np.zeros(1, np.int64)
        self._shard_ends = self._cumulated[last_of_shard] if len(last_of_shard) > SHARDS_AT_A_TIME else None
        self._latest: tuple[int, int, list[int]] = (0, -1, [])  # seed, block and its places, which most calls share

    def choose(self, seed: int, position: int) -> ClipChoice:
        """The frames of training clip number `position`."""
        draw = random.Random(f"clip {seed} {position}")
        video = self._video(seed, position, draw)
        count = int(self._counts[video])
        smallest, largest = self._gaps[video if len(self._gaps) > 1 else 0].tolist()
        fitting = (count - 1) // (self._length - 1) if self._length > 1 else smallest
        step = draw.randint(smallest, max(smallest, min(largest, fitting, self._widest(video, largest, position))))
        start = draw.randrange(count - (self._length - 1) * step)
        indices = [start + number * step for number in range(self._length)]
        return ClipChoice(video, indices[::-1] if self._reverse and draw.random() < 0.5 else indices)

    def places_in_block(self, seed: int, block: int) -> list[int]:
        """Which shards (by place, from 0) the positions of a block read from; empty where all of them do."""
        if self._shard_ends is None:
            return []
        if self._latest[:2] != (seed, block):
            draw = random.Random(f"shards {seed} {block}")
            places = [_weighted(self._shard_ends, draw.random()) for _ in range(SHARDS_AT_A_TIME)]
            self._latest = (seed, block, places)
        return self._latest[2]

    def _video(self, seed: int, position: int, draw: random.Random) -> int:
        places = self.places_in_block(seed, position // POSITIONS_PER_BLOCK)
        if not places or self._shard_ends is None:
            return _weighted(self._cumulated, draw.random())
        place = draw.choice(places)
        low, high = self._shard_ends[place - 1] if place else 0, self._shard_ends[place]
        return int(np.searchsorted(self._cumulated, draw.randrange(int(low), int(high)), "right"))

    def _widest(self, video: int, largest: int, position: int) -> int:
        if self._curriculum is None or self._overlaps is None:
            return largest
        return widest_gap(self._overlaps[video], self._length, largest, self._curriculum.demanded(position))


def widest_gap(overlaps: np.ndarray, length: int, largest: int, demanded: float) -> int:
    """The largest gap, at most `largest`, at which the ends of a clip share at least `demanded`; 0 if none does.

    Between the measured `OVERLAP_GAPS` the overlap is read along lines; beyond the last one it is unknown, hence 0.

    >>> widest_gap(np.array([1.0, 0.9, 0.8, 0.6, 0.2, 0.0, 0.0]), length=5, largest=9, demanded=0.5)
    2
    """
    gaps = np.arange(1, largest + 1)
    shared = np.interp((length - 1) * gaps, (0, *OVERLAP_GAPS), (1.0, *overlaps), right=0.0)
    enough = gaps[shared >= demanded]
    return int(enough[-1]) if len(enough) else 0


def gaps_in_frames(seconds: tuple[float, float], rates: np.ndarray, otherwise: tuple[int, int]) -> np.ndarray:
    """Gaps in seconds as the nearest numbers of frames, at least 1: [video, (smallest, largest)].

    rates: frames per second of each video; NaN where a video has no times, then it takes `otherwise`. Raises UserError
    unless 0 <= smallest <= largest.

    >>> gaps_in_frames((0.1, 0.5), np.array([30.0, 10.0, np.nan]), otherwise=(1, 2)).tolist()
    [[3, 15], [1, 5], [1, 2]]
    """
    if not 0 <= seconds[0] <= seconds[1]:
        raise UserError(
            f"Gaps of {seconds[0]} to {seconds[1]} seconds are not possible: give 0 <= smallest <= largest."
        )
    rates = np.asarray(rates, np.float64)[:, None]
    frames = np.where(np.isfinite(rates), np.round(rates * np.array(seconds)), otherwise)
    return np.maximum(1, frames).astype(np.int32)


def clip_indices(
    seed: int,
    position: int,
    frame_counts: Sequence[int],
    length: int,
    gap: tuple[int, int] = (1, 1),
    reverse: bool = False,
) -> ClipChoice:
    """One clip of a `ClipSampler`.

    >>> clip_indices(seed=0, position=7, frame_counts=[100, 40], length=3, gap=(2, 4))
    ClipChoice(video=0, indices=[72, 75, 78])
    """
    return ClipSampler(frame_counts, length, gap, reverse).choose(seed, position)


def _weighted(cumulated: np.ndarray, share: float) -> int:
    """The place where a share (0 .. 1) of the whole falls: what `random.choices` does with `cum_weights`."""
    return min(int(np.searchsorted(cumulated, share * float(cumulated[-1]), "right")), len(cumulated) - 1)
