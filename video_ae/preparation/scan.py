"""One pass through a video: small frames go to a file, and what the cuts are found from stays in memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.datasets.shards import encode_jpeg
from video_ae.errors import UserError, unreadable_as
from video_ae.geometry.resize import Resizing, plan_resizing, resize_images
from video_ae.videos.base import VideoReader
from video_ae.videos.load import read_resized_bytes

STILL = 1.2  # of 255: mean change of a thumbnail below which the camera rests (noise, compression)
THUMBNAIL = (48, 36)  # width, height
SHOT_WIDTH = 96  # pixels of the images that the shot detector sees


@dataclass
class Scan:
    """What is known of each frame after the pass; all lists have one entry a frame that could be read.

    Args:
        offsets: where each JPEG begins in the file, and where the last one ends (one entry more).
        brightness: mean of the grey thumbnail, 0 .. 255.
        contrast: its standard deviation, 0 .. 255.
        still_since: the first frame of the run of frames that show the same as that first one; often the frame itself.
        changes: mean change of the thumbnail since the frame before, 0 .. 255; of the first frame infinite.
        fingerprints: 32 bits each, whether a cell of 9x4 is brighter than its right neighbour (dHash). Of a copy that
            was encoded anew, about every third frame keeps all bits; with 64 bits it was every sixth or fewer.
        cuts: frames at which a new shot begins.
        damage: why reading stopped before the end, else "".
    """

    offsets: list[int] = field(default_factory=lambda: [0])
    brightness: list[float] = field(default_factory=list)
    contrast: list[float] = field(default_factory=list)
    still_since: list[int] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    fingerprints: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    damage: str = ""

    def __len__(self) -> int:
        return len(self.brightness)


def scan_video(
    reader: VideoReader, size: int, file: BinaryIO, fallback: Callable[[], VideoReader] | None = None
) -> Scan:
    """Reads all frames in order, once, and appends each to `file` as a JPEG whose shorter side is `size` pixels.

    A video whose shorter side is smaller keeps its own size. The scan ends at the first frame that cannot be read, and
    records why. Two chunks of the source are in memory, and some numbers a frame.

    Args:
        reader: of the video.
        size: pixels of the shorter side.
        file: where JPEG files are appended.
        fallback: opens another reader, which reads the rest one by one where `reader` fails; None uses `reader` again.
    """
    scan, shots, rests = Scan(), ShotDetector(), RestDetector()
    resizing = plan_resizing(reader.image_size, min(size, min(reader.image_size)))
    small = reader.shrunk(resizing.scaled)
    for chunk in _chunks(small, resizing, scan, fallback or (lambda: small)):
        thumbnails = grey_thumbnails(chunk)
        for frame in chunk:
            scan.offsets.append(scan.offsets[-1] + file.write(encode_jpeg(frame)))
        changes, still_since = rests.add(thumbnails)
        scan.changes += changes
        scan.still_since += still_since
        scan.brightness += thumbnails.mean((1, 2)).tolist()
        scan.contrast += thumbnails.std((1, 2)).tolist()
        scan.fingerprints += _fingerprints(thumbnails)
        scan.cuts += shots.add(chunk)
    return scan


def _chunks(
    reader: VideoReader, resizing: Resizing, scan: Scan, fallback: Callable[[], VideoReader]
) -> Iterator[Tensor]:
    with suppress(UserError):  # reported below, by the reader that names the frame
        for _, chunk in read_resized_bytes(reader, range(len(reader)), resizing):
            yield chunk
        return
    try:
        rest = fallback().shrunk(resizing.scaled)
        for number in range(len(scan), len(reader)):
            yield resizing.bytes(rest.read([number]))
    except UserError as error:
        scan.damage = str(error)


def grey_thumbnails(frames: UInt8[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame rows columns"]:
    """Small grey images, 0 .. 255.

    Args:
        frames: RGB in 0 .. 255.
    """
    return resize_images(frames, THUMBNAIL).float().mean(1)


def _fingerprints(thumbnails: Tensor) -> list[int]:
    cells = torch.nn.functional.adaptive_avg_pool2d(thumbnails[:, None], (4, 9))[:, 0]
    bits = (cells[..., 1:] > cells[..., :-1]).flatten(1).numpy()
    return np.packbits(bits, axis=1).view(">u4")[:, 0].tolist()


class RestDetector:
    """Which frames show the same as an earlier one, and how much each differs from the one before."""

    def __init__(self) -> None:
        self._last = self._reference = torch.full(THUMBNAIL[::-1], float("inf"))
        self._since, self._count = 0, 0

    def add(self, thumbnails: Float[Tensor, "frame rows columns"]) -> tuple[list[float], list[int]]:
        """(`changes`, `still_since`) of `Scan` for further frames.

        Args:
            thumbnails: of these frames.
        """
        changes = (thumbnails - torch.cat([self._last[None], thumbnails[:-1]])).abs().mean((1, 2)).tolist()
        still_since = []
        for thumbnail, change in zip(thumbnails, changes, strict=True):
            # Where the camera moves, the reference is the frame before, and the change is known.
            moved = change if self._since >= self._count - 1 else float((thumbnail - self._reference).abs().mean())
            if moved > STILL:
                self._since, self._reference = self._count, thumbnail
            still_since.append(self._since)
            self._count += 1
        self._last = thumbnails[-1]
        return changes, still_since


class ShotDetector:
    """PySceneDetect's adaptive detector: colour changes that stand out from those around them, so that fast camera
    motion is no cut.

    Raises:
        UserError: PySceneDetect is not installed.
    """

    def __init__(self) -> None:
        needed = "Preparing videos needs PySceneDetect: install it with `pip install 'video-ae[prepare]'`."
        with unreadable_as(needed, None, ImportError):
            from scenedetect import AdaptiveDetector, FrameTimecode
        self._time = FrameTimecode
        self._detector = AdaptiveDetector(min_scene_len=2)
        self._count = 0

    def add(self, frames: UInt8[Tensor, "frame 3 height width"]) -> list[int]:
        """The cuts that are certain after further frames: numbers of the first frame of a shot.

        Args:
            frames: RGB in 0 .. 255.
        """
        height, width = frames.shape[-2:]
        small = resize_images(frames, (SHOT_WIDTH, max(1, round(height * SHOT_WIDTH / width))))
        found = []
        for frame in small.flip(1).permute(0, 2, 3, 1).contiguous().numpy():  # BGR, as OpenCV has it
            # The rate only converts numbers into times and back.
            found += self._detector.process_frame(self._time(self._count, fps=30.0), frame)
            self._count += 1
        return [cut.frame_num for cut in found]


def read_jpegs(path: Path, offsets: Sequence[int], numbers: Iterable[int]) -> Iterator[bytes]:
    """Reads some of the JPEG files that `scan_video` wrote.

    Args:
        path: the file.
        offsets: of all JPEG files in it.
        numbers: of the frames to read.
    """
    with open(path, "rb") as file:
        for number in numbers:
            file.seek(offsets[number])
            yield file.read(offsets[number + 1] - offsets[number])
