"""What `video-ae annotate` wrote, as a source of clips whose cameras are known to training."""

import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from video_ae.datasets.annotation_files import CAMERAS_VERSION, SCENE, TABLE
from video_ae.datasets.base import ClipSource
from video_ae.datasets.fetched_video import open_fetched
from video_ae.datasets.object_storage import fetched, is_remote, reaching
from video_ae.datasets.skipped import usable
from video_ae.datasets.stored_cameras import on_grid
from video_ae.errors import UserError, unreadable_as
from video_ae.formats.lens import Lens
from video_ae.formats.scene import read_scene
from video_ae.scene.fingerprint import fingerprint
from video_ae.scene.global_shutter import GlobalShutterReader
from video_ae.scene.undistort import UndistortedReader
from video_ae.types import CameraEstimate, Scene
from video_ae.videos.base import ChosenFrames, VideoReader
from video_ae.videos.open import open_video

_COLUMNS = (
    "video", "segment", "folder", "source", "reason", "first_frame", "frames", "lens", "readout", "version", "checksum",
)  # fmt: skip
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnnotatedShot:
    """One shot of a video and where its cameras are.

    Args:
        name: unique among all.
        source: path or address of the video.
        frames: their numbers in the video.
        folder: of its cameras; a path or an address.
        lens: as JSON, "" for a pinhole.
        readout: of a rolling shutter.
        fits: whether its cameras are of this version.
        checksum: of the video when it was annotated.
    """

    name: str
    source: str
    frames: range
    folder: str
    lens: str
    readout: float
    fits: bool
    checksum: str

    def open(self, decoder: str = "auto") -> VideoReader:
        """The frames that the cameras are of: without distortion, and without the bend of a rolling shutter.

        Args:
            decoder: as in `open_video`.

        Raises:
            UserError: the video cannot be read or is another one than was annotated, or its cameras are damaged.
        """
        remote = is_remote(self.source)
        video = open_fetched(self.source, decoder) if remote else open_video(Path(self.source), decoder)
        changed = not remote and self.checksum and fingerprint(Path(self.source)) != self.checksum
        if changed or len(video) < self.frames.stop:
            raise UserError(f"{self.source!r} is not the video that was annotated: annotate it again.")
        reader: VideoReader = ChosenFrames(video, self.frames)
        if self.lens:
            values = {name: tuple(value) for name, value in json.loads(self.lens).items()}
            reader = UndistortedReader(reader, Lens(**values))
        if self.readout:
            scene = self._scene()
            reader = GlobalShutterReader(reader, scene.camera, scene.clip.indices - self.frames.start)
        return reader

    def cameras(self) -> CameraEstimate | None:
        """Of all frames, on the grid of `stored_cameras`; None where they are of another version.

        Raises:
            UserError: they are damaged.
        """
        return on_grid(self._scene().camera) if self.fits else None

    def _scene(self) -> Scene:
        if not is_remote(self.folder):
            return read_scene(Path(self.folder) / SCENE)[0]
        with TemporaryDirectory(prefix="video-ae-") as temporary:
            return read_scene(fetched(f"{self.folder}/{SCENE}", Path(temporary)))[0]


class AnnotatedVideos(ClipSource):
    """The shots in a table of annotations whose videos are still there.

    Args:
        root: the folder that `video-ae annotate` wrote, here or in object storage, or a table in it, such as one with
            some of the rows.
        decoder: as in `video_ae.videos.open.open_video`.

    Raises:
        UserError: the table is no table of annotations or cannot be reached, none of its videos can be used, or
            pyarrow is not installed.
    """

    def __init__(self, root: str | Path, decoder: str = "auto") -> None:
        root = str(root).rstrip("/")
        table = root if root.endswith(".parquet") else f"{root}/{TABLE}"
        shots = _shots(table)
        self.shots, self.skipped = usable(shots, _admit)
        if not self.shots:
            name, reason = next(iter(self.skipped.items()), (table, "it has no rows"))
            raise UserError(f"None of {len(shots)} shots in {table!r} can be used; {name}: {reason}")
        if other := sum(not shot.fits for shot in self.shots):
            log.warning(
                "%s: %d of %d shots have cameras of another version, which are found anew", root, other, len(self.shots)
            )
        self.names = [shot.name for shot in self.shots]
        self._reader = lru_cache(1)(lambda number: self.shots[number].open(decoder))

    def frame_count(self, number: int) -> int:
        return len(self.shots[number].frames)

    def open(self, number: int) -> VideoReader:
        return self._reader(number)

    def stored_cameras(self, number: int) -> CameraEstimate | None:
        return self.shots[number].cameras()


def is_annotated(root: str | Path) -> bool:
    """Whether a root is what `AnnotatedVideos` takes.

    Args:
        root: a path or an address.

    Raises:
        UserError: an address cannot be reached.
    """
    root = str(root).rstrip("/")
    if root.endswith(".parquet"):
        return True
    if not is_remote(root):
        return (Path(root) / TABLE).is_file()
    with reaching(f"{root}/{TABLE}") as (system, where):
        return bool(system.exists(where))


def _shots(table: str) -> dict[str, AnnotatedShot | str]:
    """Name -> shot, or the reason why there is none."""
    rows, below = _read(table), table.rpartition("/")[0] or "."
    many = {row["video"] for row in rows if row["segment"]}
    found: dict[str, AnnotatedShot | str] = {}
    for row in rows:
        name = f"{row['video']}#{row['segment']}" if row["video"] in many else row["video"]
        frames = range(row["first_frame"], row["first_frame"] + row["frames"])
        found[name] = row["reason"] or AnnotatedShot(
            name, row["source"], frames, f"{below}/{row['folder']}", row["lens"] or "", row["readout"] or 0.0,
            row["version"] == CAMERAS_VERSION, row["checksum"],
        )  # fmt: skip
    return found


def _admit(shot: AnnotatedShot | str) -> AnnotatedShot:
    if isinstance(shot, str):
        raise UserError(shot)
    if not is_remote(shot.source) and not Path(shot.source).exists():
        raise UserError(f"Its video {shot.source!r} is gone.")
    if not is_remote(shot.folder) and not (Path(shot.folder) / SCENE).is_dir():
        raise UserError(f"Its cameras in {shot.folder!r} are gone.")
    return shot


def _read(table: str) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise UserError("Tables of annotations need pyarrow: `pip install 'video-ae[fleet]'`.") from error
    content: str | BytesIO = table
    if is_remote(table):
        with reaching(table) as (system, where):
            content = BytesIO(system.cat_file(where))
    with unreadable_as(f"{table!r} is no table of annotations: give what `video-ae annotate` wrote."):
        return parquet.read_table(content, columns=list(_COLUMNS)).to_pylist()
