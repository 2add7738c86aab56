"""An independent renderer of `gaussians.ply`, a few lines: EWA projection (Zwicker et al. 2001), front to back.

It reads the file with plyfile, by the layout's documentation, and shares no code with the package.
"""

import numpy as np
import torch
from plyfile import PlyData

REACH = 4  # pixels to each side that a Gaussian can cover


def render_splats(path, camera_from_world, fx, fy, cx, cy, width, height, reach=REACH) -> torch.Tensor:
    """[height, width, 3] over black; intrinsics in pixels, (0.5, 0.5) at the centre of the top-left pixel."""
    v = PlyData.read(str(path))["vertex"]
    column = lambda *names: torch.from_numpy(np.stack([v[n] for n in names], -1).astype(np.float64))  # noqa: E731
    rotation = (
        _rotation(column("rot_0", "rot_1", "rot_2", "rot_3")) * column("scale_0", "scale_1", "scale_2").exp()[:, None]
    )
    world = torch.as_tensor(camera_from_world, dtype=torch.float64)
    centre = column("x", "y", "z") @ world[:3, :3].T + world[:3, 3]
    front = centre[:, 2] > 0.02
    x, y, z = centre[front].unbind(-1)
    colour = (0.5 + 0.28209479177387814 * column("f_dc_0", "f_dc_1", "f_dc_2")[front]).clamp(0, 1)
    opacity = column("opacity")[front, 0].sigmoid()
    zero = torch.zeros_like(x)
    jacobian = torch.stack([fx / z, zero, -fx * x / z**2, zero, fy / z, -fy * y / z**2], -1).view(-1, 2, 3)
    half = jacobian @ world[:3, :3] @ rotation[front]
    conic = torch.linalg.inv(half @ half.mT + 0.3 * torch.eye(2, dtype=torch.float64))
    mean = torch.stack([fx * x / z + cx, fy * y / z + cy], -1)
    window = torch.stack(torch.meshgrid(*[torch.arange(-reach, reach + 1)] * 2, indexing="xy"), -1).view(1, -1, 2)
    pixel = mean.floor().long()[:, None] + window
    offset = pixel + 0.5 - mean[:, None]
    alpha = opacity[:, None] * torch.exp(-0.5 * torch.einsum("npi,nij,npj->np", offset, conic, offset))
    shown = (alpha > 1 / 255) & (pixel >= 0).all(-1) & (pixel[..., 0] < width) & (pixel[..., 1] < height)
    which = torch.nonzero(shown, as_tuple=True)[0]
    alpha, cell = alpha[shown].clamp_max(0.99), (pixel[..., 1] * width + pixel[..., 0])[shown]
    order = z[which].argsort(stable=True)
    order = order[cell[order].argsort(stable=True)]  # by pixel, and within each from near to far
    which, alpha, cell = which[order], alpha[order], cell[order]
    passed = torch.log1p(-alpha).cumsum(0)
    first = torch.searchsorted(cell, cell)  # where each one's pixel begins
    before = torch.cat([passed.new_zeros(1), passed])
    weight = alpha * torch.exp(before[:-1] - before[first])
    image = torch.zeros(height * width, 3, dtype=torch.float64).index_add_(0, cell, weight[:, None] * colour[which])
    return image.view(height, width, 3)


def _rotation(q: torch.Tensor) -> torch.Tensor:
    w, x, y, z = (q / q.norm(dim=-1, keepdim=True)).unbind(-1)
    return torch.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ], -1).view(-1, 3, 3)  # fmt: skip
