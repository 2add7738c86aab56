"""What truly moves in the walk-throughs' hard clips: ROOT/masks/<clip>.npz, described in data/README.md."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from video_ae.errors import unreadable_as
from video_ae.formats.arrays import read_npz


def load_true_masks(root: Path, clip: str) -> Bool[Tensor, "frame height width"] | None:
    """Where something hides the still scene in each frame of a clip; None where the data set does not say.

    Args:
        root: folder of the data set.
        clip: its name.

    Raises:
        UserError: the file is of another kind.
    """
    path = Path(root) / "masks" / f"{clip}.npz"
    if not path.is_file():
        return None
    message = (
        f"{str(path)!r} is not a mask file like those of the walk-throughs (moving: bits of each row in bytes): remove "
        "it, or write it as described in data/README.md."
    )
    with unreadable_as(message, None, BadZipFile):
        (moving,) = read_npz(path, "moving")
        return torch.from_numpy(np.unpackbits(moving, axis=-1).astype(bool))
