"""Perspective volume rendering of frustum voxels from any camera."""

import torch
from einops import rearrange
from torch import nn

from video_ae.geometry.cameras import sample
from video_ae.geometry.frusta import intersect_frustum
from video_ae.renderers.marching import absorption_weights
from video_ae.types import Cameras, FrustumVoxels, RenderedViews


class FrustumRenderer(nn.Module):
    """Meets each plane of the code once per ray, in the planes' own order, and absorbs along the ray.

    Exact for the piecewise constant medium that the planes describe, as long as the cameras look roughly the same way
    (a ray that turns its back on the reference camera sees nothing).
    """

    def forward(self, structure: FrustumVoxels, views: Cameras, height: int, width: int) -> RenderedViews:
        """Pictures of `height` x `width` pixels; views has shape [batch, view]."""
        density, features = structure.density, structure.features
        planes = density.shape[1]
        coordinates, inverse_depth = intersect_frustum(
            structure.reference, structure.inverse_depth, views, height, width
        )
        count = coordinates.shape[1]
        maps = torch.cat([density[:, :, None], rearrange(features, "b c p h w -> b p c h w")], 2)
        maps = maps[:, None].expand(-1, count, *([-1] * 4)).flatten(0, 2)
        sampled = sample(maps, coordinates.flatten(0, 2), padding="border")
        sampled = rearrange(sampled, "(b v p) c h w -> b v p c h w", v=count, p=planes)
        inside = ((coordinates > 0) & (coordinates < 1)).all(-1) & (inverse_depth > 0)
        opacity = (1 - torch.exp(-sampled[:, :, :, 0])) * inside
        weights = absorption_weights(rearrange(opacity, "b v p h w -> b v h w p"))
        weights = rearrange(weights, "b v h w p -> b v p h w")
        frames = (weights[:, :, :, None] * sampled[:, :, :, 1:4]).sum(2)
        disparity = (weights * inverse_depth).sum(2)
        return RenderedViews(frames, disparity, weights.sum(2))
