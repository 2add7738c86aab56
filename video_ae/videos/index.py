"""The index of a video file's frames, found by reading its packets without decoding them; and readers that use it.

All three decoders use one index, so that they agree on frame numbers and times, and so that a decoder that cannot be
exact on a file refuses it before it reads anything.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.errors import UserError
from video_ae.videos.base import VideoReader
from video_ae.videos.presentation import Presentation, presentation_of

# One packet is one shown frame in these formats. In others (VP8 has invisible frames) only decoding tells.
ONE_PACKET_PER_FRAME = {"h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg", "prores", "dnxhd", "ffv1"}
TEXT_FORMATS = {"tty", "ansi"}  # FFmpeg can show plain text as a video

SEEKLESS_CONTAINERS = {"mpegts", "mpeg"}  # streams as they are broadcast, without an index of keyframes
UNTIMED_CONTAINERS = {"avi"}  # packets have a place and no time: with B-frames, these are in another order than frames

Packet = tuple[Any, Any, bool, bool]  # pts and dts (None where unknown), is keyframe, is hidden


@dataclass(frozen=True)
class VideoIndex:
    """The frames of one video file.

    Args:
        stream: number of the video stream in the file.
        presentation: how decoded frames are to be shown.
        time_base: seconds per unit of `pts`.
        pts: presentation times of the shown frames, ascending.
        starts: (pts, dts) of the frames where decoding can start, ascending.
        hidden: number of packets that an edit list hides (stream-copied trims have them).
        open_group: whether frames are shown before the keyframe that precedes them in the file.
        counted: whether frames are known by their number from the start of the file only, since the file has no usable
            times of its own for them.
        seekless: whether the file has no index of its keyframes.
    """

    stream: int
    presentation: Presentation
    time_base: Fraction
    pts: list[int]
    starts: list[tuple[int, int]]
    hidden: int
    open_group: bool
    counted: bool = False
    seekless: bool = False

    @property
    def obstacle(self) -> str | None:
        """What only the decoder pyav can do with this file; None: nothing."""
        return "frames without times of their own" if self.counted else self.presentation.obstacle

    @property
    def times(self) -> Float64[Tensor, "frame"]:
        """Seconds from the first frame."""
        ticks = torch.tensor(self.pts, dtype=torch.int64) - self.pts[0]
        return ticks.to(torch.float64) * float(self.time_base)


class IndexedVideo(VideoReader):
    """A video file whose index provides size, times and number of frames.

    Args:
        path: of the video file.
        index: of its frames; read from the file by default.

    Raises:
        UserError: the file is no video.
    """

    def __init__(self, path: str | Path, index: VideoIndex | None = None) -> None:
        self._path = Path(path)
        self._index = index_video(self._path) if index is None else index
        super().__init__(self._path.stem, self._index.presentation.image_size, self._index.times)
        self.notes = self._index.presentation.notes


def index_video(path: Path) -> VideoIndex:
    """Reads all packets of the file's best video stream (and its first frame, for size and rotation).

    Args:
        path: of the video file.

    Raises:
        UserError: the file is missing, empty or no video, has sound only, or no readable frame.
    """
    import av
    from av.codec.context import Flags

    if not path.is_file():
        raise UserError(f"{str(path)!r} does not exist: give a video file or a folder of images.")
    if path.stat().st_size == 0:
        raise UserError(f"{str(path)!r} is empty (zero bytes): give a video file.")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            stream = video_stream(container, path)
            untimed = container.format.name in UNTIMED_CONTAINERS and stream.codec_context.has_b_frames
            stream.codec_context.flags |= Flags.low_delay  # the first frame is wanted without the next ones
            packets, first = _packets_and_first_frame(container, stream)
            if first is None:
                raise UserError(f"{str(path)!r} has no frame that can be decoded: it may be cut off or damaged.")
            presentation = presentation_of(first, stream, path)
            pts, starts, hidden, open_group, trusted = _frames_of(packets)
            counted = False
            if untimed or not trusted or stream.codec_context.codec.canonical_name not in ONE_PACKET_PER_FRAME:
                pts, counted = _times_by_decoding(path, stream.index)
            seekless = container.format.name in SEEKLESS_CONTAINERS
            frames = pts, [] if counted else starts, hidden, open_group, counted, seekless
            return VideoIndex(stream.index, presentation, stream.time_base, *frames)
    except av.FFmpegError as error:
        raise UserError(
            f"{str(path)!r} cannot be read as a video ({error.strerror}): give an mp4, mov, mkv, webm or avi file."
        ) from error


def video_stream(container: Any, path: Path) -> Any:
    """The best video stream of an open container; cover images of sound files do not count.

    Args:
        container: an `av.container.InputContainer`.
        path: of its file, for messages.

    Raises:
        UserError: there is no video stream.
    """
    from av.stream import Disposition

    if container.format.name in TEXT_FORMATS:
        raise UserError(f"{str(path)!r} is a text file, not a video: give an mp4, mov, mkv, webm or avi file.")
    best = container.streams.best("video")
    if best is None or best.disposition & Disposition.attached_pic:
        what = "sound but no frames" if container.streams.audio else "no frames"
        raise UserError(f"{str(path)!r} has {what}: give a file with a video track.")
    return best


def _packets_and_first_frame(container: Any, stream: Any) -> tuple[list[Packet], Any]:
    """(pts, dts, is keyframe, is hidden) of all packets, in the file's order; and the first frame, or None."""
    packets: list[Packet] = []
    first = None
    for packet in container.demux(stream):
        if first is None:
            first = next(iter(packet.decode()), None)
        if packet.size:  # the last one only flushes the decoder
            packets.append((packet.pts, packet.dts, packet.is_keyframe, packet.is_discard))
    return packets, first


