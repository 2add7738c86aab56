"""How many threads torch computes on: where the result must not depend on it, and where another library changes it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def same_threads() -> Iterator[None]:
    """Torch computes on as many threads afterwards as before, whatever is done to it meanwhile.

    Numba's OpenMP threads are torch's, so that a library which sets their number sets torch's
    (findings/gsply_changes_torch_threads.sh).
    """
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread meanwhile.

    A sum over all elements, and LAPACK's factorizations, add in an order that follows from the number of threads, and
    iterations make more of their last bit. Other operations give each of their results to one thread.
    """
    if torch.get_num_threads() == 1:
        yield
        return
    with same_threads():
        torch.set_num_threads(1)
        yield


def mean_of_all(values: Tensor) -> Tensor:
    """The mean of all elements, the same on any number of threads.

    Args:
        values: of any shape.
    """
    with one_thread():
        return values.mean()
