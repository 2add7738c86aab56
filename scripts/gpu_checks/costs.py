"""What a piece of work costs: seconds, operations, bytes, host synchronisations; and what the device could do."""

import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

PACKAGE = Path(__file__).resolve().parents[2] / "video_ae"
# Results of these are written by whoever fills them, or are views that the schema does not call so.
NO_TRAFFIC = {"aten.empty", "aten.new_empty", "aten.empty_like", "aten.empty_strided", "aten._unsafe_view"}
GATHERING = {"aten.index", "aten.gather", "aten.index_select"}  # read no more than they write
OVERWRITING = {"aten.copy_", "aten.fill_", "aten.zero_"}  # do not read their first argument
SYNCHRONISING = "called a synchronizing CUDA operation"


def synchronize(device: torch.device) -> None:
    """Waits until the device has done what it was told.

    Args:
        device: nothing is to be waited for where it is not CUDA.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[int], object], device: torch.device, repeats: int, warm: bool = False) -> float:
    """The mean of the seconds that calls take, after a round of the same calls that is not counted.

    Args:
        work: called with 0, 1, ..., `repeats` - 1.
        device: on which it computes.
        repeats: at least one.
        warm: leaves out the first round, since the work has been done before.
    """
    for _ in range(1 if warm else 2):
        synchronize(device)
        begin = time.perf_counter()
        for number in range(repeats):
            work(number)
        synchronize(device)
        seconds = time.perf_counter() - begin
    return seconds / repeats


def _bytes(tensor: torch.Tensor) -> int:
    """Of the memory that it occupies; what is only repeated counts once."""
    kept = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride or size == 0]
    count = 1
    for size in kept:
        count *= size
    return count * tensor.element_size()


class ByteCounter(TorchDispatchMode):
    """Sums the bytes that operations read and write, each operation by itself: the traffic of unfused code."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = str(getattr(func, "overloadpacket", func))
        if not (getattr(func, "is_view", False) or name in NO_TRAFFIC):
            inputs = args[1:] if name in OVERWRITING else args
            written = sum(_bytes(x) for x in tree_leaves(result) if isinstance(x, torch.Tensor))
            read = sum(_bytes(x) for x in tree_leaves((inputs, kwargs)) if isinstance(x, torch.Tensor))
            self.total += written + (min(read, 2 * written) if name in GATHERING else read)
        return result


@contextmanager
def tensor_operations() -> Iterator[None]:
    """Within it the processor too computes by tensor operations, which can be counted, and not by compiled loops."""
    from video_ae import compiled

    before = compiled._is_installed
    compiled._is_installed = lambda: False  # type: ignore[assignment]
    try:
        yield
    finally:
        compiled._is_installed = before


def cost_of(work: Callable[[int], object], repeats: int = 1) -> dict[str, float]:
    """Mean floating-point operations (of matrix products and convolutions) and bytes read and written of a call.

    Args:
        work: called with 0, 1, ..., `repeats` - 1.
        repeats: at least one.
    """
    with tensor_operations(), FlopCounterMode(display=False) as operations, ByteCounter() as traffic:
        for number in range(repeats):
            work(number)
    return {"flops": operations.get_total_flops() / repeats, "bytes": traffic.total / repeats}


def _multiplied(one: torch.Tensor, two: torch.Tensor, _: int) -> torch.Tensor:
    return one @ two


def device_peaks(device: torch.device, side: int, megabytes: int, repeats: int = 5) -> dict[str, float]:
    """What the device does at best: FLOP/s of large matrix products by precision, bytes/s of a large copy.

    Args:
        device: to measure.
        side: of the square matrices.
        megabytes: of the copy's source.
        repeats: products and copies that are timed together.
    """
    found = {}
    before = torch.get_float32_matmul_precision()
    kinds = {"fp32": (torch.float32, "highest"), "bf16": (torch.bfloat16, "highest")}
    if device.type == "cuda":
        kinds["tf32"] = torch.float32, "high"
    try:
        for name, (kind, precision) in kinds.items():
            torch.set_float32_matmul_precision(precision)
            one, two = (torch.randn(side, side).to(device, kind) for _ in range(2))
            seconds = seconds_of(partial(_multiplied, one, two), device, repeats)
            found[f"{name}_flops_per_second"] = 2 * side**3 / seconds
    finally:
        torch.set_float32_matmul_precision(before)
    source = torch.zeros(megabytes * 2**18).to(device)
    target = torch.empty_like(source)
    seconds = seconds_of(lambda _: target.copy_(source), device, repeats)
    return found | {"bytes_per_second": 2 * _bytes(source) / seconds}


