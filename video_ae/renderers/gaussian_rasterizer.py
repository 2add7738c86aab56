"""3D Gaussians seen by cameras: differentiable splatting (3D Gaussian Splatting, Kerbl et al. 2023).

A Gaussian is projected to an ellipse, widened by 0.3 square pixels, and blended from near to far; alphas below 1 / 255
are left out, alphas end at 0.99, and a pixel ends when a ten thousandth of its light is left. That is what viewers of
`gaussians.ply` and gsplat (`rasterize_mode="classic"`) show, up to their own limits for the last light of a pixel.
"""

import importlib
import importlib.util
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.pinhole import pixel_centres
from video_ae.renderers.gaussian_kernel import (
    CHANNELS,
    COLUMNS,
    ROWS,
    bin_tiles,
    blend_tiles,
    count_tiles,
    pull_back_tiles,
    sum_entries,
)  # fmt: skip
from video_ae.renderers.gaussian_projection_kernel import SPLAT, project_gaussians, pull_back
from video_ae.types import Cameras, RenderedViews

NEAREST = 0.01  # least z of what is seen
LEAST_ALPHA, MOST_ALPHA = 1 / 255, 0.99
LOW_PASS = 0.3  # variance in pixels that is added to each ellipse
LEAST_LIGHT = 1e-4
_BEYOND = 0.3  # of half the image: farther outside of it, shapes are taken as they are there (as in gsplat)


def rasterize_gaussians(
    means: Float[Tensor, "gaussian 3"],
    quaternions: Float[Tensor, "gaussian 4"],
    scales: Float[Tensor, "gaussian 3"],
    opacities: Float[Tensor, "gaussian"],
    colors: Float[Tensor, "gaussian 3"],
    cameras: Cameras,
    size: tuple[int, int],
) -> RenderedViews:
    """Images over black, with gradients for all but the cameras.

    On CUDA by gsplat, where it is installed; in float32 on a CPU by compiled loops; else slowly.

    Args:
        means: centres in the world of the cameras.
        quaternions: (x, y, z, w) of the principal axes, of any length.
        scales: standard deviations along the principal axes.
        opacities: 0 to 1, at the centres.
        colors: RGB.
        cameras: one or more, without batch axis.
        size: (width, height) of the images, in pixels.
    """
    parameters = means, quaternions, scales, opacities, colors
    if _has_gsplat(means.device):
        return _by_gsplat(*parameters, cameras, size)
    view, own = cameras.camera_from_world.to(means), _pixel_intrinsics(cameras, size).to(means)
    fast = usable(*(one.detach() for one in parameters))
    render: Any = _Rasterization.apply if fast else rasterize_slowly
    images = torch.stack([render(*parameters, view[i], own[i], size) for i in range(len(cameras))])
    return RenderedViews(images[:, :3], images[:, 3], images[:, 4])


def fast_device(device: torch.device) -> torch.device | None:
    """Where Gaussians are rasterized fast: on the device itself, if gsplat runs there, or on the CPU; None: nowhere.

    Args:
        device: of the model.
    """
    if _has_gsplat(device):
        return device
    return torch.device("cpu") if usable() else None


def _has_gsplat(device: torch.device) -> bool:
    return device.type == "cuda" and importlib.util.find_spec("gsplat") is not None


def _pixel_intrinsics(cameras: Cameras, size: tuple[int, int]) -> Float[Tensor, "view 8"]:
    """fx, fy, cx, cy in pixels, and the limits of x / z and y / z between which shapes follow the perspective."""
    width, height = size
    focal, centre = cameras.intrinsics[:, :2], cameras.intrinsics[:, 2:]
    margin = _BEYOND / 2
    limits = torch.stack([(-margin - centre) / focal, (1 + margin - centre) / focal], -1).flatten(1)
    return torch.cat([cameras.intrinsics * torch.tensor([width, height, width, height]).to(focal), limits], 1)


def _by_gsplat(
    means: Tensor, quaternions: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, cameras: Cameras,
    size: tuple[int, int],
) -> RenderedViews:  # fmt: skip
    """The same by gsplat's CUDA kernels; 1 / z is blended as a fourth colour."""
    views, matrices = cameras.camera_from_world.to(means), cameras.K(*size).to(means)
    z = means @ views[:, 2, :3].T + views[:, 2, 3]
    nearness = 1 / z.T.clamp_min(NEAREST)
    values = torch.cat([colors.expand(len(views), *colors.shape), nearness[..., None]], -1)
    given = means, quaternions.roll(1, -1), scales, opacities, values, views, matrices, *size
    rasterization = importlib.import_module("gsplat").rasterization
    images, alpha, _ = rasterization(*given, near_plane=NEAREST, eps2d=LOW_PASS, rasterize_mode="classic")
    return RenderedViews(images[..., :3].movedim(-1, 1), images[..., 3], alpha[..., 0])


