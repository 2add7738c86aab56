"""One video, prepared: its small frames in one file, and beside it a record of what is kept, what is not and why."""

import json
import os
import shutil
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from video_ae.datasets.annotated_videos import AnnotatedShot
from video_ae.datasets.clip_sampler import OVERLAP_GAPS
from video_ae.datasets.object_storage import is_remote
from video_ae.errors import UserError, is_disk_full
from video_ae.formats.atomic import write_text_atomically
from video_ae.geometry.trajectories import spread_frames
from video_ae.preparation.measured_overlap import photometric_overlap, small_grey
from video_ae.preparation.scan import Scan, read_jpegs, scan_video
from video_ae.preparation.segments import SHORTEST, Dropped, cut_into_segments
from video_ae.videos.base import VideoReader
from video_ae.videos.open import open_video

PAIRS_PER_GAP = 3
VERSION = 4  # of what is kept and how it is measured: other values are prepared again
FRAMES, RECORD = "frames.bin", "record.json"


@dataclass(frozen=True)
class Job:
    """One video to prepare.

    Args:
        path: of the video; of one that has been annotated, `shot.source` counts.
        name: unique among all.
        folder: where its frames and its record are written.
        size: shorter side of its frames in pixels.
        decoder: auto, torchcodec, pyav or decord; auto is pyav, which scales frames as it decodes them.
        shot: of the video, where it has been annotated: only that is prepared.
    """

    path: Path
    name: str
    folder: Path
    size: int
    decoder: str
    shot: AnnotatedShot | None = None

    def open(self, decoder: str) -> VideoReader:
        """A reader of what is prepared.

        Args:
            decoder: as in `open_video`.

        Raises:
            UserError: it cannot be read.
        """
        return open_video(self.path, decoder) if self.shot is None else self.shot.open(decoder)


@dataclass(frozen=True)
class Prepared:
    """The record of one prepared video, written as `record.json` beside its small frames.

    Args:
        name: of the video.
        key: changes when the video or the settings of its preparation do.
        frames: how many were read.
        offsets: of each JPEG in `frames.bin`, and the end.
        times: of each frame in seconds; None where unknown.
        segments: numbers of the kept frames.
        overlaps: of each segment, the share of a frame that is visible in frames `OVERLAP_GAPS` later.
        fingerprints: of the kept frames of each segment.
        dropped: parts that are left out.
        skipped: why nothing of the video can be used, else "".
        seconds: how long it took.
    """

    name: str
    key: list
    frames: int
    offsets: list[int]
    times: list[float | None]
    segments: list[list[int]]
    overlaps: list[list[float]]
    fingerprints: list[list[int]]
    dropped: list[Dropped]
    skipped: str
    seconds: float = 0.0


def prepare_video(job: Job) -> Path:
    """Decodes one video once and writes its part; returns its record. What is already there is kept.

    A video that cannot be used gets a record that says why: nothing is raised.

    Args:
        job: the video.

    Raises:
        OSError: the disk is full.
    """
    torch.set_num_threads(1)
    record = job.folder / RECORD
    key: list = []
    with suppress(OSError):  # a file that is gone, or a link to nothing: the decoder will say so
        key = _key(job)
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # none yet, or one that was cut off
        known = load_record(record)
        if known.key == key and (known.skipped or (job.folder / FRAMES).stat().st_size == known.offsets[-1]):
            return record
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir(parents=True)
    started = time.perf_counter()
    try:
        prepared = _prepare(job, key)
    except Exception as error:  # a decoder's bug on one file must not end a run over a million
        (job.folder / FRAMES).unlink(missing_ok=True)
        if is_disk_full(error):  # of the next video too; and no fault of this one
            raise
        reason = str(error) if isinstance(error, UserError) else f"Unexpected {type(error).__name__}: {error}"
        prepared = Prepared(job.name, key, 0, [0], [], [], [], [], [], reason)
    write_text_atomically(record, json.dumps(asdict(replace(prepared, seconds=time.perf_counter() - started))))
    return record


def load_record(path: Path) -> Prepared:
    """The record of a prepared video.

    Args:
        path: its `record.json`.
    """
    values = json.loads(path.read_text())
    return Prepared(**{**values, "dropped": [Dropped(**part) for part in values["dropped"]]})


def _prepare(job: Job, key: list) -> Prepared:
    reader = job.open("pyav" if job.decoder == "auto" else job.decoder)
    if len(reader) < 2:
        raise UserError("It has one frame, a video needs at least two.")
    with open(job.folder / FRAMES, "wb") as file:
        scan = scan_video(reader, job.size, file, lambda: job.open("pyav"))
    segments, dropped = cut_into_segments(scan)
    if scan.damage and not segments:
        raise UserError(scan.damage)
    if scan.damage:
        dropped.append(Dropped(len(scan), len(reader) - 1, scan.damage))
    times = [None if np.isnan(value) else value for value in reader.times.tolist()[: len(scan)]]
    return Prepared(
        job.name, key, len(reader), scan.offsets, times,
        segments,
        [measure_overlaps(job.folder / FRAMES, scan, segment) for segment in segments],
        [[scan.fingerprints[number] for number in segment] for segment in segments],
        dropped, "" if segments else _why_nothing(dropped),
    )  # fmt: skip


def measure_overlaps(file: Path, scan: Scan, segment: list[int]) -> list[float]:
    """Overlap of frames `OVERLAP_GAPS` apart: median of pairs spread over the segment, never rising with the gap.

    Gaps that do not fit into the segment repeat the last one that does.

    Args:
        file: the video's small frames.
        scan: of the video.
        segment: numbers of its frames.
    """
    import cv2

    overlaps: list[float] = []

    @cache
    def grey(index: int) -> torch.Tensor:
        (jpeg,) = read_jpegs(file, scan.offsets, [segment[index]])
        bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)  # takes half of Pillow's time
        return small_grey(torch.from_numpy(bgr).permute(2, 0, 1).float() / 255)

    for gap in OVERLAP_GAPS:
        room = len(segment) - 1 - gap
        if room < 0 or (overlaps and overlaps[-1] == 0):
            overlaps.append(overlaps[-1])
            continue
        starts = spread_frames(room + 1, PAIRS_PER_GAP)
        found = float(np.median([photometric_overlap(grey(start), grey(start + gap)) for start in starts]))
        overlaps.append(min([found, *overlaps]))
    return overlaps


def _why_nothing(dropped: list[Dropped]) -> str:
    frames = Counter(part.reason for part in dropped for _ in part.frames)
    parts = ", ".join(f"{reason} ({count})" for reason, count in frames.most_common())
    return f"No part of {SHORTEST} or more frames is left; frames left out: {parts}."


def _key(job: Job) -> list:
    """Changes when the file or the settings do."""
    shot = job.shot
    if shot is not None and is_remote(shot.source):
        file = [shot.source, shot.checksum, 0]
    else:
        state = os.stat(job.path)
        file = [str(job.path.absolute()), state.st_size, state.st_mtime_ns]
    key = [*file, job.size, job.decoder, VERSION]
    return key if shot is None else [*key, shot.frames.start, shot.frames.stop, shot.lens, shot.readout]
