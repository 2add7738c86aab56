"""Frames with cameras -> frustum voxels, by plane sweep.

Every voxel of the reference camera's frustum looks itself up in all context frames (Collins 1996; learnt as in
MVSNet, Yao et al. 2018). Where they agree there is a surface; where there is one context, or no parallax, what a
network knows of single pictures decides. Any number of contexts, any number of planes, any picture size.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.geometry.frustum import inverse_depth_in_views, project_frustum
from video_ae.geometry.pinhole import sample
from video_ae.types import Cameras, MultiplaneVolume

OPAQUE = 12.0  # density of the last plane: it closes the frustum
AGREEMENT_WINDOWS = (3, 9)  # voxels on a side over which colours are compared
UNCOMPARED_DIFFERENCE = 0.08  # of colours in [0, 1]: what a voxel without two witnesses counts as
FEW_CONTEXTS = 4  # more than these make it surer where rays end
LEAST_PARALLAX, TYPICAL_PARALLAX = 0.002, 0.032  # radians: half a pixel or less; between frames that are worth joining
FOUND_DEPTH_WEIGHT, FOUND_DEPTH_SPREAD = 12.0, 0.2  # in logits; relative, what counts as the same depth
FREE_SPACE_WEIGHT, FREE_SPACE_RATIO = 24.0, 2.5  # in logits; so many times nearer than what was found is seen through


def _conv2d(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(4, outputs), nn.LeakyReLU(0.1, True))


def _conv3d(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inputs, outputs, 3, stride, 1), nn.GroupNorm(4, outputs), nn.LeakyReLU(0.1, True))


class FeatureNetwork(nn.Module):
    """Frames -> features at a quarter of their size."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            _conv2d(3, 16),
            _conv2d(16, 24, 2),
            _conv2d(24, 24),
            _conv2d(24, 32, 2),
            _conv2d(32, 32),
            nn.Conv2d(32, channels, 3, 1, 1),
        )

    def forward(self, frames: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n channel rows columns"]:
        return self.layers(frames - 0.5)


class VolumeNetwork(nn.Module):
    """A small 3D U-Net over (plane, row, column)."""

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        c = channels
        self.enter = _conv3d(inputs, c)
        self.down1 = nn.Sequential(_conv3d(c, 2 * c, 2), _conv3d(2 * c, 2 * c))
        self.down2 = nn.Sequential(_conv3d(2 * c, 3 * c, 2), _conv3d(3 * c, 3 * c), _conv3d(3 * c, 3 * c))
        self.up1 = _conv3d(5 * c, 2 * c)
        self.up0 = _conv3d(3 * c, c)

    def forward(self, volume: Tensor) -> Tensor:
        level0 = self.enter(volume)
        level1 = self.down1(level0)
        level2 = self.down2(level1)
        up = F.interpolate(level2, size=level1.shape[-3:], mode="trilinear", align_corners=False)
        up = self.up1(torch.cat([up, level1], 1))
        up = F.interpolate(up, size=level0.shape[-3:], mode="trilinear", align_corners=False)
        return self.up0(torch.cat([up, level0], 1))


class VoxelHead(nn.Module):
    """One number per voxel at full size, from the voxel and its neighbours on the same plane."""

    def __init__(self, inputs: int, hidden: int = 16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(inputs, hidden, (1, 3, 3), padding=(0, 1, 1)),
            nn.LeakyReLU(0.1, True),
            nn.Conv3d(hidden, hidden, (1, 3, 3), padding=(0, 1, 1)),
            nn.LeakyReLU(0.1, True),
            nn.Conv3d(hidden, 1, 1),
        )

    def forward(self, volume: Tensor) -> Tensor:
        return self.layers(volume)


class PlaneSweepEncoder(nn.Module):
    """Context frames and cameras -> the frustum voxels of a reference camera.

    Before any training it is the classical plane sweep: a ray ends where the contexts' colours agree. What is learnt
    comes on top: a volume network looks at features of small frames, always at about the same size, so that what it
    learnt on small pictures holds on large ones; light heads then decide at the frames' own size.

    All are told the parallax, so that one set of weights is sharp where contexts are near and careful where they are
    far: colours count by a power of their context's parallax, and the widest one changes how sharply rays end.

    channels: width of the networks. coarse_side: short side, in pixels, of the small frames.
    """

    def __init__(self, channels: int = 8, coarse_side: int = 64):
        super().__init__()
        self.coarse_side = coarse_side
        self.features = FeatureNetwork(2 * channels)
        self.volume = VolumeNetwork(4 * channels + 3, channels)
        # Per voxel: what the volume says, how the contexts' colours agree near and around it, the widest parallax, how
        # many contexts see it; and a colour.
        self.ending = VoxelHead(channels + 7)
        # The same with a context's own colour and parallax, and whether it sees the voxel.
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
        found_depth: Float[Tensor, "batch context rows columns"] | None = None,
    ) -> MultiplaneVolume:
        """frames and cameras: the contexts; reference: one camera, which may be one of theirs or none.

        size: (width, height) of the code in voxels; by default that of the frames. found_depth: coarse 1 / z of the
        contexts, where they are known: a further witness, which decides where colours agree at any depth.
        """
        width, height = size or (frames.shape[-1], frames.shape[-2])
        hidden = self._coarse_volume(frames, cameras, reference, inverse_depth)
        hidden = F.interpolate(hidden, (len(inverse_depth[0]), height, width), mode="trilinear", align_corners=False)
        colours, seen, parallax = _sweep(frames, cameras, reference, inverse_depth, height, width)
        mean, variance, share = _agreement(colours, seen)
        difference, widest = _differences(variance, seen), _widest(parallax, seen)
        known = torch.cat([hidden, 10 * difference, widest, share], 1)
        logit = self.ending(torch.cat([known, mean - 0.5], 1))[:, 0]
        sharpness = self.log_sharpness.view(1, 2, 1, 1, 1) + self.sharpness_per_parallax.view(1, 2, 1, 1, 1) * widest
        logit = logit - (sharpness.exp() * difference).sum(1)
        if found_depth is not None:
            logit = logit + _found_depth_logit(found_depth, cameras, reference, inverse_depth, height, width)
        # Differences are means over the contexts: of many, each is a further witness.
        logit = logit * max(1.0, frames.shape[1] / FEW_CONTEXTS)
        weight = torch.stack(
            [
                self.visibility(torch.cat([known[:, :-1], (colours[:, n] - mean) * 5, parallax[:, n], seen[:, n]], 1))
                for n in range(frames.shape[1])
            ],
            1,
        )
        weight = weight - self.parallax_penalty * parallax
        weight = torch.softmax(weight.masked_fill(seen == 0, -8.0), 1)  # voxels that nobody sees keep border colours
        return MultiplaneVolume(ending_density(logit), (weight * colours).sum(1), inverse_depth, reference)

    def _coarse_volume(self, frames: Tensor, cameras: Cameras, reference: Cameras, inverse_depth: Tensor) -> Tensor:
        """What the volume network says of voxels four pixels of the small frames wide."""
        height, width = frames.shape[-2:]
        scale = min(1.0, self.coarse_side / min(height, width)) / 4
        rows, columns = max(4, round(height * scale)), max(4, round(width * scale))
        small = F.interpolate(
            frames.flatten(0, 1), (4 * rows, 4 * columns), mode="bilinear", antialias=True, align_corners=False
        )
        features = self.features(small).unflatten(0, frames.shape[:2])
        swept, seen, parallax = _sweep(features, cameras, reference, inverse_depth, rows, columns)
        mean, variance, share = _agreement(swept, seen)
        nearness = (inverse_depth / inverse_depth[:, :1])[:, None, :, None, None].expand_as(share)
        return self.volume(torch.cat([mean, variance.clamp_max(4), share, nearness, _widest(parallax, seen)], 1))


