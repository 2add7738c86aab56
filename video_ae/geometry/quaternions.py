"""Unit quaternions, which several file formats use for rotations."""

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.geometry.se3 import so3_exp, so3_log


def quaternion_from_rotation(rotation: Float64[Tensor, "*batch 3 3"]) -> Float64[Tensor, "*batch 4"]:
    """(x, y, z, w) with w >= 0.

    >>> quarter = so3_exp(torch.tensor([0.0, 0.0, torch.pi / 2], dtype=torch.float64))
    >>> quaternion_from_rotation(quarter).round(decimals=4).tolist()
    [0.0, 0.0, 0.7071, 0.7071]
    """
    vector = so3_log(rotation)
    angle = vector.norm(dim=-1, keepdim=True)
    factor = 0.5 * torch.sinc(angle / (2 * torch.pi))  # sin(angle / 2) / angle
    return torch.cat([vector * factor, (angle / 2).cos()], -1)


def rotation_from_quaternion(quaternion: Float64[Tensor, "*batch 4"]) -> Float64[Tensor, "*batch 3 3"]:
    """The rotation of (x, y, z, w), whatever its length and sign."""
    vector, w = quaternion[..., :3], quaternion[..., 3:]
    sine = vector.norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, w)
    return so3_exp(torch.where(sine > 0, angle * vector / sine.clamp_min(1e-300), torch.zeros_like(vector)))
