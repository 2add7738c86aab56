"""The folder `scene/`: what rendering needs later, without the video.

`scene.safetensors` holds cameras and structure codes (codes in float16), `scene.json` what they mean, and
`weights.safetensors` the model. Codes are frusta of voxels (`Scene`) or deep voxels (`DeepVoxelScene`). The source's
pixels are not kept: a loaded scene's clip is black.
"""

import json
import math
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically
from video_ae.models.video_autoencoder.model import DeepVoxelScene
from video_ae.types import CameraEstimate, Cameras, MultiplaneVolume, Scene, VideoClip

FORMAT = "video-ae scene 1"
TENSORS = "scene.safetensors"
DESCRIPTION = "scene.json"
FRUSTA, DEEP = "frustum voxels", "deep voxels"  # what `codes` in the description says
_LARGEST = torch.finfo(torch.float16).max

Record = TypeVar("Record")


@dataclass(frozen=True)
class SavedScene:
    """A scene that was read back, and the size (width, height) of the video that it was made from."""

    scene: Scene
    source_size: tuple[int, int]


def save_scene(folder: Path, scene: Scene, source_size: tuple[int, int]) -> None:
    """Writes a scene into `folder` (which must exist), all but the pixels of its clip."""
    camera = scene.camera
    tensors = {
        "clip.indices": scene.clip.indices,
        "clip.times": scene.clip.times,
        "camera.world_from_camera": camera.cameras.world_from_camera,
        "camera.intrinsics": camera.cameras.intrinsics,
        "camera.inverse_depth": camera.inverse_depth,
        "camera.confidence": camera.confidence,
        "camera.covariance": camera.covariance,
    }
    tensors |= _codes(scene)
    description = {
        "format": FORMAT,
        "codes": DEEP if isinstance(scene, DeepVoxelScene) else FRUSTA,
        "name": scene.clip.name,
        "image_size": list(scene.clip.image_size),
        "source_size": list(source_size),
        "keyframes": list(scene.keyframes),
        "notes": [list(notes) for notes in camera.notes],
    }
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(folder / TENSORS, lambda temporary: save_file(plain, temporary))
    text = json.dumps(description, indent=1, allow_nan=False)
    write_atomically(folder / DESCRIPTION, lambda temporary: temporary.write_text(text))


def _codes(scene: Scene) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    if isinstance(scene, DeepVoxelScene):
        assert scene.self_motions is not None
        tensors["self_motions"] = scene.self_motions
        for number, voxels in enumerate(scene.voxels):
            tensors[f"voxels.{number}"] = voxels.clamp(-_LARGEST, _LARGEST).half()
    for number, structure in enumerate(scene.structures):
        tensors |= {
            f"structures.{number}.density": structure.density.clamp(max=_LARGEST).half(),
            f"structures.{number}.features": structure.features.clamp(-_LARGEST, _LARGEST).half(),
            f"structures.{number}.inverse_depth": structure.inverse_depth,
            f"structures.{number}.world_from_camera": structure.reference.world_from_camera,
            f"structures.{number}.intrinsics": structure.reference.intrinsics,
        }
    return tensors


def load_scene(folder: Path) -> SavedScene:
    """The scene that `save_scene` wrote, on the CPU, in float32.

    Raises UserError for a folder that holds none, a damaged one, or one of another version.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        if description["format"] != FORMAT:
            raise ValueError(description["format"])
        tensors = load((folder / TENSORS).read_bytes())  # not mapped: who rewrites the file must not crash its readers
        scene = _scene(description, tensors)
        width, height = (int(side) for side in description["source_size"])
    except FileNotFoundError as error:
        raise UserError(
            f"{str(folder)!r} holds no reconstruction: give a folder that `video-ae reconstruct` wrote."
        ) from error
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(
            f"The reconstruction in {str(folder)!r} is damaged or of another version: reconstruct the video again."
        ) from error
    return SavedScene(scene, (width, height))


def _scene(description: dict[str, Any], tensors: dict[str, Tensor]) -> Scene:
    camera = CameraEstimate(
        Cameras(tensors["camera.world_from_camera"], tensors["camera.intrinsics"]),
        tensors["camera.inverse_depth"],
        tensors["camera.confidence"],
        tensors["camera.covariance"],
        tuple(tuple(notes) for notes in description["notes"]),
    )
    width, height = description["image_size"]
    black = torch.zeros(1, 1, 1, 1).expand(len(tensors["clip.indices"]), 3, height, width)  # takes no memory
    clip = VideoClip(black, tensors["clip.indices"], tensors["clip.times"], name=description["name"])
    keyframes = tuple(description["keyframes"])
    codes = description.get("codes", FRUSTA)  # scenes of before there was a choice do not say it
    if codes == DEEP:
        voxels = tuple(tensors[f"voxels.{number}"].float() for number in range(len(keyframes)))
        return DeepVoxelScene(clip, camera, keyframes, (), voxels, tensors["self_motions"])
    if codes != FRUSTA:
        raise ValueError(codes)
    structures = []
    for number in range(len(keyframes)):
        part = {name: tensors[f"structures.{number}.{name}"].float() for name in _PARTS}
        reference = Cameras(part["world_from_camera"], part["intrinsics"])
        structures.append(MultiplaneVolume(part["density"], part["features"], part["inverse_depth"], reference))
    return Scene(clip, camera, keyframes, tuple(structures))


_PARTS = ("density", "features", "inverse_depth", "world_from_camera", "intrinsics")


def move(record: Record, device: torch.device) -> Record:
    """A record with all tensors in it, however deep, on a device."""
    if isinstance(record, Tensor):
        return record.to(device)  # type: ignore[return-value]
    if isinstance(record, tuple):
        return tuple(move(part, device) for part in record)  # type: ignore[return-value]
    if is_dataclass(record) and not isinstance(record, type):
        return replace(record, **{f.name: move(getattr(record, f.name), device) for f in fields(record)})
    return record


def frame_rate(times: Tensor, default: float = 10.0) -> float:
    """Frames a second from the median step between times in seconds, within 1 and 60; `default` without times.

    >>> frame_rate(torch.tensor([0.0, 0.04, 0.08]))
    25.0
    """
    step = times.double().diff().median().item() if len(times) > 1 else math.nan
    return min(max(round(1 / step, 3), 1.0), 60.0) if math.isfinite(step) and step > 0 else default