def _sweep(maps, cameras, reference, inverse_depth, rows, columns):
    """Maps of all contexts as seen by the voxels: [batch, context, channel, plane, row, column], with one channel each
    1 where inside, and the logarithm of the parallax."""
    coordinates, in_front = project_frustum(reference, inverse_depth, cameras, rows, columns)
    swept = _looked_up(maps, coordinates)
    at_infinity, _ = project_frustum(reference, torch.zeros_like(inverse_depth[:, :1]), cameras, rows, columns)
    parallax = _log_parallax(coordinates - at_infinity, cameras)
    return swept, _inside(coordinates, in_front)[:, :, None].to(maps.dtype), parallax[:, :, None].to(maps.dtype)


def _inside(coordinates: Tensor, in_front: Tensor) -> Tensor:
    """Whether voxels are seen: [batch, context, plane, row, column]."""
    return ((coordinates > 0) & (coordinates < 1)).all(-1) & in_front


def _looked_up(maps: Tensor, coordinates: Tensor) -> Tensor:
    """[batch, context, channel, plane, row, column]: maps of the contexts at the voxels' coordinates in them."""
    flat = rearrange(coordinates, "b n p h w xy -> (b n) (p h) w xy")
    swept = sample(maps.flatten(0, 1), flat.clamp(-1, 2), padding="border")
    return rearrange(swept, "(b n) c (p h) w -> b n c p h w", n=maps.shape[1], h=coordinates.shape[3])


