"""Steps of a long computation whose results stay on disk: one that was interrupted goes on where it stood.

Code says `kept("submap", compute)` around what takes a while. Inside `keeping_steps(folder)` the result is written into
the folder, and read from it when the same computation is made again; elsewhere nothing is written. What is computed
takes the same steps in the same order each time, so a step is known by its number and name; steps may have steps.
Tensors of kept results lie in their files and come into memory where they are looked at, so that long videos fit.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from video_ae.registry import find_class

Value = TypeVar("Value")
_BLOCK = 2**20


@dataclass
class _Current:
    """Where the next step's result belongs: a folder, and how many steps have been there."""

    folder: Path
    taken: int = 0


_current: ContextVar[_Current | None] = ContextVar("steps", default=None)


@contextmanager
def keeping_steps(folder: Path) -> Iterator[None]:
    """Keeps the results of `kept` within it.

    Args:
        folder: for these results alone; it may hold those of an earlier run of the same computation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    token = _current.set(_Current(folder))
    try:
        yield
    finally:
        _current.reset(token)


def kept(name: str, compute: Callable[[], Value]) -> Value:
    """The result of a step: computed, or read where it is known already; its tensors are not to be changed.

    Args:
        name: of the step, as a file name.
        compute: without arguments; returns tensors, records of them, numbers and texts, in any lists and tuples.
    """
    current = _current.get()
    if current is None:
        return compute()
    current.taken += 1
    inner = current.folder / f"{current.taken:05d}-{name}"
    file = inner.with_name(f"{inner.name}.pt")
    if file.is_file() and (known := _read(file)) is not None:
        return known[0]
    with keeping_steps(inner):
        value = compute()
    _write(file, value)
    shutil.rmtree(inner, ignore_errors=True)
    known = _read(file)
    return value if known is None else known[0]


def scratch(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | None = None) -> Tensor:
    """A tensor to be filled; inside `keeping_steps` one of the processor's lies on disk, and in memory where it is
    looked at.

    Args:
        shape, dtype, device: of the tensor; None: the processor.
    """
    current, on_processor = _current.get(), device is None or device.type == "cpu"
    if current is None or not on_processor or math.prod(shape) == 0:
        return torch.empty(shape, dtype=dtype, device=device)
    handle, name = tempfile.mkstemp(dir=current.folder, prefix="scratch-")
    try:
        with open(handle, "rb+", closefd=True) as file:
            _reserve(file, math.prod(shape) * dtype.itemsize)
        return torch.from_file(name, shared=True, size=math.prod(shape), dtype=dtype).reshape(shape)
    finally:
        with suppress(OSError):  # open files have no name where the system allows it, and go with the folder where not
            os.unlink(name)


def _reserve(file: BinaryIO, size: int) -> None:
    """Takes room on the disk now: where it ran out later, the system would end the process at the tensor's bytes."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:  # macOS
        for start in range(0, size, _BLOCK):
            file.write(bytes(min(_BLOCK, size - start)))


def _write(file: Path, value: object) -> None:
    temporary = file.with_suffix(".part")
    with temporary.open("wb") as stream:
        torch.save((_compact(value),), stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


def _compact(value: Any) -> Any:
    """The same without what tensors share their memory with, which would be saved as well."""
    if isinstance(value, Tensor):
        return value.clone() if value.untyped_storage().nbytes() > value.nbytes else value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _compact(getattr(value, one.name)) for one in fields(value)})
    if isinstance(value, list | tuple):
        return type(value)(_compact(one) for one in value)
    return value


def _read(file: Path) -> tuple[Any] | None:
    """What was written, in a tuple; None where the file is damaged, or holds records of others."""
    try:
        names = get_unsafe_globals_in_checkpoint(str(file))
        kinds = [find_class(name) for name in names if name.startswith("video_ae.")]
        if len(kinds) < len(names) or not all(map(is_dataclass, kinds)):
            return None
        with safe_globals([*kinds]):
            value: tuple[Any] = torch.load(file, weights_only=True, mmap=True)
        return value
    except Exception:  # whatever damage looks like to torch
        return None
