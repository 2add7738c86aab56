"""Geometry in full precision, also where training runs in 16 bits."""

from collections.abc import Callable
from typing import TypeVar

import torch

F = TypeVar("F", bound=Callable)


def full_precision(function: F) -> F:
    """Without autocast, which computes matrix products in 16 bits: bfloat16 places a point of a picture 128 pixels wide
    to half a pixel, and knows no linear solvers. What a network says in 16 bits must be made longer before.

    >>> product = full_precision(torch.matmul)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     (torch.eye(2) @ torch.eye(2)).dtype, product(torch.eye(2), torch.eye(2)).dtype
    (torch.bfloat16, torch.float32)
    """
    return torch.autocast("cuda", enabled=False)(torch.autocast("cpu", enabled=False)(function))
