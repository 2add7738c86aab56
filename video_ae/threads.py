"""How many threads torch computes on, where the result must not depend on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread meanwhile.

    A sum over all elements, and LAPACK's factorizations, add in an order that follows from the number of threads, and
    iterations make more of their last bit. Other operations give each of their results to one thread.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def mean_of_all(values: Tensor) -> Tensor:
    """The mean of all elements, the same on any number of threads.

    Args:
        values: of any shape.
    """
    with one_thread():
        return values.mean()