def beside_floor(seconds: float, cost: dict[str, float], peaks: dict[str, float], precision: str) -> dict[str, Any]:
    """The least time that the counted work can take, and which share of the measured time that is.

    Args:
        seconds: measured.
        cost: as of `cost_of`.
        peaks: as of `device_peaks`.
        precision: of the matrix products, as in the names of the peaks.
    """
    arithmetic = cost["flops"] / peaks[f"{precision}_flops_per_second"]
    memory = cost["bytes"] / peaks["bytes_per_second"]
    floor = max(arithmetic, memory)
    bound = "arithmetic" if arithmetic > memory else "memory"
    return {**cost, "seconds": seconds, "floor_seconds": floor, "bound": bound, "floor_share": floor / seconds}


def memory_peak(device: torch.device) -> float:
    """GiB: the most that was allocated on a CUDA device since the statistics were reset; elsewhere of this process.

    Args:
        device: whose memory.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def _place() -> str:
    """FILE:LINE of the innermost line of the package that is being executed; without one, of torch's optimizers."""
    frame: FrameType | None = sys._getframe(1)
    found = "outside the package"
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            return f"{path.relative_to(PACKAGE.parent).as_posix()}:{frame.f_lineno}"
        if path.parent.name == "optim":
            found = f"torch/optim/{path.name}:{frame.f_lineno}"
        frame = frame.f_back
    return found


class _Transfers(TorchDispatchMode):
    """Counts what makes the host wait for a device: single numbers, copies to the CPU, results of unknown size."""

    def __init__(self, places: Counter[str], device: torch.device) -> None:
        super().__init__()
        self._places, self._device = places, device
        self.copied_at: str | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name, kwargs = str(getattr(func, "overloadpacket", func)), kwargs or {}
        moved = name == "aten._to_copy" and kwargs.get("device") is not None
        home = moved and torch.device(kwargs["device"]).type == "cpu" and args[0].device.type != "cpu"
        filled = name == "aten.copy_" and args[0].device.type == "cpu" and args[1].device.type != "cpu"
        single = name in ("aten._local_scalar_dense", "aten.nonzero") and args[0].device.type == self._device.type
        if home or filled or single:
            place = _place()
            self._places[place] += 1
            self.copied_at = None if single else place
        return func(*args, **kwargs)


class _Lists(TorchFunctionMode):
    """Counts `tolist` on the CPU, which no operation shows, unless its line has just copied to the CPU; on a pretended
    device that of its tensors, which call it on what they hold."""

    def __init__(self, places: Counter[str], transfers: _Transfers, device: torch.device) -> None:
        super().__init__()
        self._places, self._transfers, self._device = places, transfers, device

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        inner = sys._getframe(1).f_code.co_name == "tolist"
        if func is torch.Tensor.tolist and (inner or self._device.type == "cpu"):
            place = _place()
            self._places[place] += place != self._transfers.copied_at
            self._transfers.copied_at = None
        return func(*args, **(kwargs or {}))


@contextmanager
def host_synchronisations(device: torch.device) -> Iterator[Counter[str]]:
    """Within it, counts how often the host waits for the device, by FILE:LINE.

    On CUDA by the warnings of its debug mode; elsewhere by the calls that would wait there.

    Args:
        device: on which the work computes.
    """
    places: Counter[str] = Counter()
    if device.type != "cuda":
        with _Transfers(places, device) as transfers, _Lists(places, transfers, device):
            yield places
        return

    def note(message: Any, *_: Any, **__: Any) -> None:
        if SYNCHRONISING in str(message):
            places[_place()] += 1

    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            torch.cuda.set_sync_debug_mode(before)
