"""Geometry in full precision where training runs in mixed precision."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator that disables autocast inside a function.

    Autocast computes matrix products in 16 bits: bfloat16 locates a point in an image 128 pixels wide only to half a
    pixel, and there are no linear solvers for it. Outputs of networks in 16 bits must be converted to float32 before.

    Args:
        function: computes in the dtype of its arguments.

    >>> product = full_precision(torch.matmul)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     (torch.eye(2) @ torch.eye(2)).dtype, product(torch.eye(2), torch.eye(2)).dtype
    (torch.bfloat16, torch.float32)
    """

    @wraps(function)
    def without_autocast(*args: P.args, **kwargs: P.kwargs) -> R:
        # New for each call: a context shared by threads (a viewer's and a training's) would mix up their states.
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            return function(*args, **kwargs)

    return without_autocast
