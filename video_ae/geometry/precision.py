"""Geometry in full precision, also where training runs in 16 bits."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Without autocast, which computes matrix products in 16 bits: bfloat16 places a point of a picture 128 pixels wide
    to half a pixel, and knows no linear solvers. What a network says in 16 bits must be made longer before.

    >>> product = full_precision(torch.matmul)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     (torch.eye(2) @ torch.eye(2)).dtype, product(torch.eye(2), torch.eye(2)).dtype
    (torch.bfloat16, torch.float32)
    """

    @wraps(function)
    def without_autocast(*args: P.args, **kwargs: P.kwargs) -> R:
        # New for each call: a context that threads share, as a viewer's and a training's, would mix up their states.
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            return function(*args, **kwargs)

    return without_autocast
