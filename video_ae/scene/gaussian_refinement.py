"""Gaussians refined on the frames of their own clip by the reconstruction loss alone, at cameras that stay.

As in 3D Gaussian Splatting (Kerbl et al. 2023): Adam on centres, axes, sizes, opacities and colours, one frame at a
time, absolute differences and structural dissimilarity. They start where the structure codes put them, so that hundreds
of steps are enough. Many of those lie behind others, where no frame sees them: they are pruned, which makes steps
cheaper. Behind all of them lies another colour in each step, or they would leave holes where frames are dark, which
viewers show in the colour of their page. What reaches over the border of all frames is held by nothing there, and would
stand about the room as beams and fog when it is seen from elsewhere: Gaussians grow to a multiple of what they start
with at most, and to a part of their distance; those outside of all frames shrink. Some frames are kept out, and say
which state was the best one: it is never worse than the start.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from video_ae.formats.ply import GaussianCloud
from video_ae.geometry.pinhole import project, transform
from video_ae.geometry.resize import as_floats
from video_ae.geometry.se3 import quaternion_from_rotation, rotation_from_quaternion
from video_ae.losses.structural_similarity import structural_similarity
from video_ae.renderers.gaussian_rasterizer import rasterize_gaussians
from video_ae.scene.rendering import PartDone, unreported
from video_ae.types import Cameras, RenderedViews

DEFAULT_STEPS = 1500
VALIDATED = 10  # one frame in so many is kept out
_LOOK = 100  # steps between two looks at the frames that were kept out
_RATES = {"centres": 3e-3, "quaternions": 1e-2, "scales": 2e-2, "opacities": 5e-2, "colors": 1e-2}
_LAST_RATE = 0.01  # of the first one
_BETAS = 0.9, 0.99  # of Adam: 0.999 remembers the large gradients of the start for all of some hundred steps
_PRUNED_AT, _LEAST_PIXELS = (0.05, 0.4), 0.1  # parts of the steps; pixels that a Gaussian fills in one of the frames
_LARGEST, _LARGEST_OUTSIDE = 4.0, 0.5  # of a Gaussian's widest scale at the start; of one whose centre is in no frame
_LARGEST_SEEN = 0.15  # of the distance to the nearest camera that sees its centre
_BORDER_STEPS = 25  # between two looks at which these are
_DISSIMILARITY = 0.2  # share of the loss
_OPACITY_RANGE = (1e-4, 0.9999)
_GREY = torch.full((3,), 0.5)  # behind what is looked at


@dataclass(frozen=True)
class _Parameters:
    """What is optimised: quaternions of any length, logarithms of the scales, logits of the opacities."""

    centres: Float[Tensor, "gaussian 3"]
    quaternions: Float[Tensor, "gaussian 4"]
    scales: Float[Tensor, "gaussian 3"]
    opacities: Float[Tensor, "gaussian"]
    colors: Float[Tensor, "gaussian 3"]

    @classmethod
    def of(cls, cloud: GaussianCloud) -> "_Parameters":
        quaternions = quaternion_from_rotation(cloud.rotation.double()).float()
        return cls(cloud.centres, quaternions, cloud.scale.log(), torch.logit(cloud.opacity), cloud.colors)._leaves()

    def _leaves(self) -> "_Parameters":
        return _Parameters(*(value.detach().clone().requires_grad_() for value in vars(self).values()))

    def select(self, kept: Bool[Tensor, "gaussian"]) -> "_Parameters":
        return _Parameters(*(value[kept] for value in vars(self).values()))._leaves()

    @torch.no_grad()
    def cloud(self) -> GaussianCloud:
        rotation = rotation_from_quaternion(self.quaternions.double()).float()
        opacity, colors = self.opacities.sigmoid().clamp(*_OPACITY_RANGE), self.colors.clamp(0, 1)
        return GaussianCloud(self.centres.clone(), colors, opacity, self.scales.exp(), rotation)

    @torch.no_grad()
    def limit_scales(self, limits: Float[Tensor, "gaussian"]) -> None:
        """No scale grows beyond these logarithms."""
        self.scales.copy_(torch.minimum(self.scales, limits[:, None]))

    @torch.no_grad()
    def least_distance(self, cameras: Cameras) -> Float[Tensor, "gaussian"]:
        """To the nearest camera that sees the centre; infinite where none does."""
        least = torch.full_like(self.opacities, math.inf)
        for pose, intrinsics in zip(cameras.camera_from_world, cameras.intrinsics, strict=True):
            local = transform(pose.to(self.centres), self.centres)
            uv = project(local, intrinsics.to(self.centres).expand(len(local), 4))
            seen = (local[:, 2] > 0) & (uv > 0).all(-1) & (uv < 1).all(-1)
            least = torch.where(seen, torch.minimum(least, local.norm(dim=-1)), least)
        return least

    @torch.no_grad()
    def scale_limits(self, widest: Float[Tensor, "gaussian"], cameras: Cameras) -> Float[Tensor, "gaussian"]:
        """Logarithms of the scales to which Gaussians may grow, from their widest scales at the start."""
        distance = self.least_distance(cameras)
        inside = torch.minimum(_LARGEST * widest, _LARGEST_SEEN * distance)
        return torch.where(distance.isfinite(), inside, _LARGEST_OUTSIDE * widest).log()

    def render(
        self, camera: Cameras, size: tuple[int, int], background: Float[Tensor, "3"]
    ) -> Float[Tensor, "3 height width"]:
        shapes = self.centres, self.quaternions, self.scales.exp()
        views = rasterize_gaussians(*shapes, self.opacities.sigmoid(), self.colors, camera, size)
        return views.rgb[0] + (1 - views.opacity[0]) * background.to(views.rgb)[:, None, None]

    def most_pixels(self, cameras: Cameras, size: tuple[int, int]) -> Float[Tensor, "gaussian"]:
        """How many pixels each fills in the view that shows most of it: the sum of its weights in blending.

        That is the gradient of the image's sum by its colour (Rota Bulo et al. 2024 find errors so).
        """
        most = torch.zeros_like(self.opacities)
        for view in range(len(cameras)):
            still = self._leaves()
            red = still.render(cameras.select([view]), size, _GREY)[0]
            (by_color,) = torch.autograd.grad(red.sum(), still.colors)
            most = torch.maximum(most, by_color[:, 0])
        return most


def render_gaussians(cloud: GaussianCloud, cameras: Cameras, size: tuple[int, int]) -> RenderedViews:
    """Images of Gaussians, over black.

    Args:
        cloud: in the world of the cameras.
        cameras: one or more, without batch axis.
        size: (width, height) of the images, in pixels.
    """
    quaternions = quaternion_from_rotation(cloud.rotation.double()).to(cloud.centres)
    parameters = cloud.centres, quaternions, cloud.scale, cloud.opacity, cloud.colors
    return rasterize_gaussians(*parameters, cameras, size)


def refined_gaussians(
    cloud: GaussianCloud,
    frames: Sequence[UInt8[Tensor, "3 height width"]],
    cameras: Cameras,
    steps: int = DEFAULT_STEPS,
    progress: PartDone = unreported,
) -> GaussianCloud:
    """Gaussians that show the frames better, or the given ones where none do.

    Args:
        cloud: where they start, on the device to compute on.
        frames: of a clip, of one size; at least two.
        cameras: of the frames.
        steps: of one frame each; about 0.1 CPU seconds for 576x320 pixels.
        progress: called with the part done, from 0 to 1.
    """
    validated = list(range(min(VALIDATED, len(frames)) // 2, len(frames), VALIDATED))
    trained = [frame for frame in range(len(frames)) if frame not in validated]
    parameters = _Parameters.of(cloud)
    optimizer, size = _optimizer(parameters, cloud, cameras), (frames[0].shape[-1], frames[0].shape[-2])
    widest, limits = cloud.scale.amax(1), torch.empty(0)
    backgrounds = torch.rand(steps, 3, generator=torch.Generator().manual_seed(0))
    best, least = cloud, _error(parameters, frames, cameras, validated)
    for step, frame in enumerate(_shuffled(trained, steps)):
        if step in [int(part * steps) for part in _PRUNED_AT]:
            kept = parameters.most_pixels(cameras, size) > _LEAST_PIXELS
            parameters, widest = parameters.select(kept), widest[kept]
            optimizer = _optimizer(parameters, cloud, cameras)
        optimizer.zero_grad()
        _loss(parameters, frames[frame], cameras.select([frame]), backgrounds[step]).backward()
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * _rate(step / steps)
        optimizer.step()
        if step % _BORDER_STEPS == 0 or len(limits) != len(widest):
            limits = parameters.scale_limits(widest, cameras)
        parameters.limit_scales(limits)
        if (step + 1) % _LOOK == 0 or step + 1 == steps:
            now = _error(parameters, frames, cameras, validated)
            best, least = (parameters.cloud(), now) if now < least else (best, least)
        progress((step + 1) / steps)
    return best


def _optimizer(parameters: _Parameters, cloud: GaussianCloud, cameras: Cameras) -> torch.optim.Adam:
    """Adam with a rate for each kind of parameter; centres move in parts of the depth at which they are seen."""
    middle = cameras.select([len(cameras) // 2])
    rates = _RATES | {"centres": _RATES["centres"] * (cloud.centres - middle.centers).norm(dim=-1).median().item()}
    values = vars(parameters).items()
    groups = [{"params": [value], "lr": rates[name], "initial_lr": rates[name]} for name, value in values]
    return torch.optim.Adam(groups, betas=_BETAS, eps=1e-15, fused=True)


def _rate(done: float) -> float:
    """Of the first rate, along half a cosine (Loshchilov and Hutter 2017).

    >>> _rate(0.0), round(_rate(0.5), 3), _rate(1.0)
    (1.0, 0.505, 0.01)
    """
    return _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2


def _loss(parameters: _Parameters, frame: Tensor, camera: Cameras, background: Tensor) -> Float[Tensor, ""]:
    """Mean absolute difference and dissimilarity, in the shares of Kerbl et al. (their equation 7)."""
    image = parameters.render(camera, (frame.shape[-1], frame.shape[-2]), background)
    target = as_floats(frame.to(image.device))
    difference, dissimilarity = (image - target).abs().mean(), 1 - structural_similarity(image, target)
    return (1 - _DISSIMILARITY) * difference + _DISSIMILARITY * dissimilarity


@torch.no_grad()
def _error(parameters: _Parameters, frames: Sequence[Tensor], cameras: Cameras, chosen: list[int]) -> float:
    """Mean squared error of some frames."""
    size, device = (frames[0].shape[-1], frames[0].shape[-2]), parameters.centres.device
    errors = []
    for frame in chosen:
        image = parameters.render(cameras.select([frame]), size, _GREY)
        errors.append((image - as_floats(frames[frame].to(device))).square().mean().item())
    return sum(errors) / len(errors)


def _shuffled(frames: list[int], count: int) -> list[int]:
    """So many frames, each as often as the others, in a random order that is always the same."""
    generator = torch.Generator().manual_seed(0)
    rounds = [torch.randperm(len(frames), generator=generator) for _ in range(-(-count // len(frames)))]
    return [frames[i] for i in torch.cat(rounds)[:count].tolist()] if rounds else []
