"""Mean, median and bootstrap interval over the clips of a table, and rank correlation.

A row is a mapping from names to numbers, None or such mappings again; anything else in it (texts, lists) is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def summarise(rows: Sequence[Mapping[str, Any]], summary: Callable[[list[float]], Any]) -> dict[str, Any]:
    """Applies `summary` to each number of the rows over those rows that have one; None where none has.

    Args:
        rows: as described above.
        summary: of at least one number.

    >>> import statistics
    >>> summarise([{"a": 1.0, "b": {"c": None}}, {"a": 3.0, "b": {"c": 2.0}}, {"a": None}], statistics.fmean)
    {'a': 2.0, 'b': {'c': 2.0}}
    """
    result: dict[str, Any] = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(key) for row in rows]
        nested = [value for value in values if isinstance(value, Mapping)]
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        if inner := summarise(nested, summary):
            result[key] = inner
        elif numbers:
            result[key] = summary(numbers)
        elif all(value is None for value in values):
            result[key] = None
    return result


def bootstrap_interval(
    values: Sequence[float], share: float = 0.95, samples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean over resampled clips (Efron 1979); one value gives an interval of no width.

    Args:
        values: one per clip.
        share: of the resampled means that lie inside.
        samples: resampled sets.
        seed: of the resampling.

    Returns:
        Its lower and its upper end.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("a bootstrap interval needs at least one value, got none")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(values), (samples, len(values)), generator=generator)
    means = torch.tensor(list(values), dtype=torch.float64)[drawn].mean(-1)
    low, high = means.quantile(torch.tensor([(1 - share) / 2, (1 + share) / 2], dtype=torch.float64)).tolist()
    return low, high


def rank_correlation(a: Float[Tensor, "n"], b: Float[Tensor, "n"]) -> float | None:
    """Spearman's rank correlation with ties at their mean rank; None where either side does not vary.

    Args:
        a, b: values of the same things.
    """
    values = torch.stack([a, b]).double()
    below = (values[:, :, None] > values[:, None]).double().sum(-1)
    equal = (values[:, :, None] == values[:, None]).double().sum(-1)
    ranks = below + (equal - 1) / 2
    centred = ranks - ranks.mean(-1, keepdim=True)
    power = centred.square().sum(-1).prod().sqrt().item() if len(a) > 1 else 0.0
    return centred.prod(0).sum().item() / power if power > 0 else None
