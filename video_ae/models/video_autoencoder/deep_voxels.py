"""One frame -> deep voxels: the structure encoder of the 2021 Video Autoencoder (arXiv 2110.02951).

Its trunk is ResNet-50 without the classifier (He et al. 2016, "Deep residual learning"), as a plain `Sequential`. The
children are numbered as in the authors' code: 0 convolution, 1 batch norm, 2 ReLU, 3 max pooling, 4 to 7 the four
stages; names inside a block are torchvision's, so that ImageNet weights fit (`load_imagenet_weights`).
"""

from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from video_ae.errors import UserError

_FOLDED_DEPTH = 8  # planes that the trunk's channels are unfolded to
_STAGES = (3, 4, 6, 3)
_EXPANSION = 4
_TORCHVISION_NAMES = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with a shortcut; the stride sits on the 3x3, as in torchvision.

    Args:
        channels_in: of the input.
        width: channels of the 3x3 convolution; the output has four times as many.
        stride: of the 3x3 convolution.
    """

    def __init__(self, channels_in: int, width: int, stride: int = 1):
        super().__init__()
        channels_out = width * _EXPANSION
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels_out:
            projection = nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(channels_out))

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel2 height2 width2"]:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + shortcut)


def resnet50_stride16(width: int = 64) -> nn.Sequential:
    """RGB [batch, 3, height, width] -> features [batch, 32 * `width`, height / 16, width / 16].

    The last stage keeps its resolution (stride 1), as in the 2021 Video Autoencoder. The start is random (He's
    initialisation).

    Args:
        width: channels of the first layer; 64 in ResNet-50.
    """
    children: list[nn.Module] = [
        nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    channels = width
    for stage, (blocks, stride) in enumerate(zip(_STAGES, (1, 2, 2, 1), strict=True)):
        stage_width = width * 2**stage
        first = Bottleneck(channels, stage_width, stride)
        channels = stage_width * _EXPANSION
        children.append(nn.Sequential(first, *[Bottleneck(channels, stage_width) for _ in range(blocks - 1)]))
    trunk = nn.Sequential(*children)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return trunk


def find_imagenet_weights() -> Path | None:
    """The file `resnet50-*.pth` in torch's hub cache, if the user has one. Nothing is downloaded."""
    found = sorted((Path(torch.hub.get_dir()) / "checkpoints").glob("resnet50-*.pth"))
    return found[0] if found else None


def load_imagenet_weights(trunk: nn.Sequential, path: str | Path) -> None:
    """Fills the trunk from a torchvision ResNet-50 state dict; the classifier in it is ignored.

    Args:
        trunk: of `resnet50_stride16`.
        path: of the file.

    Raises:
        UserError: the file holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        renamed = {}
        for name, value in state.items():
            child, _, rest = name.partition(".")
            if child != "fc":
                renamed[f"{_TORCHVISION_NAMES[child]}.{rest}"] = value
        trunk.load_state_dict(renamed)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} does not hold the weights of torchvision's ResNet-50 ({reason}): give a file `resnet50-*.pth`."
        ) from error


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
