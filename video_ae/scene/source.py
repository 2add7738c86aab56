"""The video that a reconstruction is made from: a file, a folder of images, or frames in memory."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from PIL import Image
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.resize import even_size
from video_ae.scene.rendering import to_bytes
from video_ae.types import VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.image_kinds import choose_images
from video_ae.videos.load import load_clip
from video_ae.videos.open import open_video

log = logging.getLogger(__name__)
SHORTER_SIDE = 192  # of the frames that the model gets, in pixels
LARGEST_SIDE = 1080  # shorter side of results, in pixels, where nobody asked for another
DEFAULT_RATE = 10.0  # frames a second where the source has no times
FOCAL_RANGE = (0.1, 20.0)  # fx / width
FORMS = (
    "a path of a video or of a folder of images, a tensor [frame, 3, height, width], an array [frame, height, width, "
    "3], a list of images, or a VideoClip"
)

Video = str | Path | VideoReader | VideoClip | Tensor | np.ndarray | Sequence[Any]
"""What `open_source` takes."""

FrameReader = Callable[[int], UInt8[Tensor, "3 height width"]]
"""Reads a frame of a clip by its position, RGB in 0 .. 255."""


@dataclass(frozen=True)
class Source:
    """Where the frames of a reconstruction come from.

    Args:
        name: for people.
        image_size: (width, height) in pixels.
        open: opens the video again; raises UserError where it is gone.
        path: None where the frames were given in memory.
        settings: what the reconstruction was asked for, as `summary.json` holds it.
        start: the clock's time of the first frame in seconds (`VideoReader`).
    """

    name: str
    image_size: tuple[int, int]
    open: Callable[[], VideoReader]
    path: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: float = 0.0


class FramesInMemory(VideoReader):
    """Frames in memory, read as a video.

    Args:
        frames: RGB in 0 .. 255.
        name: for people.
        times: seconds; by default the frames have none (NaN).
    """

    def __init__(
        self,
        frames: UInt8[Tensor, "frame 3 height width"],
        name: str = "frames",
        times: Float[Tensor, "frame"] | None = None,
    ) -> None:
        unknown = torch.full((len(frames),), torch.nan, dtype=torch.float64)
        size = frames.shape[-1], frames.shape[-2]
        super().__init__(name or "frames", size, unknown if times is None else times.double().cpu())
        self._frames = frames.cpu()

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        return self._frames[numbers]


def open_source(video: Video, stride: int = 1, frames: int | None = None, decoder: str = "auto") -> VideoReader:
    """A reader of a video of which at least two frames are left.

    Args:
        video: a path of a video file or of a folder of images; a tensor [frame, 3, height, width] or an array [frame,
            height, width, 3] (bytes, or floats in [0, 1], which are rounded to bytes as files hold them); a list of
            images (PIL's, or arrays [height, width, 3]); a clip without batch axis; or an open reader.
        stride: every `stride`-th frame will be taken.
        frames: and of those the first so many; None takes all.
        decoder: of video files, as in `open_video`.

    Raises:
        UserError: it is none of these, cannot be read, or leaves fewer than two frames.
    """
    if isinstance(video, VideoReader):
        reader = video
    else:
        reader = open_video(video, decoder) if isinstance(video, str | Path) else _in_memory(video)
        if isinstance(video, str | Path) and Path(video).is_dir():
            for reason in choose_images(Path(video).iterdir())[1]:
                log.warning("%s: %s", video, reason)
    if len(range(0, len(reader), stride)[:frames]) < 2:
        name = str(video) if isinstance(video, str | Path) else reader.name
        raise UserError(
            f"{name!r} leaves one frame ({len(reader)} in all, stride {stride}), and at least two are "
            "needed: give a longer video or a smaller stride."
        )
    return reader


def read_source(reader: VideoReader, stride: int, frames: int | None) -> VideoClip:
    """The frames that were asked for, as bytes at the size that the model gets.

    Args:
        reader: the opened video.
        stride: every `stride`-th frame is taken.
        frames: and of those the first so many; None takes all.
    """
    return load_clip(reader, stride, frames, even_size(reader.image_size, SHORTER_SIDE), as_bytes=True)


def _in_memory(video: VideoClip | Tensor | np.ndarray | Sequence[Any]) -> FramesInMemory:
    if isinstance(video, VideoClip):
        return FramesInMemory(_as_bytes(video.frames), video.name, video.times)
    if isinstance(video, Sequence) and video and all(isinstance(one, Image.Image | np.ndarray) for one in video):
        images = [np.asarray(one.convert("RGB") if isinstance(one, Image.Image) else one) for one in video]
        if len({image.shape for image in images}) > 1:
            raise UserError("The images of the list differ in size: give images of one size.")
        video = np.stack(images)
    if isinstance(video, np.ndarray):
        if video.ndim != 4 or video.shape[-1] != 3:
            raise UserError(f"The video was given as an array of shape {list(video.shape)}: give {FORMS}.")
        video = torch.from_numpy(np.ascontiguousarray(video)).permute(0, 3, 1, 2)
    if isinstance(video, Tensor):
        return FramesInMemory(_as_bytes(video))
    raise UserError(f"The video was given as a {type(video).__name__} of something else: give {FORMS}.")


def _as_bytes(frames: Tensor) -> UInt8[Tensor, "frame 3 height width"]:
    if frames.ndim != 4 or frames.shape[1] != 3:
        raise UserError(f"The video was given as a tensor of shape {list(frames.shape)}: give {FORMS}.")
    if frames.dtype == torch.uint8:
        return frames
    if not (frames.is_floating_point() and bool(((frames >= 0) & (frames <= 1)).all())):
        raise UserError("The frames hold other values than bytes or floats in [0, 1]: give RGB as one of these.")
    return to_bytes(frames)


def check_numbers(stride: int, frames: int | None, focal: float | None, refine: int) -> None:
    """Refuses numbers that make no sense, before anything is read.

    Args:
        stride: of the frames that are taken.
        frames: how many are taken; None takes all.
        focal: fx / width, where it is known.
        refine: rounds of test-time refinement.

    Raises:
        UserError: one of them is out of its range.
    """
    if stride < 1:
        raise UserError(f"The stride {stride} is out of range: give 1 or more.")
    if frames is not None and frames < 2:
        raise UserError(f"{frames} frames are too few to find a motion: give 2 or more.")
    _check_focal(focal)
    if refine < 0:
        raise UserError(f"{refine} refinement steps are too few: give 0 or more.")


def check_size(size: int | None) -> None:
    """Refuses images that are too small to be rendered.

    Args:
        size: of the shorter side, in pixels; None where nobody asked for one.

    Raises:
        UserError: it is below 16.
    """
    if size is not None and size < 16:
        raise UserError(f"A size of {size} pixels is out of range: give 16 or more.")


def result_size(source: tuple[int, int], size: int | None = None) -> tuple[int, int]:
    """(width, height) of the images of a result: the source's own, with even sides, as video codecs want them.

    Args:
        source: (width, height) of the source.
        size: shorter side in pixels, at most the source's; by default the source's, at most 1080.

    >>> result_size((3840, 2160)), result_size((641, 361)), result_size((640, 360), 180)
    ((1920, 1080), (640, 360), (320, 180))
    """
    return even_size(source, size or LARGEST_SIDE)


def known_focal(focal: float | None, fov_degrees: float | None, K: Any, width: int) -> float | None:
    """fx / width from one of three ways to give it; None where none of them is given.

    Args:
        focal: fx / width.
        fov_degrees: horizontal field of view.
        K: calibration matrix [3, 3] in pixels of the source. Its fx is read; pixels are taken to be square and the
            principal point to be the centre.
        width: of the source, in pixels.

    Raises:
        UserError: more than one is given, or one is out of its range.

    >>> known_focal(None, None, [[320, 0, 320], [0, 320, 240], [0, 0, 1]], 640)
    0.5
    """
    if sum(value is not None for value in (focal, fov_degrees, K)) > 1:
        raise UserError("The focal length was given more than once: give one of focal, fov_degrees and K.")
    if fov_degrees is not None:
        focal = 0.5 / math.tan(math.radians(fov_degrees) / 2) if 0 < fov_degrees < 180 else math.nan
        if not FOCAL_RANGE[0] <= focal <= FOCAL_RANGE[1]:
            raise UserError(f"A field of view of {fov_degrees} degrees is out of range: give 3 to 157, such as 60.")
    if K is not None:
        matrix = torch.as_tensor(K, dtype=torch.float64)
        if matrix.shape != (3, 3):
            raise UserError(f"K has the shape {list(matrix.shape)}: give one calibration matrix, [3, 3] in pixels.")
        focal = matrix[0, 0].item() / width
    _check_focal(focal)
    return focal


def _check_focal(focal: float | None) -> None:
    if focal is not None and not FOCAL_RANGE[0] <= focal <= FOCAL_RANGE[1]:
        raise UserError(f"The focal length {focal} is out of range: give fx / width, such as 0.9 (from 0.1 to 20).")


def frame_rate(times: Float[Tensor, "frame"]) -> float:
    """Frames a second at which frames that follow each other evenly last as long as they did in the source.

    Args:
        times: in seconds, one a frame; NaN where the source has none: 10 frames a second.

    >>> frame_rate(torch.tensor([0.0, 0.02, 0.04])), frame_rate(torch.tensor([torch.nan, torch.nan]))
    (50.0, 10.0)
    """
    length = (times[-1] - times[0]).item() if len(times) > 1 else math.nan
    return round((len(times) - 1) / length, 3) if math.isfinite(length) and length > 0 else DEFAULT_RATE


def shown_times(times: Float[Tensor, "frame"]) -> Float64[Tensor, "frame"]:
    """Seconds from the first frame at which each frame is shown.

    Args:
        times: in seconds, one a frame, ascending; NaN where the source has none: 10 frames a second.

    >>> shown_times(torch.tensor([1.0, 1.5, 3.0])).tolist(), shown_times(torch.tensor([torch.nan, torch.nan])).tolist()
    ([0.0, 0.5, 2.0], [0.0, 0.1])
    """
    if times.isfinite().all():
        return times.double() - times[0]
    return torch.arange(len(times), dtype=torch.float64) / DEFAULT_RATE
