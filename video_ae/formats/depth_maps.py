"""`depth/`: z-depth of every frame, as float32 in one npz and as 16-bit PNGs; `depth.json` says what they mean.

`depth.npz` has `depth` [frame, height, width] (NaN where it is not known) and `index` (each frame's number in its
source). A PNG's value times `png_scale` is the depth; `png_unknown` (0) marks pixels without one. All frames have one
scale, so that their values can be compared.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64
from PIL import Image
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically

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
    folder.mkdir(parents=True, exist_ok=True)
    known = depth.isfinite() & (depth > 0)
    scale = (depth[known].max().item() if known.any() else 1.0) / _LARGEST
    values = torch.where(known, (depth / scale).round().clamp(1, _LARGEST), torch.full_like(depth, UNKNOWN))
    names = [f"{index:06d}.png" for index in indices]
    for name, value in zip(names, values.numpy().astype(np.uint16), strict=True):
        write_atomically(folder / name, partial(_save_png, value))
    filled = torch.where(known, depth, torch.full_like(depth, torch.nan)).numpy()
    write_atomically(
        folder / "depth.npz", lambda path: _save(path, depth=filled, index=np.array(indices, dtype=np.int64))
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
    text = json.dumps(sidecar, indent=1, allow_nan=False)
    write_atomically(folder / "depth.json", lambda path: path.write_text(text))


def read_depth(folder: str | Path) -> tuple[Float32[Tensor, "frame height width"], Int64[Tensor, "frame"]]:
    """Depth maps, NaN where the depth is not known, and the frames' numbers in the source.

    Args:
        folder: that `write_depth` wrote.

    Raises:
        UserError: when its `depth.npz` is missing or of another form.
    """
    path = Path(folder) / "depth.npz"
    try:
        with np.load(path) as content:
            return torch.from_numpy(content["depth"]), torch.from_numpy(content["index"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{str(path)!r} cannot be read as depth maps: give a depth folder of an export.") from error


def _save_png(value: np.ndarray, path: Path) -> None:
    Image.fromarray(value).save(path, "PNG")


def _save(path: Path, **arrays: np.ndarray) -> None:
    with path.open("wb") as file:  # an open file, or numpy would add a suffix to the temporary name
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
