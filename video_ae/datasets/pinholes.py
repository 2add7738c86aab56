"""Which lenses count as pinholes, and the intrinsics of their frames."""

import logging
import math
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.formats.lens import Lens
from video_ae.videos.image_folder import ImageFolderReader

LARGEST_SHIFT = 0.01  # of the image's width: a lens that moves a corner further is no pinhole to evaluate with
log = logging.getLogger(__name__)


def image_size_of(files: Sequence[Path]) -> tuple[int, int]:
    """(width, height) in pixels of images that have one size, from the first of them.

    Args:
        files: the images.

    Raises:
        UserError: when the first one cannot be read.
    """
    return ImageFolderReader(files[0].parent, files[:1], upright=False).image_size


def pinhole_intrinsics(
    name: str, lenses: Sequence[Lens | None], files: Sequence[Path]
) -> Float64[Tensor, "frame 4"] | None:
    """(fx, fy, cx, cy) of each frame in pixels; None, with a warning, where a lens is no pinhole.

    A lens that moves a corner by at most `LARGEST_SHIFT` of the width counts as a pinhole: its distortion is ignored.
    Evaluation against a camera with more would call a right estimate wrong, while training, which reads no cameras, can
    use the frames.

    Args:
        name: of the video, for the warning.
        lenses: one a frame; None for a fisheye or another model that is no pinhole with distortion.
        files: the frames, which may have been scaled.

    Raises:
        UserError: when the first frame cannot be read or has another aspect ratio than the lenses.
    """
    if not are_pinholes(name, set(lenses)):
        return None
    image_size = image_size_of(files)
    return torch.tensor([lens.intrinsics_at(image_size) for lens in lenses if lens is not None], dtype=torch.float64)


def are_pinholes(name: str, lenses: Collection[Lens | None]) -> bool:
    """Whether lenses move a corner by at most `LARGEST_SHIFT` of the width; a warning says where one does not.

    Args:
        name: of the video, for the warning.
        lenses: as in `pinhole_intrinsics`.
    """
    shifts = [math.inf if lens is None else lens.corner_shift() for lens in lenses]
    if not all(shift <= LARGEST_SHIFT for shift in shifts):  # so that a coefficient that is no number counts as well
        reason = "its lens is no pinhole"
        if math.isfinite(max(shifts)):
            reason = f"its lens moves a corner of the image by {max(shifts):.1%} of the width"
        log.warning(
            "%s: %s, and cameras here are pinholes; its clips come without cameras, which training does not need. To "
            "evaluate with them, undistort: `colmap image_undistorter --image_path images --input_path sparse/0 "
            "--output_path NEW` (colmap/sparse/0 in a folder of `ns-process-data`), and give the folder NEW.",
            name, reason,
        )  # fmt: skip
        return False
    return True
