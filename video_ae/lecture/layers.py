"""Frame <-> code: the encoder and decoder layers that all autoencoders of single frames share."""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.errors import UserError

Activation = Literal["sigmoid", "linear"]
_HALVINGS = 3


class DenseLayers(nn.Module):
    """One fully connected layer each way: z = s(W_e x + b_e), x^ = s(W_d z + b_d).

    `s` is the logistic function or, if `activation` is "linear", the identity. x holds all colour values of a frame of
    `image_size` (width, height).
    """

    def __init__(self, image_size: tuple[int, int], code_size: int, activation: Activation = "sigmoid"):
        super().__init__()
        self.image_size, self.code_size = image_size, code_size
        values = 3 * image_size[0] * image_size[1]
        self.encoder, self.decoder = nn.Linear(values, code_size), nn.Linear(code_size, values)
        self.activation = nn.Sigmoid() if activation == "sigmoid" else nn.Identity()

    def encode(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        return self.activation(self.encoder(frames.flatten(1)))

    def decode(self, codes: Float[Tensor, "frame code"]) -> Float[Tensor, "frame 3 height width"]:
        return self.activation(self.decoder(codes)).unflatten(1, (3, self.image_size[1], self.image_size[0]))


class ConvolutionalLayers(nn.Module):
    """Three strided convolutions to a feature map of an eighth of the size, a linear layer to the code, and the mirror
    image of both. Leaky ReLU between layers; the code has no activation; pictures come out of a logistic function.

    width: channels of the first layer; the map has four times as many.
    """

    def __init__(self, image_size: tuple[int, int], code_size: int, width: int = 16):
        super().__init__()
        if any(side % 2**_HALVINGS or side < 2**_HALVINGS for side in image_size):
            raise UserError(
                f"Convolutional layers take widths and heights that are multiples of {2**_HALVINGS}, got "
                f"{image_size[0]}x{image_size[1]}: choose another image_size."
            )
        self.image_size, self.code_size, self.map_channels = image_size, code_size, 4 * width
        self.map_size = (image_size[1] >> _HALVINGS, image_size[0] >> _HALVINGS)
        self.to_map = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
        )
        self.to_code, self.from_code = self._connect(code_size)
        self.from_map = nn.Sequential(
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )
        self.apply(_keep_variance)

    def _connect(self, code_size: int) -> tuple[nn.Module, nn.Module]:
        """The layers from the map to the code and back."""
        values = self.map_channels * self.map_size[0] * self.map_size[1]
        return nn.Linear(values, code_size), nn.Linear(code_size, values)

    def encode_map(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame channel rows columns"]:
        return self.to_map(frames)

    def decode_map(self, maps: Float[Tensor, "frame channel rows columns"]) -> Float[Tensor, "frame 3 height width"]:
        return self.from_map(maps)

    def encode(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        return self.to_code(self.encode_map(frames).flatten(1))

    def decode(self, codes: Float[Tensor, "frame code"]) -> Float[Tensor, "frame 3 height width"]:
        rows, columns = self.map_size
        return self.decode_map(rearrange(self.from_code(codes), "n (c r k) -> n c r k", r=rows, k=columns))


class FullyConvolutionalLayers(ConvolutionalLayers):
    """The same with a code that is a small picture: 1x1 convolutions in place of the linear layers, so that no weight
    belongs to a place in the picture.

    code_size: a multiple of the places in the map, (width / 8) * (height / 8), of which each gets as many numbers.
    UserError for others.
    """

    def _connect(self, code_size: int) -> tuple[nn.Module, nn.Module]:
        places = self.map_size[0] * self.map_size[1]
        if code_size % places:
            raise UserError(
                f"Fully convolutional layers have {places} places here, and a code of {code_size} numbers cannot be "
                f"shared among them: choose a code_size such as {max(1, round(code_size / places)) * places}."
            )
        channels = code_size // places
        return nn.Conv2d(self.map_channels, channels, 1), nn.Conv2d(channels, self.map_channels, 1)

    def encode(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        return self.to_code(self.encode_map(frames)).flatten(1)

    def decode(self, codes: Float[Tensor, "frame code"]) -> Float[Tensor, "frame 3 height width"]:
        rows, columns = self.map_size
        return self.decode_map(self.from_code(rearrange(codes, "n (c r k) -> n c r k", r=rows, k=columns)))


def _keep_variance(module: nn.Module) -> None:
    """He's initialisation. In a transposed convolution of stride 2 each output hears a quarter of the kernel."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=0.1)
    elif isinstance(module, nn.ConvTranspose2d):
        heard = module.in_channels * module.kernel_size[0] * module.kernel_size[1] / 4
        nn.init.normal_(module.weight, std=(2 / heard) ** 0.5)


Layers = Literal["dense", "convolutional", "fully_convolutional"]


def build_layers(
    layers: Layers, image_size: tuple[int, int], code_size: int, width: int, activation: Activation
) -> DenseLayers | ConvolutionalLayers:
    """`width` counts for convolutional layers only, `activation` for dense ones only. UserError for sizes below 1."""
    if min(*image_size, code_size, width) < 1:
        raise UserError(f"An autoencoder needs sizes of at least 1, got {image_size}, {code_size} and {width}.")
    if layers == "dense":
        return DenseLayers((image_size[0], image_size[1]), code_size, activation)
    kind = FullyConvolutionalLayers if layers == "fully_convolutional" else ConvolutionalLayers
    return kind((image_size[0], image_size[1]), code_size, width)


def bring_to_size(frames: Float[Tensor, "frame 3 _ _"], size: tuple[int, int]) -> Float[Tensor, "frame 3 _ _"]:
    """Frames resized to (width, height), antialiased; themselves if they have that size."""
    if (frames.shape[-1], frames.shape[-2]) == tuple(size):
        return frames
    return torch.nn.functional.interpolate(frames, size[::-1], mode="bilinear", antialias=True, align_corners=False)
