"""Short clips for training, from videos that are kept in memory at the model's size."""

import copy
import logging
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from video_ae.datasets.base import ClipSource
from video_ae.datasets.byte_clips import ByteClip
from video_ae.datasets.clip_sampler import ClipSampler, gaps_in_frames
from video_ae.errors import UserError

CHUNK_FRAMES = 256  # frames that exist as float32 at one time while a video is read
log = logging.getLogger(__name__)


class TrainingClips(Dataset[ByteClip]):
    """Random clips; clip `p` is a pure function of (seed, p), whatever the order or the number of workers.

    Every video is decoded once, in order, scaled until it covers `size`, cropped at its centre and kept as uint8:
    width * height * 3 bytes a frame. When there are too many frames, every video is cut to the same largest number of
    frames, from its middle; `frame_counts` says what is kept. Damaged videos, and those too short for a clip, are
    listed in `skipped`. Clips have no cameras: training never sees them.

    Args:
        source: the videos.
        size: (width, height) in pixels.
        length: frames in a clip.
        gap: smallest and largest step between them, in frames.
        clips: their number.
        seed: of the draw.
        reverse: whether half of the clips run backwards in time.
        max_frames_in_memory: of all videos together.
        gap_seconds: the gap in seconds, for videos that have times.

    Raises:
        UserError: when no video can be used, or a value is out of range.
    """

    def __init__(
        self,
        source: ClipSource,
        size: tuple[int, int],
        length: int,
        gap: tuple[int, int] = (1, 1),
        clips: int = 1000,
        seed: int = 0,
        reverse: bool = False,
        max_frames_in_memory: int = 8_000,
        gap_seconds: tuple[float, float] | None = None,
    ) -> None:
        self._gap_seconds = gap_seconds
        self._length, self._gap, self._clips, self._seed = length, gap, clips, seed
        self.skipped = dict(source.skipped)
        self.names: list[str] = []
        self._videos: list[UInt8[Tensor, "frame 3 height width"]] = []
        self._numbers: list[Tensor] = []
        self._times: list[Tensor] = []
        counts = [source.frame_count(number) for number in range(len(source))]
        share = fair_share(counts, max_frames_in_memory)
        # Raises before anything is read, where no video is long enough.
        ClipSampler([min(count, share) for count in counts], length, gap)
        for number, count in enumerate(counts):
            kept = min(count, share)
            first = (count - kept) // 2
            self._add(source, number, range(first, first + kept), size)
        if not self._videos:
            name, reason = list(self.skipped.items())[-1]
            raise UserError(f"None of {len(counts)} videos can be used; {name}: {reason}")
        self._sampler = self._make_sampler(reverse)
        if sum(counts) > sum(self.frame_counts):
            log.info("%d of %d frames are kept in memory", sum(self.frame_counts), sum(counts))

    def another(self, clips: int, seed: int, reverse: bool) -> "TrainingClips":
        """Other clips of the same frames, which are in memory only once.

        Args:
            clips: their number.
            seed: of the draw.
            reverse: whether half of the clips run backwards in time.
        """
        other = copy.copy(self)
        other._clips, other._seed = clips, seed
        other._sampler = other._make_sampler(reverse)
        return other

    def _make_sampler(self, reverse: bool) -> ClipSampler:
        if self._gap_seconds is None:
            return ClipSampler(self.frame_counts, self._length, self._gap, reverse)
        rates = np.array([float(1 / times.diff().median()) if len(times) > 1 else np.nan for times in self._times])
        gaps = gaps_in_frames(self._gap_seconds, rates, self._gap)
        return ClipSampler(self.frame_counts, self._length, gaps, reverse)

    def _add(self, source: ClipSource, number: int, indices: Sequence[int], size: tuple[int, int]) -> None:
        name = source.names[number]
        needed = (self._length - 1) * self._gap[0] + 1
        if len(indices) < needed:
            self.skipped[name] = f"{len(indices)} frames are fewer than the {needed} of a clip."
            return
        video = torch.empty(len(indices), 3, size[1], size[0], dtype=torch.uint8)
        times = torch.empty(len(indices), dtype=torch.float64)
        try:
            for start in range(0, len(indices), CHUNK_FRAMES):
                part = slice(start, start + CHUNK_FRAMES)
                clip = source.load(number, indices[part], size, "crop")
                video[part], times[part] = (clip.frames * 255).round().to(torch.uint8), clip.times
        except UserError as error:
            self.skipped[name] = str(error)
            log.warning("left out %s: %s", name, error)
            return
        self.names.append(name)
        self._videos.append(video)
        self._numbers.append(torch.tensor(indices))
        self._times.append(times)

    @property
    def frame_counts(self) -> list[int]:
        """Frames in memory of each video."""
        return [len(video) for video in self._videos]

    def __len__(self) -> int:
        return self._clips

    def __getitem__(self, position: int) -> ByteClip:
        if not 0 <= position < self._clips:
            raise IndexError(f"clip {position} was asked for, but the clips are 0 to {self._clips - 1}")
        choice = self._sampler.choose(self._seed, position)
        return ByteClip(
            self._videos[choice.video][choice.indices],
            self._numbers[choice.video][choice.indices],
            self._times[choice.video][choice.indices],
            self.names[choice.video],
            position,
        )


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