class _Rasterization(torch.autograd.Function):
    """One image by compiled loops."""

    @staticmethod
    def forward(ctx: Any, means: Tensor, quaternions: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor,
                view: Tensor, camera: Tensor, size: tuple[int, int]) -> Tensor:  # fmt: skip
        own = arrays(means, quaternions, scales)
        seen = arrays(view, camera)
        limits = np.array([*size, NEAREST, LEAST_ALPHA, LOW_PASS, MOST_ALPHA, LEAST_LIGHT], np.float32)
        splats, boxes = np.empty((len(means), SPLAT), np.float32), np.empty((len(means), 4), np.int32)
        spread(len(means), project_gaussians, *own, *arrays(opacities, colors), *seen, limits, splats, boxes)
        across, down = -(-size[0] // COLUMNS), -(-size[1] // ROWS)
        entries, ends = _binned(splats, boxes, across, down)
        image = np.empty((CHANNELS, down * ROWS, across * COLUMNS), np.float32)
        blended = splats, boxes, entries, ends, limits, image
        spread(len(ends), blend_tiles, *blended)
        ctx.work = own, seen, blended, size
        return torch.from_numpy(image)[:, : size[1], : size[0]]

    @staticmethod
    def backward(ctx: Any, wanted: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        own, seen, blended, size = ctx.work
        splats, boxes, entries, ends, _, image = blended
        slopes = np.zeros_like(image)
        slopes[:, : size[1], : size[0]] = wanted.numpy()
        per_entry, sums = np.zeros((len(entries), SPLAT), np.float32), np.zeros_like(splats)
        spread(len(ends), pull_back_tiles, *blended, slopes, per_entry)
        sum_entries(entries, per_entry, sums)
        found = [np.empty_like(one) for one in own]
        spread(len(splats), pull_back, *own, *seen, splats, boxes, sums, *found)
        gradients = [torch.from_numpy(one) for one in (*found, sums[:, 5], sums[:, 6:9])]
        return *gradients, None, None, None


def _binned(splats: Any, boxes: Any, across: int, down: int) -> tuple[Any, Any]:
    """The Gaussians of each tile, from near to far, and where those of each tile end."""
    order = np.argsort(-splats[:, 9])
    counts = np.zeros(across * down, np.int64)
    count_tiles(boxes, across, counts)
    ends = np.cumsum(counts) - counts
    entries = np.empty(counts.sum(), np.int32)
    bin_tiles(boxes, order, across, ends, entries)
    return entries, ends


def rasterize_slowly(
    means: Float[Tensor, "gaussian 3"],
    quaternions: Float[Tensor, "gaussian 4"],
    scales: Float[Tensor, "gaussian 3"],
    opacities: Float[Tensor, "gaussian"],
    colors: Float[Tensor, "gaussian 3"],
    view: Float[Tensor, "4 4"],
    camera: Float[Tensor, "8"],
    size: tuple[int, int],
) -> Float[Tensor, "5 height width"]:
    """One image in tensor operations, the specification: red, green, blue, 1 / z, opacity.

    Args:
        means, quaternions, scales, opacities, colors, size: as in `rasterize_gaussians`.
        view: camera_from_world.
        camera: fx, fy, cx, cy in pixels; least and largest x / z, then y / z, of shapes that follow the perspective.
    """
    seen = means @ view[:3, :3].T + view[:3, 3]
    kept = (seen[:, 2] >= NEAREST) & (opacities > LEAST_ALPHA)
    order = torch.nonzero(kept)[:, 0][seen[kept, 2].argsort(stable=True)]
    seen, opacities = seen[order], opacities[order]
    z = seen[:, 2:]
    uv = seen[:, :2] / z
    values = torch.cat([colors[order], 1 / z, torch.ones_like(z)], 1)
    covariance = _projected(uv.clamp(camera[4::2], camera[5::2]), z, quaternions[order], scales[order], view, camera)
    conic = torch.linalg.inv(covariance + LOW_PASS * torch.eye(2).to(means))
    centre = uv * camera[:2] + camera[2:4]
    pixels = pixel_centres(size[1], size[0], means.device, means.dtype) * torch.tensor(size).to(means)
    return torch.stack([_blend_row(row, centre, conic, opacities, values) for row in pixels], 1)


def _projected(uv: Tensor, z: Tensor, quaternions: Tensor, scales: Tensor, view: Tensor, camera: Tensor) -> Tensor:
    """Covariances in square pixels."""
    jacobian = torch.diag_embed(camera[:2] / z) @ (view[:2, :3] - uv[..., None] * view[2, :3])
    half = jacobian @ _rotation(quaternions) * scales[:, None]
    return half @ half.mT


def _rotation(quaternions: Tensor) -> Float[Tensor, "gaussian 3 3"]:
    x, y, z, w = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def _blend_row(pixels: Tensor, centre: Tensor, conic: Tensor, opacities: Tensor, values: Tensor) -> Tensor:
    """The channels of some pixels, from all Gaussians, nearest first."""
    offset = pixels[:, None] - centre
    raw = opacities * torch.exp(-0.5 * torch.einsum("pni,nij,pnj->pn", offset, conic, offset))
    alpha = torch.where(raw >= LEAST_ALPHA, raw.clamp_max(MOST_ALPHA), torch.zeros_like(raw))
    passed = torch.cumprod(1 - alpha, 1)
    light = torch.cat([torch.ones_like(passed[:, :1]), passed[:, :-1]], 1)
    weight = torch.where(light > LEAST_LIGHT, alpha * light, torch.zeros_like(light))
    return (weight @ values).T
