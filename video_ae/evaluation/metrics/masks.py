"""Masks of what moves by itself, beside the truth."""

from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.geometry.resize import resize_maps


def mask_overlap(
    static: Float[Tensor, "frame rows columns"] | None, moving: Bool[Tensor, "frame height width"]
) -> float | None:
    """Intersection over union of what was found to move and what truly does, over all pixels of a clip.

    Args:
        static: how far each part of a frame stays where it is, 0 to 1, at a size of its own; None: nothing moves.
        moving: the truth.

    Returns:
        0 to 1, or None where nothing moves in truth or as found.
    """
    found = moving.new_zeros(moving.shape)
    if static is not None:
        found = resize_maps(static[:, None], (moving.shape[-1], moving.shape[-2]))[:, 0] < 0.5
    union = (found | moving).sum()
    return (found & moving).sum().item() / union.item() if union else None
