"""Frame <-> code: the encoder and decoder layers that all autoencoders of single frames share."""

from typing import Literal

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.errors import UserError

Activation = Literal["sigmoid", "linear"]
_HALVINGS = 3


class DenseLayers(nn.Module):
    """One fully connected layer each way: z = s(W_e x + b_e), x^ = s(W_d z + b_d), where x has all colour values.

    Args:
        image_size: (width, height) in pixels of the frames.
        code_size: numbers in a code.
        activation: s: the logistic function, or for "linear" the identity.
    """

    def __init__(self, image_size: tuple[int, int], code_size: int, activation: Activation = "sigmoid"):
        super().__init__()
        self.image_size = image_size
        values = 3 * image_size[0] * image_size[1]
        self.encoder, self.decoder = nn.Linear(values, code_size), nn.Linear(code_size, values)
        self.activation = nn.Sigmoid() if activation == "sigmoid" else nn.Identity()

    def encode(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        """Codes of frames.

        Args:
            frames: RGB in [0, 1], at `image_size`.
        """
        return self.activation(self.encoder(frames.flatten(1)))

    def decode(self, codes: Float[Tensor, "frame code"]) -> Float[Tensor, "frame 3 height width"]:
        """Frames of codes, at `image_size`.

        Args:
            codes: as `encode` returns them.
        """
        return self.activation(self.decoder(codes)).unflatten(1, (3, self.image_size[1], self.image_size[0]))


class ConvolutionalLayers(nn.Module):
    """Three strided convolutions to a feature map of an eighth of the size, a linear layer to the code, and the
    transpose of both.

    Leaky ReLU between layers; the code has no activation; frames come out of a logistic function. `to_map` and
    `from_map` are the parts around the feature map, which has `map_channels` channels.

    Args:
        image_size: (width, height) in pixels of the frames, multiples of 8.
        code_size: numbers in a code.
        width: channels of the first layer; the map has four times as many.

    Raises:
        UserError: `image_size` is no multiple of 8.
    """

    def __init__(self, image_size: tuple[int, int], code_size: int, width: int = 16):
        super().__init__()
        if any(side % 2**_HALVINGS or side < 2**_HALVINGS for side in image_size):
            raise UserError(
                f"Convolutional layers take widths and heights that are multiples of {2**_HALVINGS}, got "
                f"{image_size[0]}x{image_size[1]}: choose another image_size."
            )
        self.map_channels = 4 * width
        self.map_size = (image_size[1] >> _HALVINGS, image_size[0] >> _HALVINGS)
        self.to_map = nn.Sequential(*_halve(3, width), *_halve(width, 2 * width), *_halve(2 * width, 4 * width))
        self.to_code, self.from_code = self._connect(code_size)
        self.from_map = nn.Sequential(
            *_double(4 * width, 2 * width), *_double(2 * width, width), *_double(width, 3), nn.Sigmoid()
        )
        self.apply(_keep_variance)

    def _connect(self, code_size: int) -> tuple[nn.Module, nn.Module]:
        """The layers from the map to the code and back."""
        values = self.map_channels * self.map_size[0] * self.map_size[1]
        return nn.Linear(values, code_size), nn.Linear(code_size, values)

    def encode(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        """As `DenseLayers.encode`.

        Args:
            frames: RGB in [0, 1], at the layers' size.
        """
        return self.to_code(self.to_map(frames).flatten(1))

    def decode(self, codes: Float[Tensor, "frame code"]) -> Float[Tensor, "frame 3 height width"]:
        """As `DenseLayers.decode`.

        Args:
            codes: as `encode` returns them.
        """
        rows, columns = self.map_size
        return self.from_map(rearrange(self.from_code(codes), "n (c r k) -> n c r k", r=rows, k=columns))


class FullyConvolutionalLayers(ConvolutionalLayers):
    """The same with a code that is a small feature map: 1x1 convolutions instead of the linear layers, so that all
    weights are shared among the positions in the frame.

    Args:
        image_size: (width, height) in pixels of the frames, multiples of 8.
        code_size: numbers in a code: a multiple of the map's cells, (width / 8) * (height / 8).
        width: channels of the first layer.

    Raises:
        UserError: `image_size` or `code_size` is no such multiple.
    """

    def _connect(self, code_size: int) -> tuple[nn.Module, nn.Module]:
        cells = self.map_size[0] * self.map_size[1]
        if code_size % cells:
            nearest = max(1, round(code_size / cells)) * cells
            raise UserError(
                f"The feature map of these fully convolutional layers has {cells} cells, and a code of {code_size} "
                f"numbers is no multiple of that: choose a code_size such as {nearest}."
            )
        channels = code_size // cells
        return nn.Conv2d(self.map_channels, channels, 1), nn.Conv2d(channels, self.map_channels, 1)

    def encode(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        return self.to_code(self.to_map(frames)).flatten(1)

    def decode(self, codes: Float[Tensor, "frame code"]) -> Float[Tensor, "frame 3 height width"]:
        rows, columns = self.map_size
        return self.from_map(self.from_code(rearrange(codes, "n (c r k) -> n c r k", r=rows, k=columns)))


def _halve(inputs: int, outputs: int) -> list[nn.Module]:
    """A convolution to half the size."""
    return [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.1)]


def _double(inputs: int, outputs: int) -> list[nn.Module]:
    """Its transpose, to twice the size."""
    return [nn.LeakyReLU(0.1), nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)]


def _keep_variance(module: nn.Module) -> None:
    """He's initialisation. In a transposed convolution of stride 2 each output sums over a quarter of the kernel."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=0.1)
    elif isinstance(module, nn.ConvTranspose2d):
        fan_in = module.in_channels * module.kernel_size[0] * module.kernel_size[1] / 4
        nn.init.normal_(module.weight, std=(2 / fan_in) ** 0.5)


Layers = Literal["dense", "convolutional", "fully_convolutional"]


def build_layers(
    layers: Layers, image_size: tuple[int, int], code_size: int, width: int, activation: Activation
) -> DenseLayers | ConvolutionalLayers:
    """Layers of a kind.

    Args:
        layers: which kind.
        image_size: (width, height) in pixels of the frames.
        code_size: numbers in a code.
        width: channels of the first convolutional layer; dense ones ignore it.
        activation: of dense layers; convolutional ones ignore it.

    Raises:
        UserError: a size is below 1, or does not fit the kind.
    """
    if min(*image_size, code_size, width) < 1:
        raise UserError(f"An autoencoder needs sizes of at least 1, got {image_size}, {code_size} and {width}.")
    if layers == "dense":
        return DenseLayers((image_size[0], image_size[1]), code_size, activation)
    kind = FullyConvolutionalLayers if layers == "fully_convolutional" else ConvolutionalLayers
    return kind((image_size[0], image_size[1]), code_size, width)
