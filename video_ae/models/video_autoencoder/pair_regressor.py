"""A pair of frames -> an affine camera motion: the camera encoder of the 2021 Video Autoencoder (arXiv 2110.02951)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.geometry.precision import full_precision

_KERNELS = (7, 5, 3, 3, 3, 3, 3)
_WIDTHS = (1, 2, 4, 8, 16, 16, 16)  # in quarters of `width`
_SCALE = 0.01  # of angles (radians) and of translations (half cubes)

Images = Float[Tensor, "batch 3 height width"]
Motions = Float[Tensor, "batch 3 4"]
"""Affine: `reference_from_target` takes points of the target's cube to the reference's."""


@full_precision
def motion_matrix(motion: Float[Tensor, "batch 6"]) -> Motions:
    """[Rx Ry Rz | translation] from three angles and a translation.

    Args:
        motion: angles about y, x and z in radians, then the translation.

    Each factor is the usual right-handed rotation. A quarter turn about y takes z to x (1 is added to show 0 as 0):

    >>> quarter = torch.tensor([[torch.pi / 2, 0.0, 0.0, 0.0, 0.0, 0.0]])
    >>> (motion_matrix(quarter)[0, :, 2] + 1).round(decimals=4).tolist()
    [2.0, 1.0, 1.0]
    """
    y, x, z = motion[:, :3].unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, -1).unflatten(-1, (3, 3))

    about_x = matrix(one, zero, zero, zero, x.cos(), -x.sin(), zero, x.sin(), x.cos())
    about_y = matrix(y.cos(), zero, y.sin(), zero, one, zero, -y.sin(), zero, y.cos())
    about_z = matrix(z.cos(), -z.sin(), zero, z.sin(), z.cos(), zero, zero, zero, one)
    return torch.cat([about_x @ about_y @ about_z, motion[:, 3:, None]], -1)


class PairRegressor(nn.Module):
    """(reference, frame) -> six numbers of the motion, by seven strided convolutions and a mean over space.

    Args:
        width: a quarter of it is the first layer's width; 64 as published.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        channels = 6
        for number, (kernel, factor) in enumerate(zip(_KERNELS, _WIDTHS, strict=True), start=1):
            widened = width * factor // 4
            layer = nn.Conv2d(channels, widened, kernel, stride=2, padding=(kernel - 1) // 2)
            setattr(self, f"conv{number}", nn.Sequential(layer, nn.ReLU(inplace=True)))
            channels = widened
        self.pose_pred = nn.Conv2d(channels, 6, 1)

    def forward(self, reference: Images, frames: Images) -> Float[Tensor, "batch 6"]:
        """Angles in radians about y, x and z, then a translation in half cubes: what `motion_matrix` takes.

        Args:
            reference: RGB of the frame that the motion leads to.
            frames: RGB of the frame that it starts from.
        """
        features = torch.cat([reference, frames], 1)
        for number in range(1, len(_KERNELS) + 1):
            features = getattr(self, f"conv{number}")(features)
        motion = self.pose_pred(features).mean((-2, -1))
        return _SCALE * motion.to(self.pose_pred.weight)  # geometry begins here: no longer in autocast's 16 bits
