"""The true depth beside the walk-throughs' test clips: ROOT/depth/<clip>.npz, described in data/README.md."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.errors import unreadable_as
from video_ae.formats.arrays import read_npz


@dataclass(frozen=True)
class TrueDepth:
    """The true depth of a clip's frames.

    Args:
        depth: z along the viewing axis in the truth's unit; NaN where it is unknown (too near, too far, sky).
        step: the truth's own coarseness in that unit, so that an error below half of it says nothing.
    """

    depth: Float[Tensor, "frame rows columns"]
    step: float


def load_true_depth(root: Path, clip: str) -> TrueDepth | None:
    """The depth of a clip's frames; None where the data set has none.

    Args:
        root: folder of the data set.
        clip: its name.

    Raises:
        UserError: the file is of another kind.
    """
    path = Path(root) / "depth" / f"{clip}.npz"
    if not path.is_file():
        return None
    message = (
        f"{str(path)!r} is not a depth file like those of the walk-throughs (buffer, scale, offset): remove it, or "
        "write it as described in data/README.md."
    )
    with unreadable_as(message, None, BadZipFile):
        buffer, scale, offset = read_npz(path, "buffer", "scale", "offset")
    known = (buffer > 0) & (buffer < 255)
    depth = np.where(known, float(scale) * buffer + float(offset), np.nan).astype(np.float32)
    return TrueDepth(torch.from_numpy(depth), float(scale))
