"""The 2021 Video Autoencoder once more, slowly and from its description alone, in float64.

It reads a checkpoint in the authors' layout and shares no code with the model: sums are written out where PyTorch has a
function that the model calls (batch norm, transposed convolution, affine sampling, rotation, resizing).
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv3d, max_pool2d, pad

Checkpoint = Mapping[str, Mapping[str, Tensor]]
SLOPE = 0.01  # of leaky ReLU


class Twin:
    """The stages of the model, of a checkpoint's own width."""

    def __init__(self, checkpoint: Checkpoint):
        self.parts = {part: _plain(state) for part, state in checkpoint.items()}

    def encode_structure(self, frames: Tensor) -> Tensor:
        part = self.parts["encoder_3d"]
        features = trunk(part, frames.double())
        batch, channels, rows, columns = features.shape
        folded = torch.stack(
            [torch.stack([features[:, 8 * c + plane] for plane in range(8)], 1) for c in range(channels // 8)], 1
        )
        assert folded.shape == (batch, channels // 8, 8, rows, columns)
        for name in ("conv3d_1", "conv3d_2"):
            folded = leaky(transposed(folded, part, name, stride=2, padding=1))
        return folded

    def encode_camera(self, reference: Tensor, frames: Tensor) -> Tensor:
        part = self.parts["encoder_traj"]
        features = torch.cat([reference, frames], 1).double()
        for number, kernel in enumerate((7, 5, 3, 3, 3, 3, 3), start=1):
            weight, bias = part[f"conv{number}.0.weight"], part[f"conv{number}.0.bias"]
            assert weight.shape[-1] == kernel
            features = conv2d(features, weight, bias, stride=2, padding=kernel // 2).clamp(min=0)
        answer = conv2d(features, part["pose_pred.weight"], part["pose_pred.bias"])
        numbers = 0.01 * answer.sum((2, 3)) / (answer.shape[2] * answer.shape[3])
        return torch.stack([_motion(*six) for six in numbers.tolist()])

    def warp(self, structure: Tensor, camera: Tensor) -> Tensor:
        part = self.parts["rotate"]
        code = sample_cube(structure.double(), camera.double())
        for name in ("conv3d_1", "conv3d_2"):
            code = leaky(conv3d(code, part[f"{name}.weight"], part[f"{name}.bias"], padding=1))
        return code

    def decode(self, warped: Tensor, size: tuple[int, int]) -> Tensor:
        part = self.parts["decoder"]
        code = torch.cat([warped[:, channel].double() for channel in range(warped.shape[1])], 1)  # planes side by side
        code = leaky(conv2d(code, part["conv3.weight"], part["conv3.bias"]))
        code = leaky(transposed(code, part, "upconv3", stride=2, padding=1))
        code = leaky(transposed(code, part, "upconv4", stride=2, padding=1))
        return resize(transposed(code, part, "upconv_final", stride=1, padding=1), size)


def trunk(part: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """ResNet-50 up to its last stage, which keeps its resolution."""
    prefix = "feature_extraction"
    x = batch_norm(conv2d(x, part[f"{prefix}.0.weight"], stride=2, padding=3), part, f"{prefix}.1").clamp(min=0)
    x = max_pool2d(x, 3, stride=2, padding=1)
    for child, blocks, first_stride in ((4, 3, 1), (5, 4, 2), (6, 6, 2), (7, 3, 1)):
        for block in range(blocks):
            name, stride = f"{prefix}.{child}.{block}", first_stride if block == 0 else 1
            y = batch_norm(conv2d(x, part[f"{name}.conv1.weight"]), part, f"{name}.bn1").clamp(min=0)
            y = conv2d(y, part[f"{name}.conv2.weight"], stride=stride, padding=1)
            y = batch_norm(y, part, f"{name}.bn2").clamp(min=0)
            y = batch_norm(conv2d(y, part[f"{name}.conv3.weight"]), part, f"{name}.bn3")
            if block == 0:
                x = conv2d(x, part[f"{name}.downsample.0.weight"], stride=stride)
                x = batch_norm(x, part, f"{name}.downsample.1")
            x = (x + y).clamp(min=0)
    return x


def batch_norm(x: Tensor, part: Mapping[str, Tensor], name: str) -> Tensor:
    mean, variance, weight, bias = (
        part[f"{name}.{of}"][:, None, None] for of in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, SLOPE * x)


def transposed(x: Tensor, part: Mapping[str, Tensor], name: str, stride: int, padding: int) -> Tensor:
    """A transposed convolution: zeros between the inputs, then a convolution with the mirrored kernel."""
    weight, bias = part[f"{name}.weight"], part[f"{name}.bias"]
    axes = weight.dim() - 2
    spread = x.new_zeros(*x.shape[:2], *(stride * (side - 1) + 1 for side in x.shape[2:]))
    spread[(slice(None), slice(None), *[slice(None, None, stride)] * axes)] = x
    edge = weight.shape[-1] - 1 - padding
    mirrored = weight.flip(*range(2, 2 + axes)).transpose(0, 1)
    return (conv2d if axes == 2 else conv3d)(pad(spread, [edge, edge] * axes), mirrored, bias)


def sample_cube(voxels: Tensor, matrices: Tensor) -> Tensor:
    """What stands at the point `matrix (x, y, z, 1)` of the cube, for the centre (x, y, z) of every voxel."""
    _, _, *sides = voxels.shape
    z, y, x = torch.meshgrid(*[(2 * torch.arange(n).double() + 1) / n - 1 for n in sides], indexing="ij")
    points = torch.stack([x, y, z, torch.ones_like(x)], -1)
    out = torch.zeros_like(voxels)
    for one, matrix, cube in zip(out, matrices, voxels, strict=True):
        source = points @ matrix.T
        place = [((source[..., 2 - axis] + 1) * n - 1) / 2 for axis, n in enumerate(sides)]  # plane, row, column
        for corner in range(8):
            index, share, inside = [], torch.ones_like(x), torch.ones_like(x, dtype=torch.bool)
            for axis, n in enumerate(sides):
                low = place[axis].floor()
                upper = corner >> axis & 1
                share = share * ((place[axis] - low) if upper else (1 - place[axis] + low))
                whole = low.long() + upper
                inside &= (whole >= 0) & (whole < n)
                index.append(whole.clamp(0, n - 1))
            one += cube[:, index[0], index[1], index[2]] * (share * inside)
    return out


def resize(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, pixel centres at (i + 0.5) / n, nothing smoothed."""
    return _lines(pictures.shape[-2], size[1]) @ pictures @ _lines(pictures.shape[-1], size[0]).T


def _lines(given: int, wanted: int) -> Tensor:
    weights = torch.zeros(wanted, given, dtype=torch.float64)
    for i in range(wanted):
        place = max((i + 0.5) * given / wanted - 0.5, 0.0)
        low = min(int(place), given - 1)
        weights[i, low] += 1 - (place - low)
        weights[i, min(low + 1, given - 1)] += place - low
    return weights


def _motion(a0: float, a1: float, a2: float, *translation: float) -> Tensor:
    """Rx(a1) Ry(a0) Rz(a2), each the exponential of its generator, and the translation as fourth column."""
    rotation = torch.eye(3, dtype=torch.float64)
    for axis, angle in (((1.0, 0, 0), a1), ((0, 1.0, 0), a0), ((0, 0, 1.0), a2)):
        generator = torch.linalg.cross(torch.tensor(axis).double().expand(3, 3), torch.eye(3).double()).T
        rotation = rotation @ torch.matrix_exp(angle * generator)
    return torch.cat([rotation, torch.tensor(translation, dtype=torch.float64)[:, None]], 1)


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    assert all(name.startswith("module.") for name in state)
    return {name[len("module.") :]: value.double() for name, value in state.items()}
