"""The folder `scene/`: what rendering needs later, without the video.

`scene.safetensors` holds cameras and structure codes (codes in float16), `scene.json` what they mean, and
`weights.safetensors` the model. Codes are multiplane volumes or deep voxels. The source's pixels are not kept: a loaded
scene's clip is black.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from video_ae.errors import UserError, unreadable_as
from video_ae.formats.atomic import write_atomically, write_json_atomically
from video_ae.formats.versions import check_version
from video_ae.types import CameraEstimate, Cameras, DeepVoxels, MultiplaneVolume, Scene, VideoClip

KIND, VERSION = "video-ae scene", 1
TENSORS = "scene.safetensors"
DESCRIPTION = "scene.json"
FRUSTA, DEEP = "frustum voxels", "deep voxels"  # what `codes` in the description says
_LARGEST = torch.finfo(torch.float16).max


def write_scene(folder: Path, scene: Scene, source_size: tuple[int, int]) -> None:
    """Writes a scene, all but the pixels of its clip.

    Args:
        folder: must exist.
        scene: of `VideoModel.encode_scene`.
        source_size: (width, height) of the video that it was made from.
    """
    clip, camera = scene.clip, scene.camera[None]  # the file has a batch axis of one
    tensors = {
        "clip.indices": clip.indices,
        "clip.times": clip.times,
        "camera.world_from_camera": camera.cameras.world_from_camera,
        "camera.intrinsics": camera.cameras.intrinsics,
        "camera.inverse_depth": camera.inverse_depth,
        "camera.confidence": camera.confidence,
        "camera.covariance": camera.covariance,
    }
    if camera.static is not None:
        tensors["camera.static"] = camera.static
    deep = [code[None] for code in scene.structures if isinstance(code, DeepVoxels)]
    for number, code in enumerate(deep):
        tensors[f"voxels.{number}"] = code.voxels.clamp(-_LARGEST, _LARGEST).half()
    if deep:
        tensors["self_motions"] = torch.cat([code.self_motion for code in deep])
    for number, volume in enumerate(volume.halved()[None] for volume in scene.volumes):
        tensors |= {
            f"structures.{number}.density": volume.density,
            f"structures.{number}.features": volume.features,
            f"structures.{number}.inverse_depth": volume.inverse_depth.clone(),  # codes share it, files must not
            f"structures.{number}.world_from_camera": volume.reference.world_from_camera,
            f"structures.{number}.intrinsics": volume.reference.intrinsics,
        }
    description = {
        "format": f"{KIND} {VERSION}",
        "codes": DEEP if deep else FRUSTA,
        "name": clip.name,
        "image_size": list(clip.image_size),
        "source_size": list(source_size),
        "keyframes": list(scene.keyframes),
        "notes": [list(camera.notes)],
        "readout": camera.readout,
        "focal_deviation": camera.focal_deviation,
    }
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(folder / TENSORS, lambda temporary: save_file(plain, temporary))
    write_json_atomically(folder / DESCRIPTION, description)


def read_scene(folder: Path) -> tuple[Scene, tuple[int, int]]:
    """The scene that `write_scene` wrote, and the (width, height) of the video that it was made from.

    Args:
        folder: the folder `scene` of a reconstruction.

    Returns:
        The scene on the CPU, its clip black, its volumes in float16; and the size.

    Raises:
        UserError: the folder holds no scene, a damaged one, or one of a newer video-ae.
    """
    if not all((folder / name).exists() for name in (DESCRIPTION, TENSORS)):
        raise UserError(f"{str(folder)!r} holds no reconstruction: give a folder that `video-ae reconstruct` wrote.")
    message = f"The reconstruction in {str(folder)!r} is damaged: reconstruct the video again."
    with unreadable_as(message, None, SafetensorError):
        description = json.loads((folder / DESCRIPTION).read_text())
        kind, _, version = description["format"].rpartition(" ")
        if kind != KIND:
            raise ValueError(kind)
        check_version(int(version), VERSION, folder)
        tensors = load((folder / TENSORS).read_bytes())  # not mapped: who rewrites the file must not crash its readers
        width, height = (int(side) for side in description["source_size"])
        return _scene(description, tensors), (width, height)


def _scene(description: dict[str, Any], tensors: dict[str, Tensor]) -> Scene:
    camera = CameraEstimate(
        Cameras(tensors["camera.world_from_camera"], tensors["camera.intrinsics"]),
        tensors["camera.inverse_depth"],
        tensors["camera.confidence"],
        tensors["camera.covariance"],
        tuple(note for notes in description["notes"] for note in notes),
        float(description.get("readout", 0.0)),  # scenes of before there was a search for it have none
        tensors.get("camera.static"),
        description.get("focal_deviation"),
    )[0]
    width, height = description["image_size"]
    indices, black = tensors["clip.indices"], torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    frames = black.expand(len(indices), 3, height, width)  # takes no memory
    clip = VideoClip(frames, indices, tensors["clip.times"], name=description["name"])
    keyframes = tuple(description["keyframes"])
    # Scenes of before there was a choice do not say what their codes are.
    read: Callable[..., Any] = {FRUSTA: _volume, DEEP: _deep_voxels}[description.get("codes", FRUSTA)]
    return Scene(clip, camera, keyframes, tuple(read(tensors, number) for number in range(len(keyframes))))


def _deep_voxels(tensors: dict[str, Tensor], number: int) -> DeepVoxels:
    return DeepVoxels(tensors[f"voxels.{number}"].float()[0], tensors["self_motions"][number])


def _volume(tensors: dict[str, Tensor], number: int) -> MultiplaneVolume:
    names = ("density", "features", "inverse_depth", "world_from_camera", "intrinsics")
    density, features, planes, *camera = (tensors[f"structures.{number}.{name}"] for name in names)
    return MultiplaneVolume(density, features, planes, Cameras(*camera))[0]
