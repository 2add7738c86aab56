"""The intrinsics of frames whose lenses are pinholes, which is all that the package models."""

import logging
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.formats.lens import Lens

LARGEST_SHIFT = 0.01  # of the image's width: a lens that moves a corner further is no pinhole to evaluate with
log = logging.getLogger(__name__)


def pinhole_intrinsics(
    name: str, lenses: Sequence[Lens | None], image_size: tuple[int, int]
) -> Float64[Tensor, "frame 4"] | None:
    """(fx, fy, cx, cy) of each frame in pixels; None, with a warning, where a lens is no pinhole.

    A lens that moves a corner by at most `LARGEST_SHIFT` of the width counts as a pinhole: its distortion is ignored.
    Evaluation against a camera with more would call a right estimate wrong, while training, which reads no cameras, can
    use the frames.

    Args:
        name: of the video, for the warning.
        lenses: one a frame; None for a fisheye or another model that is no pinhole with distortion.
        image_size: (width, height) of the frames, which may have been scaled.

    Raises:
        UserError: when the frames have another aspect ratio than their lenses.
    """
    shifts = [math.inf if lens is None else lens.corner_shift() for lens in set(lenses)]
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
        return None
    return torch.tensor([lens.intrinsics_at(image_size) for lens in lenses if lens is not None], dtype=torch.float64)
