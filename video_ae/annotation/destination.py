"""Where annotations go: a folder here or in object storage, whose parts appear whole or not at all.

annotation.json            where the videos came from; makes the folder one of annotations
annotations.parquet        the table, a row a shot
videos/NAME/summary.json   the rows of a video and what they were made with; the mark that its folder is complete
videos/NAME/cameras.json, scene/, ...   what was found, or shot_000/, shot_001/, ... with the same in each
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from video_ae.annotation.annotation_row import AnnotationRow, row_from
from video_ae.annotation.video_job import VideoJob
from video_ae.datasets.annotation_files import CAMERAS_VERSION, TABLE
from video_ae.datasets.object_storage import is_remote, reaching
from video_ae.errors import UserError, is_disk_full, unreadable_as
from video_ae.formats.atomic import (
    MARK,
    claim_folder,
    output_folder,
    remove_from,
    write_atomically,
    write_json_atomically,
)

ABOUT, VIDEOS, LOCK = "annotation.json", "videos", ".lock"
_AT_ONCE = 500  # summaries that are read together


@dataclass(frozen=True)
class Destination:
    """The folder of all results.

    Args:
        root: a path, or an address that fsspec understands.
    """

    root: str

    @property
    def remote(self) -> bool:
        """Whether it is in object storage."""
        return is_remote(self.root)

    @contextmanager
    def claimed(self, source: str, overwrite: bool = False) -> Iterator[None]:
        """Makes the folder, or goes on with an earlier run; here, no other run can write to it meanwhile.

        Args:
            source: of the videos.
            overwrite: whether the results of another source are kept and added to.

        Raises:
            UserError: it holds something else, or annotations of another source (without `overwrite`), cannot be
                written, or another run is writing to it.
        """
        about = {"source": source, "version": CAMERAS_VERSION}
        if self.remote:
            self._check_source(self._read_about(), source, overwrite)
            self._put(ABOUT, json.dumps(about).encode())
            yield
            return
        root = Path(self.root)
        earlier = self._read_about()
        claim_folder(root, overwrite=bool(earlier))
        self._check_source(earlier, source, overwrite)
        try:
            with FileLock(str(root / LOCK), timeout=0):
                write_json_atomically(root / ABOUT, about)
                remove_from(root / VIDEOS, ".*")  # of videos that were under way when a machine stopped
                yield
        except Timeout as error:
            raise UserError(
                f"Another run is writing to {self.root!r}: wait for it, or choose another folder."
            ) from error

    def rows(
        self, jobs: Sequence[VideoJob], asked: dict[str, Any], limits: dict[str, Any]
    ) -> Iterator[tuple[VideoJob, list[AnnotationRow] | None]]:
        """Each job with the rows of an earlier run; None where it has to be done (again).

        Args:
            jobs: the videos.
            asked: the settings, which must be the same.
            limits: of time and memory: where these made a video fail, only the same ones count.
        """
        for first in range(0, len(jobs), _AT_ONCE):
            part = jobs[first : first + _AT_ONCE]
            for job, text in zip(part, self._read_many([job.folder for job in part]), strict=True):
                yield job, _fitting_rows(text, job, asked, limits)

    def all_rows(self) -> Iterator[list[AnnotationRow]]:
        """The rows of all videos in it, a list a video, in the order of their folders."""
        folders = self.folders()
        for first in range(0, len(folders), _AT_ONCE):
            for text in self._read_many(folders[first : first + _AT_ONCE]):
                if rows := _rows_in(text):
                    yield rows

    def folders(self) -> list[str]:
        """Names of the folders of videos."""
        with reaching(f"{self.root}/{VIDEOS}") as (system, where):
            if not system.exists(where):
                return []
            names = [path.rstrip("/").rpartition("/")[2] for path in system.ls(where, detail=False)]
        return sorted(name for name in names if not name.startswith("."))

    def publish(self, job: VideoJob, results: Path) -> None:
        """Makes files the results of a video; they appear when all are there, in place of earlier ones.

        Args:
            job: the video.
            results: a folder with its files and its `summary.json`.

        Raises:
            UserError: the destination cannot be written, or its disk is full.
        """
        files = sorted(path for path in results.rglob("*") if path.is_file())
        if self.remote:
            self._upload(f"{VIDEOS}/{job.folder}", {path.relative_to(results).as_posix(): path for path in files})
            return
        try:
            with output_folder(Path(self.root) / VIDEOS / job.folder, overwrite=True) as folder:
                for path in files:
                    copy = folder / path.relative_to(results)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
        except OSError as error:
            if is_disk_full(error):
                full = f"The disk of {self.root!r} is full: make room and run it again, it goes on from there."
                raise UserError(full) from error
            raise

    def write_table(self, write: Callable[[Path], object]) -> None:
        """Puts the table in its place.

        Args:
            write: writes it to a path.
        """
        if not self.remote:
            write_atomically(Path(self.root) / TABLE, write)
            return
        with tempfile.TemporaryDirectory(prefix="video-ae-") as temporary:
            write(Path(temporary) / TABLE)
            self._put(TABLE, (Path(temporary) / TABLE).read_bytes())

    def _upload(self, name: str, files: dict[str, Path]) -> None:
        """The mark goes first when earlier files are removed, and comes last: no half folder looks whole."""
        with reaching(f"{self.root}/{name}") as (system, where):
            system.invalidate_cache()
            for path in sorted(system.find(where), key=lambda path: not path.endswith(f"/{MARK}")):
                system.rm_file(path)
            for file in sorted(files, key=lambda file: file == MARK):
                system.put_file(str(files[file]), f"{where}/{file}")

    def _put(self, name: str, content: bytes) -> None:
        with reaching(f"{self.root}/{name}") as (system, where):
            system.pipe_file(where, content)

    def _read_about(self) -> dict[str, Any]:
        """{} where there is none."""
        try:
            with reaching(f"{self.root}/{ABOUT}") as (system, where):
                text = system.cat_file(where) if system.exists(where) else b"{}"
        except UserError:
            if self.remote:
                raise
            return {}
        with unreadable_as(f"{ABOUT} in {self.root!r} is damaged: choose another folder."):
            return dict(json.loads(text))

    def _check_source(self, about: dict[str, Any], source: str, overwrite: bool) -> None:
        known = about.get("source", source)
        if known != source and not overwrite:
            raise UserError(
                f"{self.root!r} holds annotations of {known!r}: choose another folder, or allow these to be added.",
                argument="overwrite",
            )

    def _read_many(self, folders: Sequence[str]) -> list[bytes | None]:
        """The summaries of videos; None where there is none."""
        if not self.remote:
            paths = [Path(self.root) / VIDEOS / name / MARK for name in folders]
            return [path.read_bytes() if path.is_file() else None for path in paths]
        with reaching(f"{self.root}/{VIDEOS}") as (system, where):
            files = [f"{where}/{name}/{MARK}" for name in folders]
            found = system.cat(files, recursive=False, on_error="return")
            return [_content(found.get(file)) for file in files]


def _content(found: Any) -> bytes | None:
    """Bytes, or nothing where a file is missing; every other error is one."""
    if isinstance(found, Exception) and not isinstance(found, FileNotFoundError):
        raise found
    return found if isinstance(found, bytes) else None


def write_summary(
    folder: Path, job: VideoJob, asked: dict[str, Any], failed_at: dict[str, Any], rows: Sequence[AnnotationRow]
) -> None:
    """Writes the summary of a video.

    Args:
        folder: of the video.
        job: the video.
        asked: the settings.
        failed_at: the limits that made it fail, with others of which it is tried again; nothing where there is no use.
        rows: that were found.
    """
    content = {
        "version": CAMERAS_VERSION, "video": asdict(job), "asked": asked, "failed_at": failed_at,
        "rows": [asdict(row) for row in rows],
    }  # fmt: skip
    write_json_atomically(folder / MARK, content)


def _fitting_rows(
    text: bytes | None, job: VideoJob, asked: dict[str, Any], limits: dict[str, Any]
) -> list[AnnotationRow] | None:
    try:
        found = json.loads(text or b"{}")
        fits = found["version"] == CAMERAS_VERSION and found["video"] == asdict(job) and found["asked"] == asked
        return _rows_in(text) if fits and found["failed_at"] in ({}, limits) else None
    except (ValueError, KeyError, TypeError):
        return None


def _rows_in(text: bytes | None) -> list[AnnotationRow] | None:
    """None where there is no summary, or one that is damaged or of another version."""
    try:
        return [row_from(values) for values in json.loads(text or b"{}")["rows"]]
    except (ValueError, KeyError, TypeError):
        return None
