"""Frames with cameras -> a multiplane volume, by plane sweep.

Every voxel of the reference camera's frustum is projected into all context frames (Collins 1996; learned as in
MVSNet, Yao et al. 2018). Where their colours agree there is a surface; where there is one context, or no parallax, the
networks decide by appearance. Any number of contexts, any number of planes, any image size.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.frustum import IN_FRONT, project_frustum, project_frustum_with_depth
from video_ae.geometry.pinhole import sample
from video_ae.geometry.resize import resize_images, short_side_size
from video_ae.geometry.se3 import invert
from video_ae.structure.base import StructureEncoder
from video_ae.structure.sweep_kernel import sweep_planes
from video_ae.structure.volume_network import VolumeNetwork, plane_by_plane, resize_planes, voxel_by_voxel
from video_ae.types import Cameras, MultiplaneVolume

OPAQUE = 12.0  # density of the last plane: it closes the frustum
AGREEMENT_WINDOWS = (3, 9)  # side, in voxels, of the windows over which colour differences are averaged
UNCOMPARED_DIFFERENCE = 0.08  # of colours in [0, 1]: assumed for voxels that fewer than two contexts observe
UNOBSERVED = -8.0  # logit of a context's colour at a voxel that it does not observe
FEW_CONTEXTS = 4  # with more contexts than these, logits grow in proportion
LEAST_PARALLAX, TYPICAL_PARALLAX = 0.002, 0.032  # radians: half a pixel or less; a usual baseline of contexts
SFM_DEPTH_WEIGHT, SFM_DEPTH_SPREAD = 12.0, 0.2  # in logits; relative difference that counts as the same depth
FREE_SPACE_WEIGHT, FREE_SPACE_RATIO = 24.0, 2.5  # in logits; voxels nearer than the found depth by this are free space
HIDDEN_RATIO = 1.25  # a context does not see voxels that lie this much (and a plane) behind the depth that it found
_CONSTANTS = np.array([IN_FRONT, LEAST_PARALLAX, TYPICAL_PARALLAX, UNCOMPARED_DIFFERENCE, UNOBSERVED], np.float32)


def _conv2d(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(4, outputs), nn.LeakyReLU(0.1, True))


def _layers(*modules: nn.Module) -> nn.Sequential:
    """Modules in a row, whose weights are saved below the name `layers`."""
    return nn.Sequential(OrderedDict(layers=nn.Sequential(*modules)))


class PlaneSweepEncoder(StructureEncoder):
    """The classical plane sweep with learned corrections.

    Before any training a ray ends where the contexts' colours agree. A volume network adds to that: it sees feature
    maps of small frames, always of about the same size, so that what it learned on small images applies to large ones;
    light heads then decide at full size.

    All parts are conditioned on the parallax angle, so that one set of weights is sharp where contexts are near and
    cautious where they are far: colours are weighted by a power of their context's parallax, and the widest parallax
    changes how sharply rays end.

    Args:
        channels: width of the networks.
        coarse_side: shorter side, in pixels, of the small frames that the volume network sees.
    """

    def __init__(self, channels: int = 8, coarse_side: int = 64):
        super().__init__()
        self.coarse_side = coarse_side
        # Frames -> feature maps at a quarter of their size.
        self.features = _layers(
            _conv2d(3, 16),
            _conv2d(16, 24, 2),
            _conv2d(24, 24),
            _conv2d(24, 32, 2),
            _conv2d(32, 32),
            nn.Conv2d(32, 2 * channels, 3, 1, 1),
        )
        self.volume = VolumeNetwork(4 * channels + 3, channels)
        # One logit per voxel at full size, from the voxel and its neighbours on the same plane. Of each: the volume
        # network's output, how the contexts' colours agree at and around it, the widest parallax, the share of contexts
        # that observe it; and a colour.
        self.ending = _layers(
            nn.Conv3d(channels + 7, 16, (1, 3, 3), padding=(0, 1, 1)),
            nn.LeakyReLU(0.1, True),
            nn.Conv3d(16, 16, (1, 3, 3), padding=(0, 1, 1)),
            nn.LeakyReLU(0.1, True),
            nn.Conv3d(16, 1, 1),
        )
        # The same with a context's own colour and parallax, and whether it observes the voxel.
        self.visibility = nn.Sequential(nn.Conv3d(channels + 8, 16, 1), nn.LeakyReLU(0.1, True), nn.Conv3d(16, 1, 1))
        # How sharply rays end where colours agree: weights of the differences at a voxel and around it.
        self.log_sharpness = nn.Parameter(torch.tensor([30.0, 100.0]).log())
        self.sharpness_per_parallax = nn.Parameter(torch.zeros(2))
        self.parallax_penalty = nn.Parameter(torch.ones(()))

    def forward(
        self,
        frames: Float[Tensor, "batch context 3 height width"],
        cameras: Cameras,
        reference: Cameras,
        inverse_depth: Float[Tensor, "batch plane"],
        size: tuple[int, int] | None = None,
        sfm_depth: Float[Tensor, "batch context rows columns"] | None = None,
    ) -> MultiplaneVolume:
        width, height = size or (frames.shape[-1], frames.shape[-2])
        sfm, visible = None, frames.new_ones(*frames.shape[:2], inverse_depth.shape[1], 1, 1)
        if sfm_depth is not None:
            sfm = _SfmDepth.of(sfm_depth, cameras, reference, inverse_depth, height, width)
            visible = _visible(sfm, cameras, reference)
        hidden = self._coarse_volume(frames, cameras, reference, inverse_depth, visible)
        hidden = resize_planes(hidden, height, width)
        whole_sweep = self._compiled_sweep if usable(frames, hidden) else self._sweep
        known, features = whole_sweep(frames, cameras, reference, inverse_depth, hidden, visible)
        logit = plane_by_plane(self.ending, hidden, known)[:, 0]
        difference, widest = known[:, :2] / 10, known[:, 2:3]
        sharpness = self.log_sharpness.view(1, 2, 1, 1, 1) + self.sharpness_per_parallax.view(1, 2, 1, 1, 1) * widest
        logit = logit - (sharpness.exp() * difference).sum(1)
        if sfm is not None:  # decides where colours agree at any depth
            logit = logit + _sfm_depth_logit(sfm, height, width)
        # Differences are means over the contexts: the more contexts, the more certain.
        logit = logit * max(1.0, frames.shape[1] / FEW_CONTEXTS)
        return MultiplaneVolume(ending_density(logit), features, inverse_depth, reference)

    def _sweep(
        self, frames: Tensor, cameras: Cameras, reference: Cameras, inverse_depth: Tensor, hidden: Tensor,
        visible: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """What is known of each voxel besides the volume network's output, [batch, 7, plane, row, column] (ten times
        both differences, the widest parallax, the share of contexts that observe it, the mean colour less a half), and
        its colour."""
        colours, seen, parallax = _sweep(frames, cameras, reference, inverse_depth, visible, *hidden.shape[-2:])
        mean, variance, share = _agreement(colours, seen)
        difference, widest = _differences(variance, seen), _widest(parallax, seen)
        known, weights = torch.cat([10 * difference, widest, share, mean - 0.5], 1), []
        shared = torch.cat([hidden, known[:, :3]], 1)
        for colour, own_parallax, observed in zip(colours.unbind(1), parallax.unbind(1), seen.unbind(1), strict=True):
            inputs = torch.cat([shared, (colour - mean) * 5, own_parallax, observed], 1)
            weights.append(voxel_by_voxel(self.visibility, inputs))
        weight = torch.stack(weights, 1) - self.parallax_penalty * parallax
        weight = torch.softmax(weight.masked_fill(seen == 0, UNOBSERVED), 1)  # unobserved voxels keep border colours
        return known, (weight * colours).sum(1)

    def _compiled_sweep(
        self, frames: Tensor, cameras: Cameras, reference: Cameras, inverse_depth: Tensor, hidden: Tensor,
        visible: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """The same by a compiled loop."""
        known, features = (hidden.new_empty(len(hidden), channels, *hidden.shape[2:]) for channels in (7, 3))
        poses = invert(cameras.world_from_camera) @ reference.world_from_camera
        weights = dict(self.visibility.named_parameters())
        network = arrays(weights["0.weight"].flatten(1), weights["0.bias"], weights["2.weight"].flatten())
        scalars, windows = (weights["2.bias"].item(), self.parallax_penalty.item()), _windows(*hidden.shape[-2:])
        for i in range(len(hidden)):
            inputs = arrays(
                frames[i], poses[i], cameras.intrinsics[i], reference.intrinsics[i, 0], inverse_depth[i], hidden[i],
                visible[i],
            )  # fmt: skip
            spread(
                len(inverse_depth[i]), sweep_planes, *inputs, *network, *scalars, _CONSTANTS, windows,
                *arrays(known[i], features[i]),
            )  # fmt: skip
        return known, features

    def _coarse_volume(
        self, frames: Tensor, cameras: Cameras, reference: Cameras, inverse_depth: Tensor, visible: Tensor
    ) -> Tensor:
        """The regularized cost volume: the volume network's output, for voxels four pixels of the small frames wide."""
        size = short_side_size((frames.shape[-1], frames.shape[-2]), self.coarse_side, multiple=4, smallest=16)
        columns, rows = (side // 4 for side in size)
        features = self.features(resize_images(frames.flatten(0, 1), size) - 0.5).unflatten(0, frames.shape[:2])
        swept, seen, parallax = _sweep(features, cameras, reference, inverse_depth, visible, rows, columns)
        mean, variance, share = _agreement(swept, seen)
        nearness = (inverse_depth / inverse_depth[:, :1])[:, None, :, None, None].expand_as(share)
        return self.volume(torch.cat([mean, variance.clamp_max(4), share, nearness, _widest(parallax, seen)], 1))


def _sweep(
    maps: Tensor, cameras: Cameras, reference: Cameras, inverse_depth: Tensor, visible: Tensor, rows: int, columns: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Contexts' maps at the voxels' projections, [batch, context, channel, plane, row, column], and with one channel
    each: 1 where the voxel is observed, and its log parallax."""
    coordinates, in_front = project_frustum(reference, inverse_depth, cameras, rows, columns)
    swept = _sampled(maps, coordinates)
    at_infinity, _ = project_frustum(reference, torch.zeros_like(inverse_depth[:, :1]), cameras, rows, columns)
    parallax = _log_parallax(coordinates - at_infinity, cameras)
    seen = _inside(coordinates, in_front) * _nearest(visible, rows, columns)
    return swept, seen[:, :, None].to(maps.dtype), parallax[:, :, None].to(maps.dtype)


def _nearest(visible: Tensor, rows: int, columns: int) -> Tensor:
    """Maps of another size, by their nearest values."""
    down = torch.arange(rows, device=visible.device) * visible.shape[-2] // rows
    across = torch.arange(columns, device=visible.device) * visible.shape[-1] // columns
    return visible[..., down[:, None], across]


def _inside(coordinates: Tensor, in_front: Tensor) -> Tensor:
    """Whether voxels are observed: [batch, context, plane, row, column]."""
    return ((coordinates > 0) & (coordinates < 1)).all(-1) & in_front


def _sampled(maps: Tensor, coordinates: Tensor) -> Tensor:
    """[batch, context, channel, plane, row, column]: the contexts' maps at the voxels' projections into them."""
    flat = rearrange(coordinates, "b n p h w xy -> (b n) (p h) w xy")
    swept = sample(maps.flatten(0, 1), flat.clamp(-1, 2), padding="border")
    return rearrange(swept, "(b n) c (p h) w -> b n c p h w", n=maps.shape[1], h=coordinates.shape[3])


@dataclass(frozen=True)
class _SfmDepth:
    """Inverse depths at the voxels' projections into the contexts, [batch, context, plane, row, column].

    In every fourth row and column, since the maps are coarse.

    Args:
        own: of the voxels, in each context's axes.
        found: what each context found there.
        inside: whether it observes the voxels.
        step: from plane to plane, to be broadcast.
    """

    own: Tensor
    found: Tensor
    inside: Tensor
    step: Tensor

    @classmethod
    def of(
        cls, sfm_depth: Tensor, cameras: Cameras, reference: Cameras, inverse_depth: Tensor, height: int, width: int
    ) -> "_SfmDepth":
        rows, columns = max(1, height // 4), max(1, width // 4)
        coordinates, in_front, own = project_frustum_with_depth(reference, inverse_depth, cameras, rows, columns)
        found = _sampled(sfm_depth[:, :, None], coordinates)[:, :, 0]
        step = (inverse_depth[:, 0] / inverse_depth.shape[1]).view(-1, 1, 1, 1, 1)
        return cls(own, found, _inside(coordinates, in_front), step)


def _visible(sfm: _SfmDepth, cameras: Cameras, reference: Cameras) -> Tensor:
    """[batch, context, plane, row, column]: 0 where a context sees something nearer than a voxel, 1 elsewhere.

    Where it does, its colour is that of something else, and only a wrong depth makes it agree. But what the reference
    itself does not see, if its frame is a context, is left to all of them: those that look behind its surfaces agree
    about what is there, and the surfaces would become transparent.
    """
    hidden = sfm.inside & (sfm.found > HIDDEN_RATIO * sfm.own + sfm.step)
    is_reference = (cameras.world_from_camera == reference.world_from_camera).all(-1).all(-1)
    hidden_from_reference = (hidden & is_reference[..., None, None, None]).any(1, keepdim=True)
    return (~hidden | hidden_from_reference).to(sfm.own.dtype)


def _sfm_depth_logit(sfm: _SfmDepth, height: int, width: int) -> Tensor:
    """[batch, plane, row, column]: high at the depths found by structure from motion, low in front of them.

    The mean over the contexts that observe a voxel. Between surface and free space it is 0, since the maps are coarse.
    """
    same = torch.exp(-0.5 * ((sfm.own - sfm.found) / (SFM_DEPTH_SPREAD * sfm.found + sfm.step)).square())
    free = (sfm.own > FREE_SPACE_RATIO * sfm.found + 2 * sfm.step).to(same.dtype)
    inside = sfm.inside.to(same.dtype)
    logit = (SFM_DEPTH_WEIGHT * same - FREE_SPACE_WEIGHT * free) * inside
    mean = logit.sum(1) / (inside.sum(1) + 1e-3)
    return resize_planes(mean[:, None], height, width)[:, 0]


def _log_parallax(shift: Tensor, cameras: Cameras) -> Tensor:
    """Logarithm of the parallax angle between a voxel and the same ray at infinity, 0 if typical.

    shift: between the two in image coordinates; nearly an angle after division by the focal length.
    """
    x, y = (shift / cameras.intrinsics[:, :, None, None, None, :2]).unbind(-1)
    squared_angle = (x * x + y * y + LEAST_PARALLAX**2).clamp_max(1.0)
    return 0.5 * squared_angle.log() - math.log(TYPICAL_PARALLAX)


def _widest(parallax: Tensor, seen: Tensor) -> Tensor:
    """The widest log parallax among the contexts that observe a voxel; the lower bound where none does."""
    least = math.log(LEAST_PARALLAX / TYPICAL_PARALLAX)
    return torch.where(seen > 0, parallax, least).amax(1)


def _agreement(swept: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cost volume: mean and variance over the contexts that observe a voxel, and the share of contexts that do."""
    weight = seen + 1e-3
    weight = weight / weight.sum(1, keepdim=True)
    mean = (weight * swept).sum(1)
    variance = (weight * (swept - mean[:, None]).square()).sum(1)
    return mean, variance, seen.mean(1)


def _differences(variance: Tensor, seen: Tensor) -> Tensor:
    """How much the contexts' colours differ at each voxel and on the plane around it: [batch, 2, plane, row, column].

    Voxels that fewer than two contexts observe get a moderate difference: with none, rays would end wherever a single
    context looks.
    """
    compared = (seen.sum(1) > 1.5).to(variance.dtype)
    difference = (variance.mean(1, keepdim=True) + 1e-6).sqrt()
    difference = compared * difference + (1 - compared) * UNCOMPARED_DIFFERENCE
    return torch.cat([_mean_on_plane(difference, side) for side in _windows(*variance.shape[-2:])], 1)


def _windows(rows: int, columns: int) -> tuple[int, ...]:
    """Sides of the windows: odd, and no larger than the image.

    >>> _windows(6, 20)
    (3, 5)
    """
    largest = (min(rows, columns) - 1) // 2 * 2 + 1
    return tuple(min(side, largest) for side in AGREEMENT_WINDOWS)


def _mean_on_plane(volume: Tensor, side: int) -> Tensor:
    return F.avg_pool3d(volume, (1, side, side), 1, (0, side // 2, side // 2), count_include_pad=False)


def ending_density(logit: Float[Tensor, "batch plane rows columns"]) -> Float[Tensor, "batch plane rows columns"]:
    """Densities under which a ray of the reference camera ends at each plane with probability softmax(logit).

    All planes get gradients, however opaque those in front are. The last plane's opacity is 1 (its density OPAQUE).

    Args:
        logit: per voxel, nearest plane first.

    >>> density = ending_density(torch.zeros(1, 4, 1, 1))
    >>> (1 - torch.exp(-density)).flatten().numpy().round(3)  # a quarter, a third of the rest, half of the rest, all
    array([0.25 , 0.333, 0.5  , 1.   ], dtype=float32)
    """
    logit = logit - logit.detach().amax(1, keepdim=True)  # changes no share; sums of large logits would be rounded
    beyond = logit[:, -1]  # logarithm of the sum of exp(logit) over a plane and all behind it
    densities = [torch.full_like(beyond, OPAQUE)]
    for own in reversed(logit[:, :-1].unbind(1)):
        density = F.softplus(own - beyond)
        beyond = beyond + density
        densities.append(density.clamp_max(OPAQUE))
    return torch.stack(densities[::-1], 1)
