"""What every command does first with a user's video: look at what was asked for, open, read."""

from pathlib import Path

from video_ae.errors import UserError
from video_ae.scene.rendering import even_size
from video_ae.types import VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.load import load_clip
from video_ae.videos.open import open_video

SHORTER_SIDE = 192  # of the frames that the model gets


def check_numbers(stride: int, frames: int | None, focal: float | None, refine: int) -> None:
    """UserError for a number that makes no sense, before anything is read."""
    if stride < 1:
        raise UserError(f"The stride {stride} is not possible: give 1 or more.")
    if frames is not None and frames < 2:
        raise UserError(f"{frames} frames are too few to find a motion: give 2 or more.")
    if focal is not None and not 0.1 <= focal <= 20:
        raise UserError(f"The focal length {focal} is not possible: give fx / width, such as 0.9 (from 0.1 to 20).")
    if refine < 0:
        raise UserError(f"{refine} refinement steps are not possible: give 0 or more.")


def open_source(source: str | Path, stride: int, frames: int | None, decoder: str = "auto") -> VideoReader:
    """A video or folder of pictures of which at least two frames are left. Raises UserError where it is not so."""
    reader = open_video(source, decoder)
    if len(range(0, len(reader), stride)[:frames]) < 2:
        raise UserError(
            f"{str(source)!r} leaves one frame ({len(reader)} in all, stride {stride}), and at least two are "
            "needed: give a longer video or a smaller stride."
        )
    return reader


def read_source(reader: VideoReader, stride: int, frames: int | None) -> VideoClip:
    """The frames asked for, in the size that the model gets, without batch axis."""
    return load_clip(reader, stride, frames, even_size(reader.image_size, SHORTER_SIDE))
