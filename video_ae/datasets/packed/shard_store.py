"""Reads single frames out of shards, from a folder or, through a bounded cache, from object storage.

LitData's own reader keeps threads and locks for an order of samples of its own, and its package demands torchvision,
which breaks beside a CPU build of torch. Here any process reads any frame by its offset (docs/data.md).
"""

import hashlib
import json
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from video_ae.datasets.packed.shards import StoredFrame
from video_ae.errors import UserError

OPEN_FILES = 64
CACHE_BYTES = 50 * 2**30


def is_remote(root: str | Path) -> bool:
    """Whether a root names object storage, such as `s3://bucket/folder`.

    Args:
        root: a path or an address.
    """
    return "://" in str(root)


class ShardStore:
    """The files of a packed folder.

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
        self._files: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._names: list[str] = []

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_files", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _files=OrderedDict(), _lock=threading.Lock())

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

    def shard_names(self) -> list[str]:
        """The shards in order, from `index.json`."""
        if not self._names:
            index = json.loads(self.fetch("index.json").read_text())
            self._names = [chunk["filename"] for chunk in index["chunks"]]
        return self._names

    def read(self, shard: int, items: Sequence[int]) -> list[StoredFrame]:
        """Some frames of one shard.

        Args:
            shard: its number.
            items: the numbers of the frames in it.

        Raises:
            UserError: when the file is cut off or is no shard.
        """
        name = self.shard_names()[shard]
        file = self._open(name)
        found = []
        try:
            for item in items:
                begin, end = np.frombuffer(os.pread(file, 8, 4 + 4 * item), "<u4").tolist()
                found.append(StoredFrame.from_bytes(os.pread(file, end - begin, begin)))
        except ValueError as error:
            raise UserError(
                f"{self.root}/{name} is damaged at item {item}: copy it again, or prepare the videos again."
            ) from error
        return found

    def _open(self, name: str) -> int:
        with self._lock:
            if name in self._files:
                self._files.move_to_end(name)
                return self._files[name]
        path = self.fetch(name)
        if self.remote:
            os.utime(path)  # the cache deletes what was opened longest ago
        with self._lock:
            if name not in self._files:
                self._files[name] = os.open(path, os.O_RDONLY)
            if len(self._files) > OPEN_FILES:
                os.close(self._files.popitem(last=False)[1])
            return self._files[name]

    def _version(self) -> str:
        """Names this address and what lies there now."""
        with _reaching(f"{self.root}/packed.json") as (system, where):
            return hashlib.sha256(self.root.encode() + system.cat_file(where)).hexdigest()[:16]

    def _download(self, name: str, path: Path) -> None:
        temporary = path.with_name(f".{name}.part")
        with _reaching(f"{self.root}/{name}") as (system, where):
            if name.endswith(".bin"):
                self._make_room(system.info(where)["size"])
            system.get_file(where, str(temporary))
        temporary.replace(path)

    def _make_room(self, size: int) -> None:
        shards = sorted(self._folder.parent.glob("*/*.bin"), key=lambda path: path.stat().st_mtime)
        total = size + sum(path.stat().st_size for path in shards)
        for path in shards:
            if total <= self._cache_bytes:
                return
            total -= path.stat().st_size
            path.unlink(missing_ok=True)  # open files can still be read

    def clear_cache(self) -> None:
        """Deletes what was fetched from the address; a folder's own files stay."""
        if self.remote:
            shutil.rmtree(self._folder, ignore_errors=True)


def default_cache() -> Path:
    """`VIDEO_AE_CACHE`, else `video-ae` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("VIDEO_AE_CACHE") or Path(base) / "video-ae")


@contextmanager
def _reaching(address: str) -> Iterator[tuple[Any, str]]:
    """(fsspec's file system, path in it); what goes wrong inside becomes a UserError."""
    try:
        import fsspec

        yield fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise UserError(f"{address!r} needs another package: {error}") from error
    except Exception as error:  # each kind of storage has a library with errors of its own
        raise UserError(f"{address!r} cannot be read ({error}): check the address and your access to it.") from error
