"""Which frames form a training clip: pure functions of (seed, position), without reading anything.

Any number of workers and machines that ask for position `p` get the same clip, in any order and after any restart.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from video_ae.errors import UserError


@dataclass(frozen=True)
class ClipChoice:
    """The frames of one clip.

    video: number of the video.
    indices: frame numbers in that video, evenly spaced; descending if the clip runs backwards.
    """

    video: int
    indices: list[int]


def clip_indices(
    seed: int,
    position: int,
    frame_counts: Sequence[int],
    length: int,
    gap: tuple[int, int] = (1, 1),
    reverse: bool = False,
) -> ClipChoice:
    """The frames of training clip number `position`.

    frame_counts: frames in each video. length: frames in the clip. gap: smallest and largest step between its frames,
    both included. Every window of `length` frames at the smallest gap is equally likely to name the video, so long
    videos come more often. The gap is then drawn evenly from those in the range that fit into the video, then the
    start. `reverse` turns half of the clips around in time. Python's `random.Random`, seeded by text, keeps its
    sequence over versions and platforms. Raises UserError where no video is long enough, or the length or the gap is
    below 1.

    >>> clip_indices(seed=0, position=7, frame_counts=[100, 40], length=3, gap=(2, 4))
    ClipChoice(video=0, indices=[72, 75, 78])
    """
    smallest, largest = gap
    if length < 1 or smallest < 1 or largest < smallest:
        raise UserError(
            f"Clips of {length} frames at gaps {smallest} to {largest} are not possible: "
            "give a length of at least 1 and gaps 1 <= smallest <= largest."
        )
    windows = [max(0, count - (length - 1) * smallest) for count in frame_counts]
    if not any(windows):
        raise UserError(
            f"No video is long enough for a clip of {length} frames, {smallest} apart, which needs "
            f"{(length - 1) * smallest + 1} frames; the longest has {max(frame_counts, default=0)}: "
            "give longer videos, fewer frames or a smaller gap."
        )
    draw = random.Random(f"clip {seed} {position}")
    video = draw.choices(range(len(windows)), cum_weights=list(accumulate(windows)))[0]
    fitting = (frame_counts[video] - 1) // (length - 1) if length > 1 else smallest
    step = draw.randint(smallest, min(largest, fitting))
    start = draw.randrange(frame_counts[video] - (length - 1) * step)
    indices = [start + number * step for number in range(length)]
    return ClipChoice(video, indices[::-1] if reverse and draw.random() < 0.5 else indices)
