"""Small scenes that several tests render."""

import torch

from video_ae.geometry.se3 import se3_exp
from video_ae.types import Cameras, MultiplaneVolume

OPAQUE = 30.0


def cameras(twists: list[list[float]], intrinsics: tuple[float, ...] = (0.8, 1.1, 0.47, 0.53)) -> Cameras:
    """A batch of one with world_from_camera = exp(twist); the principal point is off the centre."""
    pose = se3_exp(torch.tensor([twists]))
    return Cameras(pose, torch.tensor(intrinsics).expand(1, len(twists), 4))


def identity(intrinsics: tuple[float, ...] = (0.8, 1.1, 0.47, 0.53)) -> Cameras:
    return cameras([[0.0] * 6], intrinsics)


def textured_plane(image: torch.Tensor, inverse_depth: list[float], layer: int, reference: Cameras) -> MultiplaneVolume:
    """An opaque image [3, h, w] on one plane of an otherwise empty code."""
    planes = torch.tensor([inverse_depth])
    density = torch.zeros(1, len(inverse_depth), *image.shape[-2:])
    density[:, layer] = OPAQUE
    features = torch.zeros(1, 3, len(inverse_depth), *image.shape[-2:])
    features[:, :, layer] = image
    return MultiplaneVolume(density, features, planes, reference)


def random_code(reference: Cameras, planes: int = 4, rows: int = 6, columns: int = 8) -> MultiplaneVolume:
    """Half-transparent voxels, in the dtype of the reference camera, that want gradients."""
    generator = torch.Generator().manual_seed(1)
    dtype = reference.intrinsics.dtype
    density = torch.rand(1, planes, rows, columns, generator=generator).to(dtype).requires_grad_()
    features = torch.rand(1, 3, planes, rows, columns, generator=generator).to(dtype).requires_grad_()
    nearest = torch.arange(planes, 0, -1, dtype=dtype)[None] / planes * 1.5
    return MultiplaneVolume(density, features, nearest, reference)
