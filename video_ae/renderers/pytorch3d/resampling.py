"""Multiplane volume -> voxels of a box in the world, as other libraries have them.

A frustum has fine voxels near its camera and coarse ones far away; a box has one voxel size. `resampling_psnr` measures
what resampling loses.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.pinhole import project, unproject
from video_ae.renderers.frustum_renderer import FrustumRenderer
from video_ae.renderers.pytorch3d.cartesian import CartesianRenderer, CartesianVoxels
from video_ae.types import MultiplaneVolume

_PARTS = 2  # samples along each side of a voxel
_CORNER = 0.9  # of the rays' ends that the default box reaches


def resample_frustum(
    structure: MultiplaneVolume, resolution: tuple[int, int, int] = (128, 96, 128), farthest: float | None = None
) -> CartesianVoxels:
    """The volume in a box along the world's axes that contains its frustum up to some depth.

    A plane's extinction is spread evenly over its interval of depth, so density is per unit of length in the world's
    scale, as `CartesianRenderer` and PyTorch3D's `Volumes` want it after `1 - exp(-density * length)`.

    Args:
        structure: the volume (batch of one).
        resolution: (columns, rows, layers) along x, y and z of the world.
        farthest: depth along the reference camera's axis; what lies beyond is left out. By default the depth by which
            nine of ten rays have ended.
    """
    device = structure.density.device
    depth = farthest or _typical_end(structure)
    low, high = _bounds(structure, depth)
    columns, rows, layers = resolution
    size = (high - low) / torch.tensor([columns, rows, layers], device=device)
    maps = torch.cat([structure.density[:, None], structure.features], 1)
    voxels = torch.empty(maps.shape[1], layers, rows, columns, device=device)
    x = low[0] + size[0] * (torch.arange(columns * _PARTS, device=device) + 0.5) / _PARTS
    y = low[1] + size[1] * (torch.arange(rows * _PARTS, device=device) + 0.5) / _PARTS
    for layer in range(layers):  # one at a time: small memory
        z = low[2] + size[2] * (layer + (torch.arange(_PARTS, device=device) + 0.5) / _PARTS)
        points = torch.stack(torch.meshgrid(z, y, x, indexing="ij")[::-1], -1)
        density, features = _sampled(structure, maps, points, depth)
        weighted = torch.cat([density, density * features], 0)[None]
        mean = torch.nn.functional.avg_pool3d(weighted, _PARTS)[0, :, 0]
        voxels[:, layer] = torch.cat([mean[:1], mean[1:] / mean[:1].clamp_min(1e-8)])
    return CartesianVoxels(voxels[None, 0], voxels[None, 1:], ((low + high) / 2)[None], size[None])


def resampling_psnr(structure: MultiplaneVolume, voxels: CartesianVoxels, width: int = 128, height: int = 96) -> float:
    """PSNR, in decibels, between renderings of the volume and of the box from the reference camera (higher is better).

    Args:
        structure: the volume (batch of one).
        voxels: the same, resampled.
        width, height: of the renderings, in pixels.
    """
    nearest = 1 / structure.inverse_depth.max().item()
    view = structure.reference.camera_from_world[0, 0]
    ends = (view[:3, :3] @ _corners(voxels).mT + view[:3, 3:])[2]
    farthest = max(ends.max().item(), 1.1 * nearest)
    box = CartesianRenderer(nearest, farthest, 2 * voxels.density.shape[1])
    with torch.no_grad():
        ours = FrustumRenderer()(structure, structure.reference, height, width).rgb
        theirs = box(voxels, structure.reference, height, width).rgb
    return -10 * torch.log10((ours - theirs).square().mean()).item()


def _corners(voxels: CartesianVoxels) -> Float[Tensor, "8 3"]:
    layers, rows, columns = voxels.density.shape[1:]
    half = voxels.voxel_size[0] * torch.tensor([columns, rows, layers], device=voxels.centre.device) / 2
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], device=half.device)] * 3)
    return voxels.centre[0] + signs * half


def _typical_end(structure: MultiplaneVolume) -> float:
    opacity = 1 - torch.exp(-structure.density[0])
    left = torch.cumprod(1 - opacity, 0).mean((1, 2))  # of all rays, after each plane
    ended = (left < 1 - _CORNER).nonzero()
    plane = int(ended[0]) if len(ended) else len(left) - 1
    return 1 / structure.inverse_depth[0, min(plane + 1, len(left) - 1)].item()


def _bounds(structure: MultiplaneVolume, farthest: float) -> tuple[Tensor, Tensor]:
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], device=structure.density.device)
    rays = unproject(corners, structure.reference.intrinsics[0, 0].expand(4, 4))
    points = torch.cat([rays / structure.inverse_depth[0, 0], rays * farthest])
    pose = structure.reference.world_from_camera[0, 0]
    world = points @ pose[:3, :3].mT + pose[:3, 3]
    return world.amin(0), world.amax(0)


def _sampled(structure: MultiplaneVolume, maps: Tensor, points: Tensor, farthest: float) -> tuple[Tensor, Tensor]:
    """(density per unit of length [1, ...], features [channel, ...]) at points of the world."""
    reference, planes = structure.reference, structure.inverse_depth[0]
    view = reference.camera_from_world[0, 0]
    local = points @ view[:3, :3].mT + view[:3, 3]
    z = local[..., 2].clamp_min(1e-6)
    uv = project(local, reference.intrinsics[0, 0].expand(*local.shape[:-1], 4))
    step = (planes[0] - planes[-1]) / (len(planes) - 1)
    plane = (planes[0] - 1 / z) / step  # 0 at the nearest plane
    grid = torch.stack([2 * uv[..., 0] - 1, 2 * uv[..., 1] - 1, (2 * plane + 1) / len(planes) - 1], -1)
    values = torch.nn.functional.grid_sample(maps, grid[None], padding_mode="border", align_corners=False)[0]
    inside = ((uv > 0) & (uv < 1)).all(-1) & (local[..., 2] < farthest)
    inside = inside & (plane > -0.5) & (plane < len(planes) - 0.5)
    along = local.norm(dim=-1) / z  # ray length per unit of depth
    density = values[0] / (step * z.square() * along) * inside
    return density[None], values[1:]
