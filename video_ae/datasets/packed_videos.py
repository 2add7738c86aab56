"""What `video-ae prepare` wrote, in a folder or in object storage, as a source of clips.

LitData's own reader keeps threads and locks for an order of samples of its own, and its package demands torchvision,
which breaks beside a CPU build of torch. Here any process reads any frame by its offset (docs/data.md).
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from io import FileIO
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from video_ae.datasets.annotation_files import CAMERAS_VERSION
from video_ae.datasets.base import ClipSource, Sendable
from video_ae.datasets.byte_clips import ByteClip
from video_ae.datasets.clip_sampler import OVERLAP_GAPS
from video_ae.datasets.object_storage import is_remote, reaching
from video_ae.datasets.shards import StoredFrame, decode_frames
from video_ae.datasets.stored_cameras import cameras_of_shard, estimate_from
from video_ae.errors import UserError, unreadable_as
from video_ae.formats.versions import check_version
from video_ae.geometry.resize import Fit, plan_resizing
from video_ae.types import CameraEstimate, VideoClip
from video_ae.videos.base import check_indices

PACKED_VERSION = 1
OPEN_FILES = 64
CACHE_BYTES = 50 * 2**30
_TRIES = 3  # of fetching a shard that another process removes meanwhile
_MOST_FRAMES = 2**22  # of a segment: 19 hours at 60 a second
# Kinds of numpy that the columns of the table of segments may have.
_COLUMNS = {"name": "S", "video": "iu", "shard": "iu", "first": "iu", "frames": "iu", "rate": "f", "overlaps": "f"}
log = logging.getLogger(__name__)


class ShardStore(Sendable):
    """The files of a packed folder; reads single frames out of its shards.

    Shards from an address are fetched whole when they are first needed, by one process at a time, and the least
    recently used ones are deleted while all in the cache take more than `cache_bytes`. What was fetched belongs to the
    address and its `packed.json`: a folder that was prepared again is fetched again. Objects can be sent to other
    processes; each opens its own files.

    Args:
        root: a folder, or an address that fsspec understands (`s3://`, `gs://`, ...).
        cache: the folder for fetched files; `default_cache()` by default.
        cache_bytes: its size.

    Raises:
        UserError: when the address cannot be reached.
    """

    def __init__(self, root: str | Path, cache: Path | None = None, cache_bytes: int = CACHE_BYTES) -> None:
        self.root, self._cache_bytes = str(root).rstrip("/"), cache_bytes
        self.remote = is_remote(root)
        self._folder = (cache or default_cache()) / self._version() if self.remote else Path(root)

    def fetch(self, name: str) -> Path:
        """A file of the packed folder as a local path.

        Args:
            name: of the file.

        Raises:
            UserError: when it is missing.
        """
        path = self._folder / name
        if path.is_file():
            return path
        if not self.remote:
            raise UserError(f"{str(path)!r} is missing: copy the whole packed folder, or prepare it again.")
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(str(self._folder / f".{name}.lock")):
            if not path.is_file():
                self._download(name, path)
        return path

    def fetch_shards(self, shards: Iterable[int]) -> None:
        """Fetches shards that will be read later; where one cannot be fetched, that is logged.

        Args:
            shards: their numbers.
        """
        try:
            for shard in dict.fromkeys(shards):
                self.fetch(self.shard_names[shard])
        except UserError as error:
            log.warning("%s", error)  # reading the shard will report it again

    @cached_property
    def shard_names(self) -> list[str]:
        """The shards in order, from `index.json`."""
        path = self.fetch("index.json")
        with unreadable_as(f"{str(path)!r} is damaged: copy it again, or prepare the videos again."):
            names = [chunk["filename"] for chunk in json.loads(path.read_text(encoding="utf-8"))["chunks"]]
            if climbing := [name for name in names if Path(name).name != name]:
                raise UserError(f"{str(path)!r} names a shard outside its folder, {climbing[0]!r}: prepare it again.")
            return names

    def read(self, shard: int, items: Sequence[int]) -> list[StoredFrame]:
        """Some frames of one shard.

        Args:
            shard: its number.
            items: the numbers of the frames in it.

        Raises:
            UserError: when the file is cut off or is no shard.
        """
        with unreadable_as(f"{self.root}/index.json has no shard {shard}: prepare the videos again."):
            name = self.shard_names[shard]
        file, found = self._opened(name), []
        size = os.fstat(file.fileno()).st_size
        for item in items:
            message = f"{self.root}/{name} is damaged at item {item}: copy it again, or prepare the videos again."
            with unreadable_as(message):
                begin, end = np.frombuffer(os.pread(file.fileno(), 8, 4 + 4 * item), "<u4").tolist()
                if end > size:
                    raise ValueError(f"it would end at byte {end} of {size}")
                found.append(StoredFrame.from_bytes(os.pread(file.fileno(), end - begin, begin)))
        return found

    @cached_property
    def _opened(self) -> Callable[[str], "_Shard"]:
        @lru_cache(OPEN_FILES)  # what falls out of it is closed
        def opened(name: str) -> _Shard:
            for _ in range(_TRIES):
                path = self.fetch(name)
                with suppress(FileNotFoundError):  # another process has made room just now
                    if self.remote:
                        os.utime(path)  # the cache deletes what was opened longest ago
                    return _Shard(path)
            raise UserError(f"{str(path)!r} is removed as soon as it is fetched: give the cache more room.")

        return opened

    def _version(self) -> str:
        """Names this address and what lies there now."""
        with reaching(f"{self.root}/packed.json") as (system, where):
            return hashlib.sha256(self.root.encode() + system.cat_file(where)).hexdigest()[:16]

    def _download(self, name: str, path: Path) -> None:
        temporary = path.with_name(f".{name}.part")
        with reaching(f"{self.root}/{name}") as (system, where):
            if name.endswith(".bin"):
                self._make_room(system.info(where)["size"])
            system.get_file(where, str(temporary))
        temporary.replace(path)

    def _make_room(self, size: int) -> None:
        shards = []
        for path in self._folder.parent.glob("*/*.bin"):
            with suppress(FileNotFoundError):  # other processes make room, too
                shards.append((path.stat().st_mtime, path.stat().st_size, path))
        total = size + sum(taken for _, taken, _ in shards)
        for _, taken, path in sorted(shards):
            if total <= self._cache_bytes:
                return
            total -= taken
            path.unlink(missing_ok=True)  # open files can still be read


class _Shard(FileIO):
    """An open file that is closed when nobody uses it any more."""

    def __del__(self) -> None:
        self.close()


def default_cache() -> Path:
    """`VIDEO_AE_CACHE`, else `video-ae` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("VIDEO_AE_CACHE") or Path(base) / "video-ae")


