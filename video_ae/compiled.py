"""Loops that Numba compiles for the processor at hand. Each has a twin in tensor operations, its specification.

The twin runs on other devices, in other precisions, where gradients are wanted, and where Numba is missing.
"""

import inspect
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

numba: Any
try:
    import numba
except ImportError:  # no wheel for this platform
    numba = None

Floats: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]
Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.signedinteger]


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function of arrays when it is first called, and keeps the machine code for later processes.

    Additions may be reordered, which lets them run side by side; infinities and NaNs keep their meaning.

    Args:
        function: a loop over numpy arrays; it may call inlined kernels.
    """
    return _compiled(function, {})


def inlined_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that becomes a part of each one that calls it.

    A compiler that knows where arrays lie in memory need not ask, before each short loop, whether they overlap. And the
    process that compiles adds in the same order as those that load: it has one copy of the loop, not two.

    Args:
        function: as for `kernel`.
    """
    return _compiled(function, {"forceinline": True})


def _compiled(function: Callable[..., Any], inlining: dict[str, bool]) -> Callable[..., Any]:
    if numba is None:
        return function
    plain = inspect.unwrap(function)  # without the shape checker of the tests
    options = {"nogil": True, "fastmath": {"reassoc", "contract", "arcp", "nsz"}, "error_model": "numpy"} | inlining
    try:
        return numba.njit(cache=True, **options)(plain)
    except RuntimeError:  # neither the package's folder nor the user's can be written: each process compiles
        return numba.njit(**options)(plain)


def usable(*tensors: Tensor) -> bool:
    """Whether a kernel can take these tensors: float32 on the CPU, and no gradient wanted.

    Args:
        tensors: of numbers.
    """
    fitting = all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return fitting and not wanted and _is_installed()


@lru_cache(maxsize=1)
def _is_installed() -> bool:
    """Whether there is a compiler; says once what is lost without one, or that it is at work."""
    if numba is None:
        print(
            "Numba is not installed: cameras and views take about five times as long (pip install numba).",
            file=sys.stderr,
        )
        return False
    if numba.config.DISABLE_JIT:
        return False
    numba.core.event.register("numba:compile", _Announcement())
    return True


if numba is not None:

    class _Announcement(numba.core.event.Listener):  # type: ignore[misc]
        """Says once a process that code is being compiled; what an earlier one has compiled is loaded in silence."""

        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                print(
                    "Compiling for this processor, once after an installation: half a minute in all.", file=sys.stderr
                )
            self.said = True

        def on_end(self, event: Any) -> None:
            pass


def arrays(*tensors: Tensor) -> list[Any]:
    """Tensors as the arrays that a kernel takes: C-contiguous; their memory is shared where it is so already.

    Args:
        tensors: on the CPU.
    """
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def spread(count: int, run: Callable[..., Any], *arguments: Any) -> None:
    """Runs parts of a loop on as many threads as torch may use; kernels run beside each other.

    Args:
        count: of the loop's turns.
        run: called with `arguments` and two numbers: does the turns from the first to before the last.
        *arguments: the same for all parts.
    """
    threads = max(1, min(torch.get_num_threads(), count))
    bounds = [count * i // threads for i in range(threads + 1)]
    if threads == 1:
        run(*arguments, 0, count)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(partial(run, *arguments), bounds[:-1], bounds[1:]))
