"""Which frames form a training clip: pure functions of (seed, position), without reading anything.

Any number of workers and machines get the same clip for position `p`, in any order and after any restart.
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

    Args:
        video: number of the video.
        indices: frame numbers in that video, evenly spaced; descending if the clip runs backwards.
    """

    video: int
    indices: list[int]


@dataclass(frozen=True)
class OverlapCurriculum:
    """From easy to hard: how much of the first frame the last frame of a clip still has to show.

    Args:
        start: the share at position 0, from 0 to 1.
        end: the share from position `positions` on, from 0 to 1; linear in between.
        positions: at least 1.

    Raises:
        UserError: when a value is out of range.
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

        Args:
            position: in the training order.

        >>> [OverlapCurriculum(0.9, 0.5, 100).demanded(position) for position in (0, 50, 1000)]
        [0.9, 0.7, 0.5]
        """
        return self.start + (self.end - self.start) * min(1.0, position / self.positions)


class ClipSampler:
    """Draws the frames of clips from videos of known lengths.

    Every window of `length` frames at the smallest gap is equally likely to name the video, so long videos are drawn
    more often. The gap is then drawn evenly from those in the range that fit into the video, then the start. Gaps at
    which the clip's first and last frame overlap less than the curriculum demands are left out, but never the smallest.

    When there are more than `SHARDS_AT_A_TIME` shards, the clips of `POSITIONS_PER_BLOCK` positions come from that many
    of them, drawn for the block by their number of windows; so shards in object storage are fetched one after the
    other, and all windows stay equally likely over many blocks.

    Takes eight bytes a video (sixteen with gaps of its own); columns of a memory-mapped table are not copied. Python's
    `random.Random`, seeded by text, keeps its sequence over versions and platforms.

    Args:
        frame_counts: frames in each video.
        length: frames in a clip.
        gap: smallest and largest step between its frames, both included; one for all videos, or [video, 2] as
            `gaps_in_frames` makes it.
        reverse: whether half of the clips run backwards in time.
        overlaps: [video, gap] shares of the frame that frames `OVERLAP_GAPS` apart have in common.
        curriculum: the overlap that is demanded at each position; needs `overlaps`.
        shards: the number of the shard of each video, ascending; one shard by default.

    Raises:
        UserError: when no video is long enough, or the length or the gap is below 1.
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

    def choose(self, seed: int, position: int) -> ClipChoice:
        """The frames of a training clip.

        Args:
            seed: of the draw, together with the position.
            position: of the clip in the training order.

        >>> ClipSampler([100, 40], length=3, gap=(2, 4)).choose(seed=0, position=7)
        ClipChoice(video=0, indices=[72, 75, 78])
        """
        draw = random.Random(f"clip {seed} {position}")
        video = self._video(seed, position, draw)
        count = int(self._counts[video])
        smallest, largest = self._gaps[video if len(self._gaps) > 1 else 0].tolist()
        fitting = (count - 1) // (self._length - 1) if self._length > 1 else smallest
        if self._curriculum is not None and self._overlaps is not None:
            largest = widest_gap(self._overlaps[video], self._length, largest, self._curriculum.demanded(position))
        step = draw.randint(smallest, max(smallest, min(largest, fitting)))
        start = draw.randrange(count - (self._length - 1) * step)
        indices = [start + number * step for number in range(self._length)]
        return ClipChoice(video, indices[::-1] if self._reverse and draw.random() < 0.5 else indices)

    def shards_of_block(self, seed: int, block: int) -> list[int]:
        """The numbers of the shards that the positions of a block read from; empty where they read from all.

        Args:
            seed: of the draw, together with the block.
            block: position // `POSITIONS_PER_BLOCK`.
        """
        if self._shard_ends is None:
            return []
        draw = random.Random(f"shards {seed} {block}")
        return _weighted(self._shard_ends, [draw.random() for _ in range(SHARDS_AT_A_TIME)])

    def _video(self, seed: int, position: int, draw: random.Random) -> int:
        shards = self.shards_of_block(seed, position // POSITIONS_PER_BLOCK)
        if not shards or self._shard_ends is None:
            return _weighted(self._cumulated, [draw.random()])[0]
        shard = draw.choice(shards)
        low, high = self._shard_ends[shard - 1] if shard else 0, self._shard_ends[shard]
        return int(np.searchsorted(self._cumulated, draw.randrange(int(low), int(high)), "right"))


def widest_gap(overlaps: np.ndarray, length: int, largest: int, demanded: float) -> int:
    """The largest gap at which the first and last frame of a clip overlap enough; 0 if none does.

    Between the measured `OVERLAP_GAPS` the overlap is interpolated linearly; beyond the last it is unknown, hence 0.

    Args:
        overlaps: [gap] shares of the frame that frames `OVERLAP_GAPS` apart have in common.
        length: frames in a clip.
        largest: gap to consider.
        demanded: the smallest overlap allowed, from 0 to 1.

    >>> widest_gap(np.array([1.0, 0.9, 0.8, 0.6, 0.2, 0.0, 0.0]), length=5, largest=9, demanded=0.5)
    2
    """
    gaps = np.arange(1, largest + 1)
    overlap = np.interp((length - 1) * gaps, (0, *OVERLAP_GAPS), (1.0, *overlaps), right=0.0)
    enough = gaps[overlap >= demanded]
    return int(enough[-1]) if len(enough) else 0


def gaps_in_frames(seconds: tuple[float, float], rates: np.ndarray, otherwise: tuple[int, int]) -> np.ndarray:
    """Gaps in seconds as the nearest numbers of frames, at least 1: [video, (smallest, largest)].

    Args:
        seconds: smallest and largest gap.
        rates: frames per second of each video; NaN where it has no times.
        otherwise: smallest and largest gap, in frames, of videos without times.

    Raises:
        UserError: unless 0 <= smallest <= largest.

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


def _weighted(cumulated: np.ndarray, shares: list[float]) -> list[int]:
    """The indices where shares (0 .. 1) of the whole fall: what `random.choices` does with `cum_weights`."""
    found = np.searchsorted(cumulated, np.array(shares) * float(cumulated[-1]), "right")
    return found.clip(max=len(cumulated) - 1).tolist()
