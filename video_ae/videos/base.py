"""The contract of video readers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor


class VideoReader(ABC):
    """A video whose frames are read by number, counted from 0 in presentation order.

    All readers agree on what frame `i` is: the i-th frame that decoding the file from its start puts out, turned
    upright where the file carries a rotation flag. Readers keep the file open and belong to one thread.

    Args:
        name: file or folder name without suffix, for messages.
        image_size: (width, height) in pixels, after the rotation flag.
        times: seconds from the first frame at which each frame is shown; NaN where the source has no times.
        start: the clock's time of the first frame in seconds, where its name or a list of time stamps says it, else 0.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self, name: str, image_size: tuple[int, int], times: Float64[Tensor, "frame"], start: float = 0.0
    ) -> None:
        self.name = name
        self.image_size = image_size
        self.times = times
        self.start = start

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.times)

    def read(self, indices: Sequence[int]) -> UInt8[Tensor, "frame 3 height width"]:
        """RGB frames in 0 .. 255, in the given order, laid out in memory as decoders deliver them (channels last).

        Args:
            indices: frame numbers in any order; repetitions are allowed.

        Raises:
            IndexError: for a number outside 0 .. len - 1.
            UserError: the file turns out to be damaged.
        """
        numbers = check_indices(indices, len(self))
        return self.decode(numbers) if numbers else torch.empty(0, 3, *self.image_size[::-1], dtype=torch.uint8)

    def shrunk(self, size: tuple[int, int]) -> "VideoReader":
        """The same frames at a smaller size, where scaling them costs less while they are decoded; else this reader.

        Args:
            size: (width, height) in pixels.
        """
        return self

    @abstractmethod
    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        """What `read` returns, for one frame at least.

        Args:
            numbers: frame numbers in any order, all of which exist.

        Raises:
            UserError: the file turns out to be damaged.
        """


class ChosenFrames(VideoReader):
    """Some frames of a video, read as a video of their own.

    Args:
        reader: the video.
        numbers: of the frames, in the wanted order; at least one.
    """

    def __init__(self, reader: VideoReader, numbers: Sequence[int]) -> None:
        self._reader, self._numbers = reader, list(numbers)
        times = reader.times[self._numbers]
        super().__init__(reader.name, reader.image_size, times - times[0])
        self.notes = reader.notes

    def shrunk(self, size: tuple[int, int]) -> "ChosenFrames":
        return ChosenFrames(self._reader.shrunk(size), self._numbers)

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        return self._reader.read([self._numbers[number] for number in numbers])


def check_indices(indices: Sequence[int], count: int) -> list[int]:
    """The indices as plain integers.

    Args:
        indices: frame numbers.
        count: number of frames.

    Raises:
        IndexError: for a number outside 0 .. count - 1.
    """
    numbers = [int(index) for index in indices]
    for number in numbers:
        if not 0 <= number < count:
            raise IndexError(f"frame {number} was asked for, but the frames are 0 to {count - 1}")
    return numbers
