"""The videos of a folder, of a list, or of a folder in object storage."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from video_ae.annotation.video_job import VideoJob
from video_ae.datasets.object_storage import is_remote, reaching
from video_ae.datasets.video_folder import VIDEO_SUFFIXES, lies_in, search_videos, short_names
from video_ae.errors import UserError

LIST_SUFFIXES = (".txt", ".lst")


def list_videos(source: str, leave_out: str = "") -> list[VideoJob]:
    """The videos of a source in a fixed order; none of them is opened.

    Args:
        source: a folder or a video, here or in object storage; or a text file (.txt, .lst) with a path or an address a
            line, in which empty lines and those that begin with # do not count.
        leave_out: a folder here whose content is not listed.

    Raises:
        UserError: the source does not exist, cannot be reached, or has no videos.
    """
    if source.lower().endswith(LIST_SUFFIXES):
        jobs = _listed_in(source)
    elif is_remote(source):
        jobs = _below_address(source)
    else:
        jobs = _below_folder(Path(source), Path(leave_out) if leave_out else None)
    if not jobs:
        raise UserError(f"{source!r} holds no videos: give a folder with videos, or a list of them (.txt).")
    return jobs


def _below_folder(root: Path, leave_out: Path | None) -> list[VideoJob]:
    found, _ = search_videos(root)
    paths = [path for path in found if leave_out is None or not lies_in(path, leave_out)]
    return [_local_job(name, path) for name, path in zip(short_names(root, paths), paths, strict=True)]


def _local_job(name: str, path: Path) -> VideoJob:
    """A job; a file that is gone gets one, too, whose row will say so."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = [os.stat(file) for file in files if file.exists()]
    newest = max((state.st_mtime_ns for state in states), default=0)
    return VideoJob(name, str(path.absolute()), sum(state.st_size for state in states), str(newest))


def _below_address(root: str) -> list[VideoJob]:
    with reaching(root) as (system, where):
        found = system.find(where, detail=True)
    if list(found) == [where]:  # one video
        return [_remote_job(PurePosixPath(where).stem, root, found[where])]
    scheme, base = root.partition("://")[0], where.rstrip("/")
    videos = {path: about for path, about in sorted(found.items()) if _is_video(path.removeprefix(base))}
    names = _without_suffixes([path.removeprefix(base).lstrip("/") for path in videos])
    pairs = zip(names, videos.items(), strict=True)
    return [_remote_job(name, f"{scheme}://{path}", about) for name, (path, about) in pairs]


def _is_video(path: str) -> bool:
    hidden = any(part.startswith(".") for part in PurePosixPath(path).parts)
    return PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES and not hidden


def _remote_job(name: str, address: str, about: dict) -> VideoJob:
    changed = next((about[key] for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if key in about), "")
    return VideoJob(name, address, int(about.get("size") or 0), str(changed).strip('"'))


def _listed_in(source: str) -> list[VideoJob]:
    with reaching(source) as (system, where):
        text = system.cat_file(where).decode("utf-8-sig", "surrogateescape")  # as Python has names of files
    lines = [line.strip() for line in text.split("\n")]
    addresses = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    # Paths in a list are relative to the list, as they are in playlists.
    base = None if is_remote(source) else Path(source).absolute().parent
    addresses = [one if is_remote(one) or base is None else str(base / one) for one in addresses]
    names = _without_suffixes(_below_common_folder(addresses))
    return [
        _looked_up(name, address) if is_remote(address) else _local_job(name, Path(address))
        for name, address in zip(names, addresses, strict=True)
    ]


def _looked_up(name: str, address: str) -> VideoJob:
    with reaching(address) as (system, where):
        try:
            return _remote_job(name, address, system.info(where))
        except FileNotFoundError:
            return VideoJob(name, address, 0, "")


def _below_common_folder(addresses: Sequence[str]) -> list[str]:
    if len({address.partition("://")[0] for address in addresses if is_remote(address)}) > 1 or not addresses:
        return [address.replace("://", "/") for address in addresses]
    if len({is_remote(address) for address in addresses}) > 1:
        return [address.replace("://", "/").lstrip("/") for address in addresses]
    common = os.path.commonpath([str(PurePosixPath(address).parent) for address in addresses])
    return [str(PurePosixPath(address).relative_to(common)) for address in addresses]


def _without_suffixes(names: Sequence[str]) -> list[str]:
    """Names without the suffix of a video where that is unique."""
    short = [name if not _is_video(name) else name[: -len(PurePosixPath(name).suffix)] for name in names]
    times = Counter(short)
    return [name if times[name] == 1 else whole for name, whole in zip(short, names, strict=True)]
