"""How many threads torch computes on, where the result must not depend on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
