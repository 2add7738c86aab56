"""Videos that a pipeline made, with the sound of the video that their timing comes from."""

import logging
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jaxtyping import Float64, UInt8
from torch import Tensor

from video_ae.formats.atomic import write_atomically
from video_ae.videos.index import index_video
from video_ae.videos.writer import last_duration, write_video

COPIED = {"aac", "mp3", "ac3", "eac3", "opus", "alac"}  # what mp4 holds as it is; other sound becomes AAC
_MICROSECOND = 1e-6
log = logging.getLogger(__name__)


def write_video_with_sound(
    path: Path, frames: Iterable[UInt8[Tensor, "3 height width"]], times: Float64[Tensor, "frame"], source: Path | None
) -> bool:
    """Writes frames as `write_video` does, with the sound of a video from its first frame on, as long as the frames.

    The file appears when it is complete. Sound that cannot be read is left out, and a warning says so: the frames took
    minutes.

    Args:
        path: where to write.
        frames: RGB in 0 .. 255, one after another.
        times: seconds from the first frame at which each is shown.
        source: whose sound is taken: a folder of images, a silent video and None have none.

    Returns:
        Whether the file has sound.

    Raises:
        UserError: the folder cannot be written.
    """
    path = path.absolute()  # in a relative path FFmpeg takes what stands before a colon for a protocol
    source = None if source is None else source.absolute()
    if source is None or not has_sound(source):
        write_video(path, frames, times=times)
        return False

    heard: list[bool] = []

    def write(temporary: Path) -> None:
        with TemporaryDirectory(dir=temporary.parent, prefix=f".{path.stem}-") as folder:
            silent = Path(folder) / "silent.mp4"
            write_video(silent, frames, times=times)
            heard.append(_mux(silent, source, temporary, float(times[-1]) + last_duration(times)))
            if not heard[-1]:
                silent.replace(temporary)

    write_atomically(path, write)
    return heard[-1]


def has_sound(source: Path) -> bool:
    """Whether a file has a sound track that FFmpeg knows how to read.

    Args:
        source: a file or a folder.
    """
    import av

    if not source.is_file():
        return False
    try:
        with av.open(str(source), metadata_errors="ignore") as container:
            return _track(container) is not None
    except av.FFmpegError:
        return False


def _track(container: Any) -> Any:
    """The first sound track that FFmpeg has a decoder for; phones write others beside it. None where there is none."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def _mux(silent: Path, source: Path, path: Path, seconds: float) -> bool:
    """Images of one file and sound of another into a third; whether the sound could be read."""
    import av

    index = index_video(source)
    start = float(index.pts[0] * index.time_base)
    with (
        av.open(str(silent)) as images,
        av.open(str(source), metadata_errors="ignore") as sounds,
        av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as out,
    ):
        video, audio = images.streams.video[0], _track(sounds)
        image_track = out.add_stream_from_template(video)
        try:
            copied = audio.codec_context.codec.canonical_name in COPIED
            sound_track: Any = out.add_stream_from_template(audio) if copied else out.add_stream("aac", audio.rate)
            for packet in images.demux(video):
                if packet.dts is not None:
                    packet.stream = image_track
                    out.mux(packet)
            _write_sound(out, sound_track, sounds, audio, start, seconds, copied)
        except (av.FFmpegError, ValueError) as error:
            reason = " ".join(str(error).split())
            log.warning("the sound of %r cannot be read (%s), so the result has none", str(source), reason)
            return False
    return True


def _write_sound(out: Any, track: Any, sounds: Any, audio: Any, start: float, seconds: float, copied: bool) -> None:
    base = audio.time_base
    offset = round(start / base)
    if copied:
        for packet in sounds.demux(audio):
            if packet.dts is None or packet.pts is None:
                continue
            if packet.pts - offset >= 0 and float((packet.pts - offset) * base) < seconds - _MICROSECOND:
                packet.pts, packet.dts, packet.stream = packet.pts - offset, packet.dts - offset, track
                out.mux(packet)
        return
    for frame in sounds.decode(audio):
        if frame.pts is not None and 0 <= frame.time - start < seconds:
            frame.pts -= offset
            out.mux(track.encode(frame))
    out.mux(track.encode())
