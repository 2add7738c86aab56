"""`depth/`: z-depth of every frame, as float32 in one npz and as 16-bit PNGs; `depth.json` says what they mean.

`depth.npz` has `depth` [frame, height, width] (NaN where it is not known) and `index` (each frame's number in its
source). A PNG's value times `png_scale` is the depth; `png_unknown` (0) marks pixels without one. All frames have one
scale, so that their values can be compared.
"""

from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float32, Int64
from PIL import Image
from torch import Tensor

from video_ae.errors import unreadable_as
from video_ae.formats.arrays import read_npz
from video_ae.formats.atomic import write_atomically, write_json_atomically
from video_ae.steps import scratch

UNKNOWN = 0
_LARGEST = 2**16 - 1


def write_depth(
    folder: Path, depth: Float32[Tensor, "frame height width"], indices: list[int], source_size: tuple[int, int]
) -> None:
    """Writes the depth maps of a clip.

    The maps may be smaller than the source. Both show the same field of view, so the intrinsics of `cameras.json`,
    divided by width and height, are valid for either.

    Args:
        folder: is made where it is missing.
        depth: along z of each frame's camera, in the cameras' scale; NaN where it is not known.
        indices: each frame's number in the source.
        source_size: (width, height) of the source in pixels.
    """
    filled = scratch(tuple(depth.shape), torch.float32)
    for own, one in zip(filled, depth, strict=True):  # frame by frame: those of a long video do not fit into memory
        own.copy_(torch.where(one.isfinite() & (one > 0), one, torch.nan))
    scale = (max(one.nan_to_num(0).max().item() for one in filled) or 1.0) / _LARGEST
    names = [f"{index:06d}.png" for index in indices]
    for name, one in zip(names, filled, strict=True):
        values = (one / scale).round().clamp(1, _LARGEST).nan_to_num(UNKNOWN)
        write_atomically(folder / name, Image.fromarray(values.numpy().astype(np.uint16)).save)
    write_atomically(
        folder / "depth.npz", partial(np.savez_compressed, depth=filled.numpy(), index=np.array(indices, np.int64))
    )
    height, width = depth.shape[1:]
    sidecar = {
        "kind": "z-depth: distance along the camera's viewing axis, not along the ray",
        "unit": "the cameras' scale, which is arbitrary",
        "image_size": [width, height],
        "source_size": list(source_size),
        "png_scale": scale,
        "png_unknown": UNKNOWN,
        "npz_unknown": "NaN",
        "frames": [{"index": index, "file": name} for index, name in zip(indices, names, strict=True)],
    }
    write_json_atomically(folder / "depth.json", sidecar)


def read_depth(folder: str | Path) -> tuple[Float32[Tensor, "frame height width"], Int64[Tensor, "frame"]]:
    """Depth maps, NaN where the depth is not known, and the frames' numbers in the source.

    Args:
        folder: that `write_depth` wrote.

    Raises:
        UserError: when its `depth.npz` is missing or of another form.
    """
    path = Path(folder) / "depth.npz"
    with unreadable_as(f"{str(path)!r} cannot be read as depth maps", "give a depth folder of an export.", BadZipFile):
        depth, index = read_npz(path, "depth", "index")
        return torch.from_numpy(depth), torch.from_numpy(index)
