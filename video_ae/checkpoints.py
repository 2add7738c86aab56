"""Weights in one file: a safetensors file whose metadata says which model they belong to.

The metadata key `video_ae_model` holds JSON: `{"class_path": "package.module.Class", "init_args": {...}}`. So one
file is enough to build the model again, and reading it runs no code that the file brings along (unlike a pickle).
"""

import importlib
import json
from pathlib import Path
from typing import Any

import jsonargparse
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from video_ae.errors import UserError
from video_ae.files import write_atomically
from video_ae.models.base import Autoencoder

WEIGHTS = "weights.safetensors"
SETTINGS = "model.yaml"
_KEY = "video_ae_model"
_SHIPPED = Path(__file__).parent / "weights" / "default.safetensors"


def save_weights(model: Autoencoder, path: str | Path) -> None:
    """Writes `path` (a .safetensors file) and, for people, `model.yaml` beside it. Both appear only complete.

    The model must come from `build_model` or `load_model`, which know its settings.
    """
    path = Path(path)
    settings = model.settings
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {_KEY: json.dumps(settings)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=metadata))
    text = yaml.safe_dump(settings, sort_keys=False)
    write_atomically(path.with_name(SETTINGS), lambda temporary: temporary.write_text(text))


def load_model(path: str | Path | None = None) -> Autoencoder:
    """The model that a RUN folder or a .safetensors file holds, in eval mode, on the CPU.

    None takes the small weights that come with the package. Raises UserError for a missing, truncated or foreign file
    and for weights that do not fit their model.
    """
    path = _weights_file(path)
    settings, tensors = _read(path)
    model = build_model(settings, origin=str(path))
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != given:
        wrong = sorted(name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name))
        raise UserError(
            f"{str(path)!r} holds weights of another version of {settings['class_path']} ({len(wrong)} tensors differ, "
            f"the first is {wrong[0]!r}): train again or use the version that wrote them."
        )
    model.load_state_dict(tensors)
    return model.eval()


def build_model(settings: dict[str, Any], origin: str = "the settings") -> Autoencoder:
    """A fresh model from `{"class_path", "init_args"}`. Raises UserError, naming `origin`, if it cannot."""
    class_path, init_args = settings.get("class_path"), settings.get("init_args") or {}
    try:
        module, _, name = str(class_path).rpartition(".")
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"{origin!r} asks for the model {class_path!r}, which this installation does not have: install the package "
            "that defines it, or use other weights."
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, Autoencoder)):
        raise UserError(f"{origin!r} asks for {class_path!r}, which is not a model of video-ae: use other weights.")
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "model")
    try:
        values = parser.parse_object({"model": init_args})
        model = parser.instantiate(values).model
        complete = yaml.safe_load(parser.dump(values, skip_unset=False)).get("model", {})
    except (jsonargparse.ArgumentError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{origin!r} does not fit the model {class_path} of this version: {reason}") from error
    complete |= dict.fromkeys(kind.only_at_start)
    model.settings = {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": complete}
    return model


def _weights_file(path: str | Path | None) -> Path:
    if path is None:
        if not _SHIPPED.is_file():
            raise UserError("This installation has no weights of its own: give --weights RUN_OR_FILE.")
        return _SHIPPED
    path = Path(path)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise UserError(f"The folder {str(path)!r} has no {WEIGHTS}: give a folder that `video-ae train` wrote.")
        return path / WEIGHTS
    if not path.is_file():
        raise UserError(f"There are no weights at {str(path)!r}: give a RUN folder or a .safetensors file.")
    return path


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{str(path)!r} is not a complete safetensors file: give a RUN folder or a file of `video-ae train`."
        ) from error
    if _KEY not in metadata:
        raise UserError(
            f"{str(path)!r} does not say which model its weights belong to: give a file that `video-ae train` wrote."
        )
    return json.loads(metadata[_KEY]), tensors
