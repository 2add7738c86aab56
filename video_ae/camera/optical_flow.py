"""Dense optical flow between frames by coarse-to-fine Lucas-Kanade on feature maps (Baker & Matthews 2004)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from video_ae.camera.features import blur
from video_ae.camera.kernels.flow_kernel import ERROR_SCALE, MAXIMUM_STEP, RADIUS, TEXTURE_FLOOR, refine_edges
from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.pinhole import pixel_centres, sample
from video_ae.tensor_records import TensorRecord


@dataclass(frozen=True)
class OpticalFlow(TensorRecord):
    """Where each pixel of the source frames is seen in the target frames, for each edge of a frame graph.

    Args:
        flow: displacement (x, y) in pixels.
        structure: structure tensor (xx, xy, yy) of the features around each pixel, averaged over a small window.
        error: mean squared feature difference after alignment, over the same window.
        inside: 1 where the match lies within the target frame, else 0.
    """

    axis: ClassVar[str] = "edge"

    flow: Float[Tensor, "edge 2 height width"]
    structure: Float[Tensor, "edge 3 height width"]
    error: Float[Tensor, "edge height width"]
    inside: Float[Tensor, "edge height width"]

    @property
    def mean_error(self) -> Float[Tensor, "edge"]:
        """Of what stays inside the target frame; large where next to nothing does."""
        inside = self.inside.flatten(1)
        return ((self.error.flatten(1) * inside).sum(1) + 1) / (inside.sum(1) + 1)

    def replaced(self, other: "OpticalFlow", edges: Bool[Tensor, "edge"]) -> "OpticalFlow":
        """The same flow with some edges of another one.

        Args:
            other: flow of the same edges.
            edges: which of them to take from it.
        """
        numbers = torch.arange(len(edges), device=edges.device) + len(edges) * edges
        return OpticalFlow.cat([self, other]).select(numbers)


def gradients(maps: Float[Tensor, "batch channel height width"]) -> tuple[Tensor, Tensor]:
    """Central differences along x and y, per pixel.

    Args:
        maps: any number of channels; borders are replicated.
    """
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    return (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def warp(
    maps: Float[Tensor, "edge channel height width"], flow: Float[Tensor, "edge 2 height width"]
) -> tuple[Float[Tensor, "edge channel height width"], Float[Tensor, "edge 1 height width"]]:
    """Maps of the target drawn to the source's pixels, and 1 where they come from inside the frame.

    Args:
        maps: of the target frames.
        flow: from source to target, in pixels.
    """
    height, width = flow.shape[-2:]
    size = torch.tensor([width, height], device=flow.device, dtype=flow.dtype)
    uv = pixel_centres(height, width, flow.device, flow.dtype) + flow.permute(0, 2, 3, 1) / size
    inside = ((uv > 0) & (uv < 1)).all(-1)[:, None].to(flow.dtype)
    return sample(maps, uv, "border"), inside


def resize_flow(flow: Float[Tensor, "edge 2 rows columns"], height: int, width: int) -> Tensor:
    """The same flow on another pixel grid, displacements in the new pixels.

    Args:
        flow: in pixels of its own grid.
        height, width: of the new grid.
    """
    if flow.shape[-2:] == (height, width):
        return flow
    ratio = torch.tensor([width / flow.shape[-1], height / flow.shape[-2]], device=flow.device, dtype=flow.dtype)
    return F.interpolate(flow, size=(height, width), mode="bilinear", align_corners=False) * ratio.view(1, 2, 1, 1)


def estimate_flow(
    pyramid: list[Float[Tensor, "frame channel _ _"]],
    edges: Int[Tensor, "2 edge"],
    start: Float[Tensor, "edge 2 _ _"] | None = None,
    iterations: int = 6,
    stiffness: float = 0.05,
) -> OpticalFlow:
    """Displacement of every source pixel, coarse to fine.

    Args:
        pyramid: feature maps of the frames, finest first.
        edges: source and target frames.
        start: flow to begin from, in pixels of its own grid (zero without it).
        iterations: Gauss-Newton steps on each level.
        stiffness: pulls each pixel towards the texture-weighted mean of its neighbours.
    """
    flow = pyramid[-1].new_zeros(edges.shape[1], 2, *pyramid[-1].shape[-2:]) if start is None else start
    for maps in reversed(pyramid):
        flow = resize_flow(flow, *maps.shape[-2:])
        refine = refine_level_compiled if usable(maps, flow) else refine_level
        found = refine(maps, edges, flow, iterations, stiffness)
        flow = found.flow
    return found


def refine_level(
    maps: Float[Tensor, "frame channel height width"],
    edges: Int[Tensor, "2 edge"],
    flow: Float[Tensor, "edge 2 height width"],
    iterations: int,
    stiffness: float,
) -> OpticalFlow:
    """Gauss-Newton on one level of the pyramid.

    Args:
        maps: features of the frames on this level.
        edges: source and target frames.
        flow: to begin from.
        iterations: at least one.
        stiffness: pulls each pixel towards the texture-weighted mean of its neighbours.
    """
    source, target = maps[edges[0]], maps[edges[1]]
    gx, gy = gradients(source)
    for _ in range(iterations):
        warped, inside = warp(target, flow)
        error = warped - source
        weight = inside / (1 + error.square().mean(1, keepdim=True) / ERROR_SCALE)
        products = (gx * gx, gx * gy, gy * gy, gx * error, gy * error)
        moments = blur(torch.cat([(p * weight).mean(1, keepdim=True) for p in products], 1), RADIUS)
        texture = moments[:, 0:1] + moments[:, 2:3] + TEXTURE_FLOOR
        pull = stiffness * (blur(flow * texture, RADIUS) / blur(texture, RADIUS) - flow)
        xx, xy, yy = moments[:, 0] + stiffness, moments[:, 1], moments[:, 2] + stiffness
        right_x, right_y = pull[:, 0] - moments[:, 3], pull[:, 1] - moments[:, 4]
        determinant = xx * yy - xy * xy
        step = torch.stack([yy * right_x - xy * right_y, xx * right_y - xy * right_x], 1) / determinant[:, None]
        flow = flow + step.clamp(-MAXIMUM_STEP, MAXIMUM_STEP)
    warped, inside = warp(target, flow)
    error = blur((warped - source).square().mean(1, keepdim=True), RADIUS)
    return OpticalFlow(flow, moments[:, :3], error[:, 0], inside[:, 0])


def refine_level_compiled(
    maps: Float[Tensor, "frame channel height width"],
    edges: Int[Tensor, "2 edge"],
    flow: Float[Tensor, "edge 2 height width"],
    iterations: int,
    stiffness: float,
) -> OpticalFlow:
    """The same by a compiled loop; equal to 3e-5 pixels.

    Args:
        maps, edges, flow, iterations, stiffness: as in `refine_level`.
    """
    count, _, height, width = flow.shape
    error, inside = flow.new_empty(2, count, height, width)
    found = OpticalFlow(
        flow.clone(memory_format=torch.contiguous_format), flow.new_empty(count, 3, height, width), error, inside
    )
    outputs = arrays(found.flow, found.structure, found.error, found.inside)
    spread(count, refine_edges, *arrays(maps, *edges), iterations, stiffness, *outputs)
    return found
