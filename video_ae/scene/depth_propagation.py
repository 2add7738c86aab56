"""Depth maps of frames that take over what others know better: propagation between views (Bleyer et al. 2011).

Depth maps of neighbouring frames disagree where steps are wide and things thin: one has the ear of a toy, the next one
the wall behind it. What each neighbour sees is projected into the frame, and in each pixel that depth is kept at which
the neighbours show the frame's own colours best.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.box_mean import box_mean
from video_ae.scene.color_correction import look_up
from video_ae.scene.forward_warping import nearest_surface
from video_ae.types import Cameras

RADIUS = 2  # pixels around, in which colours are compared
_SAME = 0.02  # of the depth: what differs by less is not worth a look
_BETTER = 0.001  # of a colour, 0 to 1, by which another depth must be better than a frame's own


def propagate_depth(
    own: Float[Tensor, "rows columns"],
    image: Float[Tensor, "3 rows columns"],
    camera: Cameras,
    depths: Float[Tensor, "other rows columns"],
    images: Float[Tensor, "other 3 rows columns"],
    others: Cameras,
) -> Float[Tensor, "rows columns"]:
    """1 / z of a frame, its own or what one of its neighbours sees there.

    Args:
        own: 1 / z that the frame sees; NaN where it is not known.
        image: the frame, RGB in [0, 1].
        camera: its camera.
        depths: 1 / z that its neighbours see; NaN where it is not known.
        images: the neighbours.
        others: their cameras, in the same world. One alone cannot tell, and changes nothing.
    """
    size = (own.shape[1], own.shape[0])
    candidates = torch.stack(
        [nearest_surface(depth, others.select([number]), camera, size) for number, depth in enumerate(depths)]
    )
    known = own.nan_to_num(0.0)
    unlike = (candidates > 0) & ((candidates - known).abs() > _SAME * known)
    best, least = own.clone(), _difference(known, image, camera, images, others, unlike.any(0)) - _BETTER
    for candidate, worth in zip(candidates, unlike, strict=True):
        difference = _difference(candidate, image, camera, images, others, worth)
        better = worth & (difference < least)
        best, least = torch.where(better, candidate, best), torch.where(better, difference, least)
    return best


def _difference(
    inverse_depth: Tensor, image: Tensor, camera: Cameras, images: Tensor, others: Cameras, worth: Tensor
) -> Float[Tensor, "rows columns"]:
    """How much neighbours differ from a frame around each pixel at some depth, all but the worst of them.

    The worst one may not see the point. Where it is not worth it, what is said means nothing.
    """
    around = box_mean(worth.float()[None], RADIUS) > 0
    found = look_up(inverse_depth, camera, images, others, around.float().expand(len(images), -1, -1))
    differences = box_mean((found - image).abs().mean(1), RADIUS)
    return (differences.sum(0) - differences.amax(0)) / max(len(images) - 1, 1)
