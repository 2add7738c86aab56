"""Which frames of a scanned video are worth training on, and why the others are not."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from video_ae.preparation.scan import STILL, Scan

SHORTEST = 12  # frames of a segment
LONGEST = 1024
MOST_BYTES = 2**29  # of its JPEG files: a segment is in memory as a whole, and in one shard, which counts to 4 GB
STATIC_FRAMES = 12  # a rest of so many frames is left out, a shorter one is not
BLACK = 16.0  # mean brightness of 255
PLAIN = 3.0  # contrast of 255
REPEATED = 0.1  # of 255: a frame that changed less is its predecessor once more
REPEATED_BESIDE = 0.1  # of the largest change nearby: the same for a copy that the encoder has touched up a little


@dataclass(frozen=True)
class Dropped:
    """Frames that are left out.

    Args:
        first: number of the first one.
        last: number of the last one.
        reason: why, in a few words.
    """

    first: int
    last: int
    reason: str

    @property
    def frames(self) -> range:
        """Numbers of the frames."""
        return range(self.first, self.last + 1)


def cut_into_segments(scan: Scan) -> tuple[list[list[int]], list[Dropped]]:
    """Shots without their black, plain and static parts and without repeated frames.

    A segment is the numbers of its frames in the video, in order; repeated frames are missing, so there may be gaps.
    Of a static part its first frame stays (it ends the motion before). Segments have `SHORTEST` to `LONGEST` frames,
    and about `MOST_BYTES` at most; longer shots become several. Every frame of the scan is in exactly one segment or
    dropped part.

    Args:
        scan: of the video.
    """
    reasons = _reasons(scan)
    cuts = set(scan.cuts)
    shots: list[list[int]] = [[]]
    for number, reason in enumerate(reasons):
        if number in cuts or reason not in ("", "repeated"):
            shots.append([])
        if not reason:
            shots[-1].append(number)
    segments: list[list[int]] = []
    dropped: list[Dropped] = []
    for shot in shots:
        if len(shot) < SHORTEST:
            dropped += _runs(shot, f"a rest of fewer than {SHORTEST} frames")
            continue
        size = sum(scan.offsets[number + 1] - scan.offsets[number] for number in shot)
        parts = max(-(-len(shot) // LONGEST), -(-size // MOST_BYTES))
        edges = [round(part * len(shot) / parts) for part in range(parts + 1)]
        segments += [shot[a:b] for a, b in pairwise(edges)]
    for reason in ("black", "plain", "static", "repeated"):
        dropped += _runs([number for number, given in enumerate(reasons) if given == reason], reason)
    return segments, sorted(dropped, key=lambda part: part.first)


def _reasons(scan: Scan) -> list[str]:
    """Why a frame is left out, "" where it is not; of several reasons the first."""
    contrast, changes, first = np.array(scan.contrast), np.array(scan.changes), np.array(scan.still_since, int)
    padded = np.pad(np.where(np.isfinite(changes), changes, 0), 2)  # the first frame has no change
    largest_nearby = np.maximum.reduce([padded[shift : shift + len(scan)] for shift in range(5)])
    reasons = {
        "black": (np.array(scan.brightness) < BLACK) & (contrast < 2 * PLAIN),
        "plain": contrast < PLAIN,
        "static": (np.bincount(first)[first] >= STATIC_FRAMES) & (first != np.arange(len(scan))),
        # Its predecessor once more, by itself or beside the frames around it.
        "repeated": changes <= np.maximum(REPEATED, np.minimum(STILL, REPEATED_BESIDE * largest_nearby)),
    }
    return np.select(list(reasons.values()), list(reasons), "").tolist()


def _runs(numbers: list[int], reason: str) -> list[Dropped]:
    """Consecutive numbers become one part."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return [Dropped(int(run[0]), int(run[-1]), reason) for run in runs if len(run)]
