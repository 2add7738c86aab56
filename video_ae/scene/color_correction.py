"""What the views of a clip get wrong of each other, in broad strokes: exposure, white balance, reflections.

A view takes its colours from source views. Their exposures differ, so each is brought to that of their mean: a step
between two frames would else be seen as patches. And colours change along the path. A frame can be made of its own
neighbours in the same way, and how it differs from that is known. The difference is of the second order, which grows
with the square of the distances that are bridged: a view lacks as much, in proportion to how far its source views lie
apart (so interpolation through four points goes beyond that between two). Fine detail differs for other reasons, noise
and edges half a pixel off, so the differences are blurred.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.box_mean import box_mean
from video_ae.geometry.pinhole import MINIMUM_DEPTH, sample
from video_ae.scene.depth_agreement import for_kernels, reproject
from video_ae.scene.reprojection_kernel import look_up_rows
from video_ae.types import Cameras

RADIUS = 6  # pixels of two box filters
_SEEN = 0.5  # agreement from where on a pixel counts in full
_FEW, _LITTLE = 0.1, 0.05  # of a pixel's surroundings, of agreement: beside them little is corrected
_UNLIKE = 0.1  # colours that differ by more count as much: they are other things, not another exposure
_UNSURE = 0.002  # of all pixels: a part that is shared by so few tells little


@dataclass(frozen=True)
class ColorError:
    """What a frame has and its neighbours did not show.

    Args:
        difference: of RGB, blurred.
        spread: mean squared distance of the neighbours, as in `mean_square`.
    """

    difference: Float[Tensor, "3 rows columns"]
    spread: float


def mean_square(weights: dict[int, float], distances: Float[Tensor, "frame"]) -> float:
    """Mean squared distance of source views from a frame.

    Args:
        weights: of source views, by position.
        distances: of all frames.

    >>> mean_square({0: 0.5, 2: 0.5}, torch.tensor([1.0, 5.0, 3.0]))
    5.0
    """
    total = sum(weights.values())
    return sum(weight * distances[frame].item() ** 2 for frame, weight in weights.items()) / total


def variance(weights: dict[int, float], distances_of: Callable[[int], Float[Tensor, "frame"]]) -> float:
    """Mean squared distance of source views from their own mean, wherever the view lies.

    Args:
        weights: of source views, by position.
        distances_of: a frame, by position, from all frames.

    >>> line = torch.tensor([0.0, 1.0, 3.0])
    >>> variance({0: 0.5, 2: 0.5}, lambda frame: (line - line[frame]).abs())
    2.25
    """
    mean = sum(weight * mean_square(weights, distances_of(frame)) for frame, weight in weights.items())
    return mean / sum(weights.values()) / 2


def look_up(
    known: Float[Tensor, "rows columns"],
    camera: Cameras,
    images: Float[Tensor, "source 3 rows2 columns2"],
    sources: Cameras,
    agreement: Float[Tensor, "source rows columns"],
) -> Float[Tensor, "source 3 rows columns"]:
    """Images of source views as a view sees them; 0 where they do not agree at all.

    Args:
        known: 1 / z that the view sees; NaN where it is not known.
        camera: its own.
        images: of the source views.
        sources: their cameras, in the same world.
        agreement: how far each source view shows what the view sees.
    """
    work = _compiled_images if usable(known, images, agreement) else _images
    return work(known.nan_to_num(0.0), camera, images, sources, agreement)


def _images(known: Tensor, camera: Cameras, images: Tensor, sources: Cameras, agreement: Tensor) -> Tensor:
    coordinates = [reproject(camera, sources.select([number]), known)[0] for number in range(len(images))]
    return sample(images, torch.stack(coordinates), "border") * (agreement != 0)[:, None]


def _compiled_images(known: Tensor, camera: Cameras, images: Tensor, sources: Cameras, agreement: Tensor) -> Tensor:
    """The same by a compiled loop."""
    found = torch.empty(*images.shape[:2], *known.shape)
    inputs = *arrays(known, images, agreement), *for_kernels(camera, sources)
    spread(len(known), look_up_rows, *inputs, MINIMUM_DEPTH, *arrays(found))
    return found


def exposure_steps(
    images: Float[Tensor, "source 3 rows columns"], agreement: Float[Tensor, "source rows columns"]
) -> Float[Tensor, "3 rows columns"]:
    """What to add to the colours that a view takes from its source views, so that each has the exposure of their mean.

    A source view that is brighter than the others would else leave a patch wherever it alone shows something. What it
    differs by on average, where others show the same, is taken from it everywhere.

    Args:
        images: of the source views, as of `look_up`.
        agreement: how far each shows what the view sees, times its share.
    """
    few, some = agreement[:, ::2, ::2], images[:, :, ::2, ::2]  # a quarter of the pixels tells as much
    shared = few * (few.sum(0) - few)
    apart = (_mean(some, few) - some).clamp(-_UNLIKE, _UNLIKE)
    sums, weights = (shared[:, None] * apart).sum((2, 3)), shared.sum((1, 2)) + _UNSURE * shared[0].numel()
    return torch.einsum("nhw,nc->chw", agreement, sums / weights[:, None]) / (agreement.sum(0) + _LITTLE)


def _mean(images: Tensor, agreement: Tensor) -> Tensor:
    """The colours of source views, by their agreement."""
    return (agreement[:, None] * images).sum(0) / agreement.sum(0).clamp_min(1e-6)


def color_error(
    image: Float[Tensor, "3 rows columns"],
    others: Float[Tensor, "source 3 rows columns"],
    agreement: Float[Tensor, "source rows columns"],
) -> Float[Tensor, "3 rows columns"]:
    """How a frame differs from what its neighbours show of it, blurred; little where these show little.

    Args:
        image: the frame.
        others: its neighbours, as of `look_up`.
        agreement: how far each shows what the frame sees, times its share.
    """
    weight = (agreement.sum(0) / _SEEN).clamp(0, 1)
    difference = weight * (image - _mean(others, agreement) - exposure_steps(others, agreement))
    both = torch.cat([difference, weight[None]])
    for _ in range(2):
        both = box_mean(both, RADIUS)
    return both[:3] / (both[3] + _FEW)


def color_correction(
    known: Float[Tensor, "rows columns"],
    camera: Cameras,
    errors: list[ColorError],
    sources: Cameras,
    agreement: Float[Tensor, "source rows columns"],
    spread: float,
) -> Float[Tensor, "3 rows columns"]:
    """What to add to the colours that a view takes from its source views, since these change along the path.

    Args:
        known, camera, sources, agreement: as in `look_up`.
        errors: of the source views.
        spread: of the source views, as in `variance`.
    """
    parts = [min(1.0, spread / max(error.spread, 1e-12)) for error in errors]
    differences = torch.stack([part * error.difference for part, error in zip(parts, errors, strict=True)])
    found = look_up(known, camera, differences, sources, agreement)
    return (agreement[:, None] * found).sum(0) / (agreement.sum(0) + _LITTLE)
