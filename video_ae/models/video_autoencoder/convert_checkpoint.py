"""The authors' checkpoints of the 2021 Video Autoencoder -> our weights.

Theirs is a pickled dict of four state dicts, every key prefixed "module." by DataParallel.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import claim_folder
from video_ae.formats.weights import WEIGHTS
from video_ae.models.open import build_model, differing_shapes, save_weights
from video_ae.models.video_autoencoder.model import PaperVideoAutoencoder
from video_ae.registry import name_of

PARTS = ("encoder_3d", "encoder_traj", "rotate", "decoder")
_PREFIX = "module."


def convert_checkpoint(path: str | Path, out: str | Path) -> Path:
    """Writes a folder (weights.safetensors and model.yaml) that `load_model` reads.

    The pickle is read with `weights_only=True`: no code in it is run. Until the checkpoint is found good, nothing is
    written.

    Args:
        path: the authors' .tar file.
        out: a new or empty folder.

    Returns:
        The path of the weights.

    Raises:
        UserError: the file is missing, damaged or of another kind, tensors are missing, too many, of another shape or
            not finite, or the folder is in the way or cannot be written.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{str(out)!r} is there already and not an empty folder: choose another name.", argument="out")
    tensors = read_authors_checkpoint(path)
    model = build_model({"class_path": name_of(PaperVideoAutoencoder)})
    wrong = differing_shapes(model.state_dict(), tensors)
    if wrong:
        name, (expected, given) = next(iter(wrong.items()))
        found, wanted = "missing" if given is None else given, "none" if expected is None else expected
        raise UserError(
            f"{str(path)!r} does not fit the published Video Autoencoder: {len(wrong)} tensors differ, the first is "
            f"{name} ({found}, expected {wanted})."
        )
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise UserError(f"{str(path)!r} holds numbers that are not finite, first in {broken[0]}: it is damaged.")
    model.load_state_dict(tensors)
    save_weights(model, claim_folder(out) / WEIGHTS)
    return out / WEIGHTS


def read_authors_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of an authors' checkpoint under our names, not yet compared with the model.

    Args:
        path: the authors' .tar file.

    Raises:
        UserError: the file is missing, damaged or of another kind.
    """

    def foreign(reason: str) -> UserError:
        return UserError(f"{str(path)!r} is not a checkpoint of the Video Autoencoder: {reason}")

    content = _read(Path(path))
    if not isinstance(content, Mapping) or set(content) != set(PARTS):
        found = ", ".join(map(str, list(content)[:6])) if isinstance(content, Mapping) else type(content).__name__
        raise foreign(f"it holds {found or 'nothing'}, and exactly {', '.join(PARTS)} were expected.")
    tensors: dict[str, Tensor] = {}
    for part in PARTS:
        if not isinstance(content[part], Mapping):
            raise foreign(f"{part} is no state dict.")
        for key, value in content[part].items():
            if not (isinstance(key, str) and key.startswith(_PREFIX) and isinstance(value, Tensor)):
                raise foreign(f"{part} holds {key!r}, and tensors whose names begin with {_PREFIX!r} were expected.")
            tensors[f"{part}.{key.removeprefix(_PREFIX)}"] = value
    return tensors


def _read(path: Path) -> Any:
    if path.is_dir():
        raise UserError(f"{str(path)!r} is a folder: give the authors' .tar file as it was downloaded.")
    if not path.is_file():
        raise UserError(f"There is no checkpoint at {str(path)!r}: give the authors' .tar file.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{str(path)!r} holds more than tensors or is no checkpoint and was not read: give the authors' .tar file."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise UserError(f"{str(path)!r} is damaged or no checkpoint: download the authors' .tar file again.") from error
