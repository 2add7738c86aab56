"""Deep voxels seen after a motion: the affine warp and the decoder of the 2021 Video Autoencoder (arXiv 2110.02951).

There is no camera in it: no focal length, no perspective, no occlusion. The voxels fill a cube [-1, 1]^3 with axes
x (columns), y (rows), z (planes); voxel centres lie at `(i + 0.5) / n * 2 - 1`.
"""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, interpolate, leaky_relu

from video_ae.geometry.precision import full_precision
from video_ae.models.video_autoencoder.pair_regressor import Images, Motions

PLANES = 32
Voxels = Float[Tensor, "batch channel plane rows columns"]


@full_precision
def warp_voxels(voxels: Voxels, reference_from_target: Motions) -> Voxels:
    """Trilinear: the output at point p of the cube is the input at `reference_from_target` p; zeros outside.

    Args:
        voxels: in the reference's cube.
        reference_from_target: affine motions of the cube.
    """
    grid = affine_grid(reference_from_target, list(voxels.shape), align_corners=False)
    return grid_sample(voxels.to(grid.dtype), grid, align_corners=False)


class AffineWarp(nn.Module):
    """`warp_voxels`, then two 3x3x3 convolutions.

    Args:
        width: of the network; 64 as published.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.conv3d_1 = nn.Conv3d(width // 2, width, 3, padding=1)
        self.conv3d_2 = nn.Conv3d(width, width, 3, padding=1)

    def forward(
        self, voxels: Voxels, reference_from_target: Motions
    ) -> Float[Tensor, "batch channel2 plane rows columns"]:
        warped = warp_voxels(voxels, reference_from_target)
        return leaky_relu(self.conv3d_2(leaky_relu(self.conv3d_1(warped))))


class FoldedDecoder(nn.Module):
    """Warped voxels -> a frame: depth folded into channels, then transposed 2D convolutions.

    Args:
        width: of the network; 64 as published.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.conv3 = nn.Conv2d(PLANES * width, 8 * width, 1)
        self.upconv3 = nn.ConvTranspose2d(8 * width, 4 * width, 4, stride=2, padding=1)
        self.upconv4 = nn.ConvTranspose2d(4 * width, width, 4, stride=2, padding=1)
        self.upconv_final = nn.ConvTranspose2d(width, 3, 3, stride=1, padding=1)

    def forward(self, warped: Float[Tensor, "batch channel 32 rows columns"], size: tuple[int, int]) -> Images:
        """RGB, not clamped.

        Args:
            warped: voxels as the target sees them.
            size: (width, height) in pixels.
        """
        code = leaky_relu(self.conv3(rearrange(warped, "b c d h w -> b (c d) h w")))
        code = leaky_relu(self.upconv4(leaky_relu(self.upconv3(code))))
        return interpolate(self.upconv_final(code), size[::-1], mode="bilinear", align_corners=False)
