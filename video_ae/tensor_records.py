"""Frozen dataclasses of tensors that are moved, sliced and joined like a tensor: what `video_ae.types` is made of."""

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, ClassVar, TypeVar, get_args

import torch
from torch import Tensor

Record = TypeVar("Record", bound="TensorRecord")  # the shape checker of the tests does not know `Self`


class TensorRecord:
    """A frozen dataclass of tensors that is moved, sliced and joined like a tensor.

    The shape words of its fields name the axes: `Float[Tensor, "*batch frame 4 4"]` has a frame axis, whatever batch
    axes stand before it. Records within records follow; what is no tensor stays, and joined tuples are chained.
    """

    axis: ClassVar[str] = "frame"
    """The axis that `select` and `cat` work on."""

    def to(self: Record, *args: Any, **kwargs: Any) -> Record:
        """The same values on another device or, those with a decimal point, in another precision.

        Args:
            *args, **kwargs: as for `torch.Tensor.to`.
        """
        plain = [arg for arg in args if not isinstance(arg, torch.dtype)]
        device = {key: value for key, value in kwargs.items() if key != "dtype"}

        def move(tensor: Tensor, axes: tuple[str, ...]) -> Tensor:
            return tensor.to(*args, **kwargs) if tensor.is_floating_point() else tensor.to(*plain, **device)

        return self._map(move)

    def __getitem__(self: Record, index: Any) -> Record:
        """Every tensor indexed along its first axes: `batch[0]` is one clip of a batch, `clip[None]` a batch of one."""
        return self._map(lambda tensor, axes: tensor[index])

    def select(self: Record, chosen: Any) -> Record:
        """Some entries along the record's own axis (`frame` for cameras); tensors without it stay as they are.

        Args:
            chosen: a slice, a list of numbers, an integer tensor or a mask.
        """

        def pick(tensor: Tensor, axes: tuple[str, ...]) -> Tensor:
            if self.axis not in axes:
                return tensor
            return tensor[(..., chosen, *[slice(None)] * (len(axes) - axes.index(self.axis) - 1))]

        return self._map(pick)

    def record_stream(self, stream: Any) -> None:
        """Keeps the memory of every tensor until a stream is done with it (`torch.Tensor.record_stream`).

        Args:
            stream: of the tensors' device.
        """

        def keep(tensor: Tensor, axes: tuple[str, ...]) -> Tensor:
            tensor.record_stream(stream)
            return tensor

        self._map(keep)

    @classmethod
    def cat(cls: type[Record], records: Sequence[Record]) -> Record:
        """Records joined along their own axis; tensors without it are the first record's.

        Args:
            records: at least one.
        """

        def join(tensors: list[Tensor], axes: tuple[str, ...]) -> Tensor:
            return torch.cat(tensors, axes.index(cls.axis) - len(axes)) if cls.axis in axes else tensors[0]

        return cls._join(records, join)

    @classmethod
    def stack(cls: type[Record], records: Sequence[Record]) -> Record:
        """Records of one shape side by side, on a new first axis: clips become a batch.

        Args:
            records: at least one.
        """
        return cls._join(records, lambda tensors, axes: torch.stack(tensors))

    def _map(self: Record, change: Callable[[Tensor, tuple[str, ...]], Tensor]) -> Record:
        assert is_dataclass(self)
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        axes = _axes(type(self))
        return replace(self, **{name: _changed(value, axes[name], change) for name, value in values.items()})

    @classmethod
    def _join(
        cls: type[Record], records: Sequence[Record], join: Callable[[list[Tensor], tuple[str, ...]], Tensor]
    ) -> Record:
        first, axes = records[0], _axes(cls)  # type: ignore[arg-type]
        joined = {name: _joined([getattr(one, name) for one in records], axes[name], join) for name in axes}
        return replace(first, **joined)  # type: ignore[type-var]


class CountedRecord(TensorRecord):
    """A record with a length: how many entries it has along its own axis."""

    def __len__(self) -> int:
        axes = _axes(type(self))  # type: ignore[arg-type]
        name = next(name for name in axes if self.axis in axes[name])
        return getattr(self, name).shape[axes[name].index(self.axis) - len(axes[name])]


@cache
def _axes(kind: type[TensorRecord]) -> dict[str, tuple[str, ...]]:
    """The names of the axes of each field, from its shape words; none for what is no tensor."""
    found = {}
    for one in fields(kind):  # type: ignore[arg-type]
        words = [getattr(part, "dim_str", "") for part in (one.type, *get_args(one.type))]
        found[one.name] = tuple(next(filter(None, words), "").split())
    return found


def _changed(value: Any, axes: tuple[str, ...], change: Callable[[Tensor, tuple[str, ...]], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value, axes)
    if isinstance(value, TensorRecord):
        return value._map(change)
    if isinstance(value, tuple):
        return tuple(_changed(part, axes, change) for part in value)
    return {key: _changed(part, axes, change) for key, part in value.items()} if isinstance(value, dict) else value


def _joined(values: list[Any], axes: tuple[str, ...], join: Callable[[list[Tensor], tuple[str, ...]], Tensor]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return join(values, axes)
    if isinstance(first, TensorRecord):
        return type(first)._join(values, join)
    if isinstance(first, tuple) and any(value != first for value in values):
        return tuple(part for value in values for part in value)
    return first
