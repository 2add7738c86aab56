"""Perspective volume rendering of a multiplane volume from any camera."""

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.frustum import intersect_frustum
from video_ae.geometry.pinhole import sample
from video_ae.geometry.se3 import invert
from video_ae.renderers.base import Renderer
from video_ae.renderers.compositing import absorption_weights
from video_ae.renderers.frustum_kernel import render_rows
from video_ae.types import Cameras, MultiplaneVolume, RenderedViews


class FrustumRenderer(Renderer):
    """Intersects each ray with the volume's planes, in their own order, and composites by absorption.

    Exact for the piecewise constant medium that the planes describe, as long as the cameras look roughly the same way
    (a ray that points against the reference camera's viewing direction sees nothing).

    Args:
        marcher: what composites along the rays: "native", or "pytorch3d" (its `EmissionAbsorptionRaymarcher`; same
            values and gradients, slower).

    Raises:
        UserError: pytorch3d is asked for and not installed.
    """

    def __init__(self, marcher: Literal["native", "pytorch3d"] = "native"):
        super().__init__()
        if marcher == "pytorch3d":
            from video_ae.renderers.pytorch3d.bridge import load_pytorch3d

            load_pytorch3d()
        self.marcher = marcher

    def forward(self, volume: MultiplaneVolume, views: Cameras, height: int, width: int) -> RenderedViews:
        if self.marcher == "native" and usable(volume.density, volume.features, views.world_from_camera):
            rendered = [_compiled(volume[i], views[i], height, width) for i in range(len(volume.density))]
            return RenderedViews.stack(rendered)
        density, features = volume.density, volume.features
        planes = density.shape[1]
        coordinates, inverse_depth = intersect_frustum(volume.reference, volume.inverse_depth, views, height, width)
        count = coordinates.shape[1]
        maps = torch.cat([density[:, :, None], rearrange(features, "b c p h w -> b p c h w")], 2)
        maps = maps[:, None].expand(-1, count, *([-1] * 4)).flatten(0, 2)
        sampled = sample(maps, coordinates.flatten(0, 2), padding="border")
        sampled = rearrange(sampled, "(b v p) c h w -> b v p c h w", v=count, p=planes)
        inside = ((coordinates > 0) & (coordinates < 1)).all(-1) & (inverse_depth > 0)
        opacity = (1 - torch.exp(-sampled[:, :, :, 0])) * inside
        composite = _composite_with_pytorch3d if self.marcher == "pytorch3d" else _composite
        return composite(opacity, sampled[:, :, :, 1:4], inverse_depth)


def _compiled(volume: MultiplaneVolume, views: Cameras, height: int, width: int) -> RenderedViews:
    """One item of a batch by a compiled loop."""
    count = len(views)
    new = volume.density.new_empty
    rendered = RenderedViews(new(count, 3, height, width), new(count, height, width), new(count, height, width))
    reference_from_view = invert(volume.reference.world_from_camera) @ views.world_from_camera
    code = arrays(volume.density, volume.features, volume.inverse_depth, volume.reference.intrinsics[0])
    spread(count * height, render_rows, *code, *arrays(reference_from_view, views.intrinsics, *vars(rendered).values()))
    return rendered


def _composite(opacity: Tensor, colours: Tensor, inverse_depth: Tensor) -> RenderedViews:
    """[b, v, p, (c,) h, w]; sums over the plane axis: 1.5 times as fast as `march` on permuted tensors."""
    weights = rearrange(absorption_weights(rearrange(opacity, "b v p h w -> b v h w p")), "b v h w p -> b v p h w")
    rgb = (weights[:, :, :, None] * colours).sum(2)
    return RenderedViews(rgb, (weights * inverse_depth).sum(2), weights.sum(2))


def _composite_with_pytorch3d(opacity: Tensor, colours: Tensor, inverse_depth: Tensor) -> RenderedViews:
    from video_ae.renderers.pytorch3d.bridge import march_with_pytorch3d

    emitted = rearrange(torch.cat([colours, inverse_depth[:, :, :, None]], 3), "b v p c h w -> b v h w p c")
    seen, total = march_with_pytorch3d(rearrange(opacity, "b v p h w -> b v h w p"), emitted)
    return RenderedViews(rearrange(seen[..., :3], "b v h w c -> b v c h w"), seen[..., 3], total)
