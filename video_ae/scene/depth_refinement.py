"""Depth maps of frames, refined by what neighbouring frames show.

Depth that is rendered from the codes is soft: things reach a few pixels beyond their outlines and fade into what lies
behind them, and a thin one is there in one frame and missing in the next. So each pixel chooses among a few proposals:
its own depth, the nearest and the farthest around it, and what each neighbour sees there (propagation between views,
Bleyer et al. 2011). A proposal is judged by how bright the neighbours are where its depth leads. What is said of single
pixels is averaged along the edges of the frame, by a guided filter (cost-volume filtering, Rhemann et al. 2011): so
outlines of depth come to lie on outlines of the image. Exposure and reflections differ from frame to frame: what images
differ by all around does not count, and where a frame's own depth leads to nearly the same it stays, since plain
surfaces speak for any. A median takes specks away.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.box_mean import box_mean
from video_ae.geometry.pinhole import MINIMUM_DEPTH, sample
from video_ae.geometry.se3 import invert
from video_ae.scene.depth_agreement import for_kernels, reproject
from video_ae.scene.reprojection_kernel import compare_proposals, project_points
from video_ae.types import Cameras

REACH = 3  # pixels around, whose nearest and farthest depth are proposed
_SURROUNDINGS = 6  # radius of the mean that differences count without
_SAME, _OUTLINE = 0.02, 0.05  # of the depth: what neighbours, and what is around, propose is different from there on
_WRONG, _BETTER = 0.01, 0.001  # of brightness, 0 to 1: what a frame's own depth costs where another one may be better
_UNLIKE = 0.1  # what differs by more counts as much: whatever hides a point may be as bright as it likes
_RADIUS, _FLAT = 4, 1e-3  # of the guided filter; variance of brightness below which there are no edges


def refine_depth(
    own: Float[Tensor, "rows columns"],
    image: Float[Tensor, "rows columns"],
    camera: Cameras,
    depths: Float[Tensor, "other rows columns"],
    images: Float[Tensor, "other rows2 columns2"],
    others: Cameras,
) -> Float[Tensor, "rows columns"]:
    """1 / z of a frame: its own, that of a pixel nearby, or what one of its neighbours sees there.

    Args:
        own: 1 / z that the frame sees; NaN where it is not known.
        image: the brightness of the frame, 0 to 1.
        camera: its camera.
        depths: 1 / z that its neighbours see; NaN where it is not known.
        images: brightness of the neighbours.
        others: their cameras, in the same world. One alone cannot tell: then specks are taken away, and no more.
    """
    known = own.nan_to_num(0.0)
    seen = see_from(depths, others, camera, (own.shape[1], own.shape[0]))
    proposals = torch.stack([known, *_around(known), *seen])
    least = known.new_tensor([1.0, _OUTLINE, _OUTLINE] + [_SAME] * len(seen))[:, None, None]
    other = (proposals > 0) & ((proposals - known).abs() > least * known)
    work = _compiled_differences if usable(proposals, image, images) else _differences
    unlike = work(proposals, other, image, camera, images, others)
    shown = (unlike.sum(1) - unlike.amax(1)) / max(len(images) - 1, 1)  # without the worst, which may not see it
    costs = _filtered(shown, image)
    best, least = own, costs[0] - _BETTER
    for proposal, cost, worth in zip(proposals[1:], costs[1:], other[1:], strict=True):
        better = worth & (cost < least) & (costs[0] > _WRONG)
        best, least = torch.where(better, proposal, best), torch.where(better, cost, least)
    return torch.where(best.isfinite(), _median(best.nan_to_num(0.0)), best)


def _median(maps: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """The median of 3x3 pixels: without specks, and edges where they were."""
    from kornia.filters import median_blur  # 0.15 seconds, which only those wait for who render views

    padded = F.pad(maps[None, None], (1, 1, 1, 1), mode="replicate")  # kornia pads with zeros
    return median_blur(padded, 3)[0, 0, 1:-1, 1:-1]


def see_from(
    inverse_depth: Float[Tensor, "other rows columns"], others: Cameras, camera: Cameras, size: tuple[int, int]
) -> Float[Tensor, "other height width"]:
    """1 / z of what some frames see, as another camera sees it: the nearest point in each pixel, 0 where there is none.

    Args:
        inverse_depth: 1 / z in the frames' own axes; 0 or NaN where it is not known.
        others: cameras of the frames.
        camera: one, in the same world.
        size: (width, height) of its image, in pixels.
    """
    known = inverse_depth.nan_to_num(0.0)
    if not usable(known):
        return torch.stack([_seen_from(one, others.select([n]), camera, size) for n, one in enumerate(known)])
    landed, surfaces = torch.empty(2, len(known), size[1], size[0])
    poses = invert(camera.world_from_camera) @ others.world_from_camera
    inputs = arrays(known, poses, others.intrinsics, camera.intrinsics[0])
    spread(len(known), project_points, *inputs, MINIMUM_DEPTH, *arrays(landed, surfaces))
    return surfaces


def _seen_from(known: Tensor, other: Cameras, camera: Cameras, size: tuple[int, int]) -> Float[Tensor, "height width"]:
    """The same of one frame by tensor operations."""
    uv, depth = reproject(other, camera, known)
    column, row = (uv * uv.new_tensor(size)).floor().long().unbind(-1)
    inside = (known > 0) & (depth > MINIMUM_DEPTH) & (uv >= 0).all(-1) & (column < size[0]) & (row < size[1])
    landed = known.new_zeros(size[0] * size[1])
    landed.scatter_reduce_(0, (row * size[0] + column)[inside], 1 / depth[inside], "amax")
    landed = landed.view(size[1], size[0])
    return torch.where(landed > 0, landed, F.max_pool2d(landed[None], 3, 1, 1)[0])


def _around(known: Float[Tensor, "rows columns"]) -> tuple[Tensor, Tensor]:
    """The nearest and the farthest depth around each pixel; 0 where some of it is not known."""
    both = torch.stack([known, -known])
    for reach in ((REACH, 0), (0, REACH)):
        both = F.max_pool2d(both, (2 * reach[0] + 1, 2 * reach[1] + 1), 1, reach)
    return both[0], -both[1]


def _differences(
    proposals: Float[Tensor, "proposal rows columns"],
    other: Bool[Tensor, "proposal rows columns"],
    image: Tensor,
    camera: Cameras,
    images: Tensor,
    others: Cameras,
) -> Float[Tensor, "proposal other rows columns"]:
    """How much each neighbour differs from a frame at each proposed depth, but for what it differs by all around.

    Where a proposal is none other than the first one it says the same.
    """
    at_first, unlike = _shown(proposals[0], camera, images, others) - image, []
    for proposal, is_other in zip(proposals, other, strict=True):
        difference = torch.where(is_other, _shown(proposal, camera, images, others) - image, at_first)
        unlike.append((difference - box_mean(difference, _SURROUNDINGS)).abs().clamp_max(_UNLIKE))
    return torch.stack(unlike)


def _shown(inverse_depth: Tensor, camera: Cameras, images: Tensor, others: Cameras) -> Tensor:
    """What neighbours show of a frame."""
    coordinates = [reproject(camera, others.select([number]), inverse_depth)[0] for number in range(len(images))]
    return sample(images[:, None], torch.stack(coordinates), "border")[:, 0]


def _compiled_differences(
    proposals: Tensor, other: Tensor, image: Tensor, camera: Cameras, images: Tensor, others: Cameras
) -> Float[Tensor, "proposal other rows columns"]:
    """The same by a compiled loop."""
    unlike = torch.empty(len(proposals), len(images), *proposals.shape[1:])
    inputs = *arrays(proposals, other.float(), image, images), *for_kernels(camera, others)
    spread(len(images), compare_proposals, *inputs, _SURROUNDINGS, _UNLIKE, MINIMUM_DEPTH, *arrays(unlike))
    return unlike


def _filtered(
    maps: Float[Tensor, "map rows columns"], guide: Float[Tensor, "rows columns"]
) -> Float[Tensor, "map rows columns"]:
    """Means over what is around and has no edge of the guide between (guided filter, He et al. 2010).

    kornia's `guided_blur` says the same away from the border, and takes 1.7 times as long. This one runs twice a frame.
    """
    maps_and_guide = torch.cat([maps, maps * guide, guide[None], guide[None] ** 2])
    means, products, (mean, square) = box_mean(maps_and_guide, _RADIUS).split([len(maps), len(maps), 2])
    slopes = (products - mean * means) / (square - mean**2 + _FLAT)
    slope, offset = box_mean(torch.cat([slopes, means - slopes * mean]), _RADIUS).chunk(2)
    return slope * guide + offset