def _frames_of(packets: list[Packet]) -> tuple[list[int], list[tuple[int, int]], int, bool, bool]:
    """(pts of shown frames, starts, hidden, open group, whether the packets alone suffice)."""
    shown = sorted(pts for pts, _, _, hidden in packets if pts is not None and not hidden)
    starts = sorted((pts, pts if dts is None else dts) for pts, dts, key, _ in packets if key and pts is not None)
    hidden = sum(packet[3] for packet in packets)
    complete = all(packet[0] is not None for packet in packets) and len(set(shown)) == len(shown) > 0
    if not complete:
        return shown, starts, hidden, False, False
    newest_key, open_group, begins_with_key = None, False, packets[0][2]
    for pts, _, key, _ in packets:
        if key:
            newest_key = pts
        elif newest_key is not None and pts < newest_key:
            open_group = True
    undecodable_lead = any(pts < packets[0][0] for pts, _, _, hidden in packets if not hidden)
    return shown, starts, hidden, open_group, begins_with_key and not undecodable_lead


def _times_by_decoding(path: Path, stream: int) -> tuple[list[int], bool]:
    """Presentation times of the frames that decoding puts out, and whether frames are known by their number only."""
    import av

    with av.open(str(path), metadata_errors="ignore") as container:
        found = [frame.pts for frame in container.decode(container.streams[stream])]
    stamps = _without_repetitions(found)
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < max(1, min(2, len(stamps))) or found.count(None) + 2 * len(known) < len(found):
        raise UserError(
            f"{str(path)!r} has frames without usable times: convert it first, "
            "for example with `ffmpeg -i in -c:v libx264 out.mp4`."
        )
    in_order = _complete_times(stamps)
    return in_order, in_order != stamps


def _without_repetitions(stamps: list[int | None]) -> list[int | None]:
    """None in place of times that an earlier frame has: recordings of screens and streams have some.

    >>> _without_repetitions([1, 2, 2, 3])
    [1, 2, None, 3]
    """
    first = {stamp: number for number, stamp in reversed(list(enumerate(stamps)))}
    return [stamp if first[stamp] == number else None for number, stamp in enumerate(stamps)]


def _complete_times(stamps: list[int | None]) -> list[int]:
    """Times in rising order: missing ones (several frames in one packet of a transport stream) lie evenly between their
    neighbours, and those that belong to packets instead of frames (avi) are sorted.

    >>> _complete_times([None, 10, None, 20, None]), _complete_times([1, 4, 3, 2])
    ([5, 10, 15, 20, 25], [1, 2, 3, 4])
    """
    known = [number for number, stamp in enumerate(stamps) if stamp is not None]
    in_order = sorted(stamp for stamp in stamps if stamp is not None)
    if len(in_order) == len(stamps):
        return in_order
    steps = np.diff(in_order) / np.diff(known)
    between = np.interp(np.arange(known[0], known[-1] + 1), known, in_order)
    before = between[0] - steps[0] * np.arange(known[0], 0, -1)
    after = between[-1] + steps[-1] * np.arange(1, len(stamps) - known[-1])
    return [round(time) for time in np.concatenate([before, between, after]).tolist()]