def _found_depth_logit(found_depth: Tensor, cameras: Cameras, reference: Cameras, inverse_depth: Tensor, *size: int):
    """[batch, plane, row, column]: high where contexts have found something, low where they have seen through.

    Each context that sees a voxel has an equal say. Between the two it says nothing, since the maps are coarse; for
    the same reason they are asked in every fourth row and column.
    """
    rows, columns = (max(1, side // 4) for side in size)
    coordinates, in_front = project_frustum(reference, inverse_depth, cameras, rows, columns)
    own = inverse_depth_in_views(reference, inverse_depth, cameras, rows, columns)
    there = _looked_up(found_depth[:, :, None], coordinates)[:, :, 0]
    step = (inverse_depth[:, 0] / inverse_depth.shape[1]).view(-1, 1, 1, 1, 1)
    same = torch.exp(-0.5 * ((own - there) / (FOUND_DEPTH_SPREAD * there + step)).square())
    seen_through = (own > FREE_SPACE_RATIO * there + 2 * step).to(own.dtype)
    inside = _inside(coordinates, in_front).to(own.dtype)
    said = (FOUND_DEPTH_WEIGHT * same - FREE_SPACE_WEIGHT * seen_through) * inside
    mean = said.sum(1) / (inside.sum(1) + 1e-3)
    whole = (inverse_depth.shape[1], *size)
    return F.interpolate(mean[:, None], whole, mode="trilinear", align_corners=False)[:, 0]


def _log_parallax(shift: Tensor, cameras: Cameras) -> Tensor:
    """How far a context sees a voxel from where it would see it at infinity, as a logarithm that is 0 if typical.

    shift: the same in image coordinates; nearly an angle after division by the focal length.
    """
    x, y = (shift / cameras.intrinsics[:, :, None, None, None, :2]).unbind(-1)
    squared_angle = (x * x + y * y + LEAST_PARALLAX**2).clamp_max(1.0)
    return 0.5 * squared_angle.log() - math.log(TYPICAL_PARALLAX)


def _widest(parallax: Tensor, seen: Tensor) -> Tensor:
    """The widest (log) parallax among the contexts that see a voxel; the least there is where none does."""
    least = math.log(LEAST_PARALLAX / TYPICAL_PARALLAX)
    return torch.where(seen > 0, parallax, least).amax(1)


def _agreement(swept: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance over the contexts that see a voxel, and the share of contexts that do."""
    weight = seen + 1e-3
    weight = weight / weight.sum(1, keepdim=True)
    mean = (weight * swept).sum(1)
    variance = (weight * (swept - mean[:, None]).square()).sum(1)
    return mean, variance, seen.mean(1)


def _differences(variance: Tensor, seen: Tensor) -> Tensor:
    """How much the contexts' colours differ at each voxel and on the plane around it: [batch, 2, plane, row, column].

    A voxel that fewer than two contexts see cannot disagree; it counts as if it did moderately, or rays would end
    wherever only one context looks.
    """
    compared = (seen.sum(1) > 1.5).to(variance.dtype)
    difference = (variance.mean(1, keepdim=True) + 1e-6).sqrt()
    difference = compared * difference + (1 - compared) * UNCOMPARED_DIFFERENCE
    largest = (min(variance.shape[-2:]) - 1) // 2 * 2 + 1  # windows are odd and no larger than the picture
    windows = [min(side, largest) for side in AGREEMENT_WINDOWS]
    return torch.cat([_mean_on_plane(difference, side) for side in windows], 1)


def _mean_on_plane(volume: Tensor, side: int) -> Tensor:
    return F.avg_pool3d(volume, (1, side, side), 1, (0, side // 2, side // 2), count_include_pad=False)


def ending_density(logit: Float[Tensor, "batch plane rows columns"]) -> Float[Tensor, "batch plane rows columns"]:
    """Densities under which a ray of the reference camera ends at each plane with probability softmax(logit).

    All planes learn at once, however opaque those in front are. The last plane's opacity is 1 (its density OPAQUE).

    >>> density = ending_density(torch.zeros(1, 4, 1, 1))
    >>> (1 - torch.exp(-density)).flatten().numpy().round(3)  # a quarter, a third of the rest, half of the rest, all
    array([0.25 , 0.333, 0.5  , 1.   ], dtype=float32)
    """
    log_ending = torch.log_softmax(logit, 1)
    log_reaching = log_ending.flip(1).logcumsumexp(1).flip(1)
    opacity = torch.exp(log_ending[:, :-1] - log_reaching[:, :-1])
    density = -torch.log1p(-opacity.clamp_max(1 - math.exp(-OPAQUE)))
    return torch.cat([density, torch.full_like(logit[:, -1:], OPAQUE)], 1)
