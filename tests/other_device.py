"""A device that is not the CPU, for machines without one: tensors that say `meta` and keep their numbers beside it.

Operations that mix them with tensors of the CPU fail as they would on CUDA; what is allowed there (scalars, indices,
copies) is allowed here. All that computes for real is the CPU, so results are those of the CPU, bit by bit. Not
covered: speed, kernels, streams, pinned memory, bf16.

    with other_device():
        model.to(OTHER)(frames.to(OTHER))
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

OTHER = torch.device("meta")  # the only device besides the CPU that autograd has everywhere
CROSSING = ("aten.copy_.", "aten._to_copy.")
INDEXING = ("aten.index.", "aten.index_put", "aten._index_put_impl_", "aten._unsafe_index")  # by indices of the CPU
JOINING = ("aten.cat.", "aten.stack.")  # refuse even scalars of another device


class OtherTensor(torch.Tensor):
    """inner: the numbers, on the CPU."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "OtherTensor":
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=OTHER,
        )  # fmt: skip

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.detach().inner.tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError(f"can't convert {OTHER} device type tensor to numpy")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"can't convert {OTHER} device type tensor to numpy")

    def __repr__(self, **_: Any) -> str:
        return f"OtherTensor({self.inner})"


@contextmanager
def other_device() -> Iterator[None]:
    """Within it `device=OTHER`, `.to(OTHER)` and `--device meta` name the other device."""
    cpu_autocast = mock.patch.object(torch, "autocast", _Autocast)
    with cpu_autocast, torch.autograd.set_multithreading_enabled(False), _FromData(), _Elsewhere():
        yield


def on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers of a tensor of either device."""
    return tensor.detach().inner if isinstance(tensor, OtherTensor) else tensor.detach()


def _run(func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, OtherTensor)]
    here = [tensor for tensor in tensors if not isinstance(tensor, OtherTensor)]
    name, wanted = str(func), kwargs.get("device")
    assert not any(tensor.device == OTHER for tensor in here), f"{name} was given a tensor without numbers"
    if there and here:
        _refuse_mixing(name, args, here)
    args, kwargs = tree_map(_inner, (args, kwargs))
    stays = bool(there)
    if name.startswith("aten.copy_."):
        stays = any(args[0] is tensor.inner for tensor in there)
    if wanted is not None:
        stays = torch.device(wanted).type == OTHER.type
        kwargs = kwargs | {"device": torch.device("cpu")}
    known = {id(tensor.inner): tensor for tensor in there}  # what was changed in place stays the same object

    def wrapped(value: Any) -> Any:
        if id(value) in known:
            return known[id(value)]
        return OtherTensor(value) if stays and isinstance(value, torch.Tensor) else value

    return tree_map(wrapped, func(*args, **kwargs))


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, OtherTensor) else value


def _refuse_mixing(name: str, args: tuple, here: list[torch.Tensor]) -> None:
    if name.startswith(CROSSING):
        return
    if name.startswith(INDEXING) and isinstance(args[0], OtherTensor):
        return
    if name.startswith((*JOINING, *INDEXING)) or any(tensor.dim() for tensor in here):
        shapes = [tuple(tensor.shape) for tensor in here]
        raise RuntimeError(f"Expected all tensors to be on the same device: {name} has {shapes} on the CPU")


class _Elsewhere(TorchDispatchMode):
    """Makes tensors that are created on the other device, which no tensor among the arguments tells."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _run(func, args, kwargs or {})


class _FromData(TorchFunctionMode):
    """Numbers of Python become tensors below what a dispatch mode sees: here they are made on the CPU and moved."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            rest = {name: value for name, value in kwargs.items() if name != "device"}
            return func(*args, **rest).to(kwargs["device"])
        if func is torch.Tensor.new_tensor:
            kind, device = kwargs.get("dtype", args[0].dtype), kwargs.get("device", args[0].device)
            return torch.tensor(args[1], dtype=kind).to(device)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            key = tuple(map(_listed, args[1])) if isinstance(args[1], tuple) else _listed(args[1])
            args = (args[0], key, *args[2:])
        return func(*args, **kwargs)


def _listed(key: Any) -> Any:
    return torch.tensor(key) if isinstance(key, list) else key


class _Autocast(torch.autocast):
    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu" if device_type == OTHER.type else device_type, *args, **kwargs)
