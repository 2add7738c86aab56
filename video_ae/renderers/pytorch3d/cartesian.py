"""Perspective volume rendering of a Cartesian voxel grid: the field's usual grid, for comparison and exchange.

The grid's axes are the world's: columns along x, rows along y, layers along z.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.geometry.pinhole import camera_rays
from video_ae.geometry.precision import full_precision
from video_ae.renderers.compositing import march
from video_ae.types import Cameras, RenderedViews


@dataclass(frozen=True)
class CartesianVoxels:
    """Voxels of a box in the world.

    Args:
        density: extinction per unit of length, >= 0; zero outside the box.
        features: what a voxel emits; the first three channels are RGB in [0, 1].
        centre: of the box, in the world.
        voxel_size: along x, y and z, in the world's scale.
    """

    density: Float[Tensor, "batch layer row column"]
    features: Float[Tensor, "batch channel layer row column"]
    centre: Float[Tensor, "batch 3"]
    voxel_size: Float[Tensor, "batch 3"]


def sample_voxels(
    voxels: CartesianVoxels, points: Float[Tensor, "batch *points 3"]
) -> tuple[Float[Tensor, "batch *points"], Float[Tensor, "batch *points channel"]]:
    """Density and features at points of the world, trilinear between voxel centres; zero beyond the box.

    Args:
        voxels: the grid.
        points: in world coordinates.

    >>> density = torch.zeros(1, 1, 1, 2)
    >>> density[..., 1] = 4.0  # its centre lies half a voxel right of the box's centre
    >>> grid = CartesianVoxels(density, torch.zeros(1, 3, 1, 1, 2), torch.zeros(1, 3), torch.full((1, 3), 2.0))
    >>> sample_voxels(grid, torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]))[0].tolist()
    [[4.0, 2.0]]
    """
    layers, rows, columns = voxels.density.shape[1:]
    half = voxels.voxel_size * torch.tensor([columns, rows, layers], device=points.device) / 2
    flat = points.flatten(1, -2)
    coordinates = (flat - voxels.centre[:, None]) / half[:, None]  # -1 and 1 at the faces of the box
    maps = torch.cat([voxels.density[:, None], voxels.features], 1)
    sampled = nn.functional.grid_sample(maps, coordinates[:, :, None, None], align_corners=False)
    sampled = rearrange(sampled, "b c n 1 1 -> b n c").unflatten(1, points.shape[1:-1])
    return sampled[..., 0], sampled[..., 1:]


class CartesianRenderer(nn.Module):
    """Samples each ray at evenly spaced depths along z of the view.

    Args:
        nearest, farthest: depth of the first and the last sample, in the world's scale.
        samples: per ray.
    """

    def __init__(self, nearest: float, farthest: float, samples: int = 64):
        super().__init__()
        self.nearest = nearest
        self.farthest = farthest
        self.samples = samples

    @full_precision
    def forward(self, voxels: CartesianVoxels, views: Cameras, height: int, width: int) -> RenderedViews:
        """The voxels as the cameras see them, over black where they see nothing.

        A sample's opacity is 1 - exp(-density * length), with the length of the ray between two samples.

        Args:
            voxels: the grid.
            views: any number of cameras per batch item.
            height, width: of the rendered views, in pixels.
        """
        rays = camera_rays(views.intrinsics, height, width)  # [b, v, h, w, 3], z = 1
        depth = torch.linspace(self.nearest, self.farthest, self.samples, dtype=rays.dtype, device=rays.device)
        pose = views.world_from_camera
        directions = torch.einsum("bvij,bvhwj->bvhwi", pose[..., :3, :3], rays)
        points = directions[..., None, :] * depth[:, None] + pose[:, :, None, None, None, :3, 3]
        density, features = sample_voxels(voxels, points)
        length = (self.farthest - self.nearest) / (self.samples - 1) * rays.norm(dim=-1)
        opacity = 1 - torch.exp(-density * length[..., None])
        inverse_depth = (1 / depth).expand(opacity.shape)[..., None]
        seen, total = march(opacity, torch.cat([features[..., :3], inverse_depth], -1))
        return RenderedViews(rearrange(seen[..., :3], "b v h w c -> b v c h w"), seen[..., 3], total)
