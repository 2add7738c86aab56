"""One frame -> deep voxels: the structure encoder of the 2021 Video Autoencoder (arXiv 2110.02951)."""

from pathlib import Path

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from video_ae.models.video_autoencoder.resnet import find_imagenet_weights, load_imagenet_weights, resnet50_stride16

_FOLDED_DEPTH = 8  # planes that the trunk's channels are unfolded to


class DeepVoxelEncoder(nn.Module):
    """ResNet-50 features, unfolded along depth and upsampled by two transposed 3D convolutions.

    `start` says in words what the trunk started from.

    Args:
        width: channels of the trunk's first layer, 64 as published; all others are multiples of it.
        weights: a file of torchvision's ResNet-50; "auto" takes torch's hub cache where it has one; None starts at
            random.
    """

    def __init__(self, width: int = 64, weights: str | None = None):
        super().__init__()
        self.feature_extraction = resnet50_stride16(width)
        self.conv3d_1 = nn.ConvTranspose3d(4 * width, 2 * width, 4, stride=2, padding=1)
        self.conv3d_2 = nn.ConvTranspose3d(2 * width, width // 2, 4, stride=2, padding=1)
        path = find_imagenet_weights() if weights == "auto" else weights
        self.start = "random" if path is None else f"ImageNet ({Path(path).name})"
        if path is not None:
            load_imagenet_weights(self.feature_extraction, path)

    def forward(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel 32 rows columns"]:
        """Voxels of a quarter of the size, `width // 2` channels (32 as published).

        Args:
            frames: RGB in [0, 1], sizes divisible by 16.
        """
        features = self.feature_extraction(frames)
        voxels = rearrange(features, "b (c d) h w -> b c d h w", d=_FOLDED_DEPTH)
        return leaky_relu(self.conv3d_2(leaky_relu(self.conv3d_1(voxels))))
