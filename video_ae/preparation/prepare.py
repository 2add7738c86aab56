"""A folder of videos -> a folder of shards to train from."""

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from video_ae.datasets.annotated_videos import AnnotatedShot, AnnotatedVideos, is_annotated
from video_ae.datasets.annotation_files import CAMERAS_VERSION
from video_ae.datasets.object_storage import is_remote
from video_ae.datasets.video_folder import lies_in, search_videos, short_names
from video_ae.errors import UserError
from video_ae.formats.atomic import claim_folder, remove_from, remove_unfinished
from video_ae.preparation.camera_shards import pack_cameras
from video_ae.preparation.pack import ABOUT, TABLE, Packed, pack, write_about
from video_ae.preparation.quality_report import write_report
from video_ae.preparation.scan import ShotDetector
from video_ae.preparation.video import RECORD, Job, load_record, prepare_video
from video_ae.processes import end_with_parent

PARTS = ".parts"
# What a run leaves in the folder; `packed.json` first, so that no half folder looks whole while they are removed.
RESULTS = (
    ABOUT,
    TABLE,
    "index.json",
    "report.md",
    "chunk-0-*.bin",
    "cameras-0-*.npy",
    "kept_*.png",
    "left_out_*.png",
    "histogram_*.png",
)


def prepare(
    root: str | Path, out: Path, size: int = 128, workers: int = 1, decoder: str = "auto", overwrite: bool = False
) -> Packed:
    """Decodes every video below `root` once and packs what is worth training on into `out`.

    `out` then contains shards, their index, the table of segments and `report.md`; nothing in `root` is changed. A run
    that was stopped goes on from there: videos whose part is complete and whose file has not changed are not decoded
    again.

    Args:
        root: a folder of videos and image folders, nested as they are; or what `video-ae annotate` wrote, here or in
            object storage, whose cameras are packed with the frames.
        out: the folder to write into.
        size: shorter side of the packed frames in pixels; smaller videos keep their size.
        workers: processes.
        decoder: auto, torchcodec, pyav or decord; auto is pyav, which scales frames as it decodes them.
        overwrite: whether an earlier result in `out` may be replaced.

    Returns:
        What was packed and what was not.

    Raises:
        UserError: `root` contains no videos or none that can be used, `out` contains something else, or a number is
            too small.
        KeyboardInterrupt: it was stopped.
    """
    out = Path(out)
    if size < 8 or workers < 1:
        raise UserError(f"Size {size} and {workers} workers were given: give at least 8 pixels and one worker.")
    ShotDetector()  # raises now where PySceneDetect is not installed
    jobs, passed = _jobs(root, out, size, decoder)
    with _alone(out, overwrite):
        try:
            _prepare_all(jobs, workers)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; the same command goes on with the videos that are left.") from None
        packed = _pack(jobs, out, passed, size)
        if not packed.kept:
            name, reason = next(iter(packed.skipped.items()))
            raise UserError(f"None of {len(jobs)} videos below {str(root)!r} can be used; {name}: {reason}")
    shutil.rmtree(out / PARTS)
    return packed


def _pack(jobs: list[Job], out: Path, passed: Mapping[str, str], size: int) -> Packed:
    """Writes all results, unless no segment is left. passed: why files were passed over, by name."""
    remove_from(out, *RESULTS)  # of an earlier attempt that was stopped while it packed
    remove_unfinished(out)
    packed = pack([job.folder / RECORD for job in jobs], out)
    packed.skipped.update(passed)
    if packed.kept:
        shots = {job.name: job.shot for job in jobs if job.shot is not None}
        if shots:
            pack_cameras(packed, shots, out)
        # before the report: hours of work are not lost for an image of them
        write_about(packed, out, {"size": size}, CAMERAS_VERSION if shots else None)
        write_report(packed, {job.name: job.folder for job in jobs}, out)
    return packed


def _jobs(root: str | Path, out: Path, size: int, decoder: str) -> tuple[list[Job], dict[str, str]]:
    """The videos, or the shots of videos that were annotated; and name -> reason of what is left out."""
    if is_annotated(root):
        source = AnnotatedVideos(root, decoder)
        found: list[tuple[Path, str, AnnotatedShot | None]]
        found = [(Path(shot.source), shot.name, shot) for shot in source.shots]
        passed = source.skipped
    elif is_remote(root):
        raise UserError(f"{str(root)!r} holds no annotations: annotate the videos, or prepare copies on this machine.")
    else:
        root = Path(root)
        videos, passed = search_videos(root)
        paths = [path for path in videos if not lies_in(path, out)]
        found = [(path, name, None) for path, name in zip(paths, short_names(root, paths), strict=True)]
    if not found:
        raise UserError(f"{str(root)!r} contains no videos: give a folder with videos or folders of images.")
    folders = [out / PARTS / hashlib.sha256(os.fsencode(name)).hexdigest()[:20] for _, name, _ in found]
    jobs = [
        Job(path, name, folder, size, decoder, shot) for (path, name, shot), folder in zip(found, folders, strict=True)
    ]
    return jobs, passed


def _prepare_all(jobs: list[Job], workers: int) -> None:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[kept]} segments, {task.fields[left_out]} videos left out"),
    )  # fmt: skip
    kept = left_out = 0
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("videos", total=len(jobs), kept=0, left_out=0)
        for record in _records(jobs, workers):
            video = load_record(record)
            kept += len(video.segments)
            left_out += not video.segments
            progress.update(task, advance=1, kept=kept, left_out=left_out)
            if video.skipped:
                text = f"left out {video.name}: {video.skipped}"
                progress.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _records(jobs: list[Job], workers: int) -> Iterator[Path]:
    """Records as they are finished, in any order."""
    if workers == 1:
        yield from map(prepare_video, jobs)
        return
    # Decoders have threads, which a forked process would not inherit in working order.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_quiet_worker)
    try:
        for future in as_completed([pool.submit(prepare_video, job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _quiet_worker() -> None:
    """Leaves Ctrl-C to the parent process, which lets the videos under way end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    end_with_parent()


@contextmanager
def _alone(out: Path, overwrite: bool) -> Iterator[None]:
    """Makes `out`, or goes on with an unfinished one, while nobody else writes into it.

    An earlier result is replaced only on demand.
    """
    done = (out / ABOUT).is_file()
    if done and not overwrite:
        raise UserError(f"{str(out)!r} is prepared already: train from it, or allow it to be replaced.", "overwrite")
    unfinished = (out / PARTS).is_dir()
    claim_folder(out, overwrite=overwrite or unfinished, mark=None if unfinished else ABOUT)
    (out / PARTS).mkdir(exist_ok=True)
    try:
        lock = FileLock(out / PARTS / ".lock", timeout=0).acquire()
    except Timeout as error:
        sentence = f"Another preparation is writing into {str(out)!r}: wait until it has ended, or choose another."
        raise UserError(sentence, "out") from error
    with lock:
        if done:
            remove_from(out, *RESULTS)
        yield
