"""Weights in one file: a safetensors file whose metadata says which model they belong to.

The metadata key `video_ae_model` holds JSON: `{"class_path": "PerspectiveAutoencoder", "init_args": {...}}`, names as
in `video_ae.registry`. So one file is enough to build the model again, and reading it runs no code that the file brings
along (unlike a pickle).
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor

from video_ae.errors import UserError, unreadable_as
from video_ae.formats.atomic import write_atomically, write_text_atomically

WEIGHTS = "weights.safetensors"
SETTINGS = "model.yaml"
_KEY = "video_ae_model"


def write_weights(path: str | Path, settings: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Writes `path` and, for people, `model.yaml` beside it. Both appear only complete.

    Args:
        path: a .safetensors file.
        settings: `{"class_path", "init_args"}` of the model.
        tensors: its state, by name.
    """
    path = Path(path)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, partial(save_file, plain, metadata={_KEY: json.dumps(settings)}))
    write_text_atomically(path.with_name(SETTINGS), yaml.safe_dump(settings, sort_keys=False))


def read_weights(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(settings of the model, its state by name) from a file that `write_weights` wrote.

    Args:
        path: a .safetensors file.

    Raises:
        UserError: the file is cut off, is no safetensors file, or does not say which model it belongs to.
    """
    message = f"{str(path)!r} is not a complete safetensors file: give a RUN folder or a file of `video-ae train`."
    with unreadable_as(message, None, SafetensorError):
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors = load(Path(path).read_bytes())  # `get_tensor` would keep two integers of each tensor for ever
    if _KEY not in metadata:
        raise UserError(
            f"{str(path)!r} does not say which model its weights belong to: give a file that `video-ae train` wrote."
        )
    with unreadable_as(f"{str(path)!r} says in a damaged way which model its weights belong to: copy it again."):
        return dict(json.loads(metadata[_KEY])), tensors


def weights_file(path: str | Path) -> Path:
    """The weights that a path names.

    Args:
        path: a RUN folder of `video-ae train`, or a .safetensors file.

    Raises:
        UserError: there are none.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise UserError(f"The folder {str(path)!r} has no {WEIGHTS}: give a folder that `video-ae train` wrote.")
        return path / WEIGHTS
    if not path.is_file():
        raise UserError(f"There are no weights at {str(path)!r}: give a RUN folder or a .safetensors file.")
    return path
