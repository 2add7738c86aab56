"""Settings or weights -> a model, and a model -> weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonargparse
import torch
import yaml
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.weights import read_weights, weights_file, write_weights
from video_ae.models.base import Autoencoder, VideoModel
from video_ae.registry import find_class, name_of, with_full_paths, with_short_names

_SHIPPED = Path(__file__).parents[1] / "weights" / "default.safetensors"


def save_weights(model: Autoencoder, path: str | Path) -> None:
    """Writes `path` (a .safetensors file) and, for people, `model.yaml` beside it. Both appear only complete.

    Args:
        model: comes from `build_model` or `load_model`, which know its settings.
        path: where to write.
    """
    write_weights(path, model.settings, model.state_dict())


def load_model(path: str | Path | None = None) -> Autoencoder:
    """The model that a RUN folder or a .safetensors file holds, in eval mode, on the CPU.

    Args:
        path: None takes the small weights that come with the package.

    Raises:
        UserError: the file is missing, truncated or foreign, or its weights do not fit their model.
    """
    if path is None and not _SHIPPED.is_file():
        raise UserError("This installation has no weights of its own: give a RUN folder or a .safetensors file.")
    file = weights_file(_SHIPPED if path is None else path)
    settings, tensors = read_weights(file)
    model = build_model(settings, origin=str(file))
    wrong = differing_shapes(model.state_dict(), tensors)
    if wrong:
        raise UserError(
            f"{str(file)!r} holds weights of another version of {settings['class_path']} ({len(wrong)} tensors differ, "
            f"the first is {next(iter(wrong))!r}): train again or use the version that wrote them."
        )
    model.load_state_dict(tensors)
    return model.eval()


def differing_shapes(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, tuple[Any, Any]]:
    """(expected shape, given shape) of the tensors that differ, by name in sorted order; None where one is missing.

    Args:
        expected: tensors of a model, by name.
        given: tensors of a file, by name.
    """
    shapes = [{name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (expected, given)]
    pairs = {name: (shapes[0].get(name), shapes[1].get(name)) for name in sorted(shapes[0].keys() | shapes[1].keys())}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def load_video_model(path: str | Path | None, device: torch.device) -> VideoModel:
    """The model that weights belong to, on a device, where it handles whole videos.

    Args:
        path: as in `load_model`.
        device: to compute on.

    Raises:
        UserError: the weights do not load, or their model does not reconstruct whole videos.
    """
    model = load_model(path).to(device)
    if not isinstance(model, VideoModel):
        raise UserError(
            f"The weights {str(path)!r} belong to the model {type(model).__name__}, which does not reconstruct "
            "whole videos: give weights of the perspective model."
        )
    return model


def build_model(settings: dict[str, Any], origin: str = "the settings") -> Autoencoder:
    """A fresh model.

    Args:
        settings: `{"class_path", "init_args"}`; names as in `video_ae.registry`.
        origin: where they come from, for messages.

    Raises:
        UserError: there is no such model, or the arguments do not fit it.
    """
    class_path = settings.get("class_path")
    init_args = with_full_paths({"class_path": class_path, "init_args": settings.get("init_args") or {}})["init_args"]
    try:
        kind = find_class(str(class_path))
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
    model.settings = with_short_names({"class_path": name_of(kind), "init_args": complete})
    return model
