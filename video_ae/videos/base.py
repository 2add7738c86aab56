"""What every reader of frames offers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float64, UInt8
from torch import Tensor

from video_ae.errors import UserError


@runtime_checkable
class VideoReader(Protocol):
    """A video whose frames are reached by their number, counted from 0 in the order in which they are shown.

    All readers agree on what frame `i` is: the i-th picture that decoding the file from its start puts out, turned
    upright where the file carries a rotation flag. Readers hold the file open and belong to one thread.
    """

    @property
    def name(self) -> str:
        """File or folder name without suffix, for people."""

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) in pixels, after the rotation flag."""

    @property
    def times(self) -> Float64[Tensor, "frame"]:
        """Seconds from the first frame at which each frame is shown; NaN where the source has no times."""

    def __len__(self) -> int:
        """Number of frames."""

    def read(self, indices: Sequence[int]) -> UInt8[Tensor, "frame 3 height width"]:
        """RGB frames in 0 .. 255, in the order asked for; any order, repetitions allowed.

        Memory is laid out as decoders deliver it (channels last).
        Raises IndexError for a number outside 0 .. len - 1 and UserError where the file turns out to be damaged.
        """


def check_indices(indices: Sequence[int], count: int) -> list[int]:
    """The indices as plain integers; IndexError if one lies outside 0 .. count - 1."""
    numbers = [int(index) for index in indices]
    for number in numbers:
        if not 0 <= number < count:
            raise IndexError(f"frame {number} was asked for, but the frames are 0 to {count - 1}")
    return numbers


def existing_file(path: Path) -> None:
    """UserError unless the path is a file with something in it."""
    if not path.is_file():
        raise UserError(f"{str(path)!r} does not exist: give a video file or a folder of images.")
    if path.stat().st_size == 0:
        raise UserError(f"{str(path)!r} is empty (zero bytes): give a video file.")