class PackedVideos(Sendable, ClipSource):
    """Segments of videos, each as one video of small frames; any frame is read at once, without decoding others.

    Args:
        root: a folder, or an address such as `s3://bucket/packed`; then shards are fetched as they are needed.
        cache: the folder for these, as in `ShardStore`.

    Raises:
        UserError: when the root is no complete packed folder.
    """

    def __init__(self, root: str | Path, cache: Path | None = None) -> None:
        self.store = ShardStore(root, cache)
        path = self.store.fetch("packed.json")
        with unreadable_as(f"{str(root)!r} has a packed.json that is damaged: prepare the videos again."):
            about = json.loads(path.read_text(encoding="utf-8"))
            check_version(int(about.get("format", 1)), PACKED_VERSION, path)
            self.skipped = dict(about["quarantined"])
            gaps = about["overlap_gaps"]
            version = about.get("cameras")
        if gaps != list(OVERLAP_GAPS):
            raise UserError(f"{str(root)!r} was prepared by another version of video-ae: prepare the videos again.")
        self._has_cameras = version == CAMERAS_VERSION
        if version not in (None, CAMERAS_VERSION):
            log.warning("%s: its cameras are of another version and are found anew", root)
        self._table_path = self.store.fetch("segments.npy")
        _ = self.table  # says at once where it is damaged

    @cached_property
    def table(self) -> np.ndarray:
        """A row a segment, memory-mapped, so that memory does not grow with it.

        Its `name`, the number of its `video`, the number of its `shard` (ascending), which item of the shard its
        `first` frame is, how many `frames` it has, its `rate` (median frames per second, NaN without times) and its
        `overlaps` ([gap]: the share of the frame that frames `OVERLAP_GAPS` apart have in common).
        """
        message = f"{str(self._table_path)!r} is damaged: prepare the videos again."
        with unreadable_as(message, None, TokenError, SyntaxError):  # of numpy, at the header of an array
            return _checked_table(np.load(self._table_path, mmap_mode="r"))

    @cached_property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        """The name of each segment."""
        return _Names(self.table["name"])

    def frame_count(self, number: int) -> int:
        return int(self.table["frames"][number])

    def read(self, number: int, indices: Sequence[int]) -> ByteClip:
        """Frames of one segment as they are stored, with their numbers and times in the whole video.

        Args:
            number: of the segment.
            indices: of the frames in it.

        Raises:
            IndexError: when an index is outside the segment.
            UserError: when the shard is damaged.
        """
        row = self.table[number]
        items = [int(row["first"]) + index for index in check_indices(indices, int(row["frames"]))]
        stored = self.store.read(int(row["shard"]), items)
        with unreadable_as(f"{self.names[number]!r} has a damaged frame: prepare the videos again."):
            frames = decode_frames(stored)
        times = torch.tensor([frame.time for frame in stored], dtype=torch.float64)
        numbers = torch.tensor([frame.number for frame in stored])
        return ByteClip(frames, numbers, times, self.names[number], estimate=self._cameras(int(row["shard"]), items))

    def _cameras(self, shard: int, items: list[int]) -> CameraEstimate | None:
        """What is stored of the cameras of some frames of a shard."""
        if not self._has_cameras:
            return None
        path = self.store.fetch(cameras_of_shard(shard))
        with unreadable_as(f"{str(path)!r} is damaged: copy it again, or prepare the videos again."):
            return estimate_from(np.load(path, mmap_mode="r")[items])

    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:
        clip = self.read(number, range(self.frame_count(number)) if indices is None else indices)
        resizing = plan_resizing((clip.frames.shape[-1], clip.frames.shape[-2]), size, fit)
        return VideoClip(resizing.frames(clip.frames), clip.indices, clip.times, name=clip.name)


def _checked_table(table: np.ndarray) -> np.ndarray:
    """The table; ValueError where it has other columns than `PackedVideos.table` says, or other kinds of them."""
    kinds = {name: table.dtype[name].base.kind for name in table.dtype.names or ()}
    if table.ndim != 1 or not all(str(kinds.get(name)) in allowed for name, allowed in _COLUMNS.items()):
        raise ValueError(f"it has the columns {kinds}")
    if any(table.dtype[name].shape for name in _COLUMNS if name != "overlaps"):
        raise ValueError("it has several values in a column of one")
    frames = table["frames"]
    if ((frames < 1) | (frames > _MOST_FRAMES)).any():
        raise ValueError(f"it has a segment of {frames.min()} or {frames.max()} frames")
    return table


class _Names(Sequence[str]):
    """Names that are read from the mapped table when they are asked for."""

    def __init__(self, column: np.ndarray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, number: Any) -> Any:  # a name, or the names of a slice
        if isinstance(number, slice):
            return _Names(self._column[number])
        return os.fsdecode(bytes(self._column[number]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)
