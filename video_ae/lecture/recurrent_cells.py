"""The recurrences of a recurrent autoencoder: h_t = f(x_t, h_{t-1}), and its output x^_t = g(h_t, x^_{t-1})."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.lecture.layers import ConvolutionalLayers

State = tuple[Tensor, ...]


class RecurrentCell(nn.Module, ABC):
    """Features of one frame after another -> a hidden state -> output frames.

    The convolutional layers around a cell belong to its model and are handed to the methods.

    Args:
        layers: those layers, for their sizes.
        hidden_size: numbers or channels of the hidden state.
    """

    parts: ClassVar[int] = 1
    """Tensors in a state."""

    def __init__(self, layers: ConvolutionalLayers, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size

    @abstractmethod
    def encode(self, layers: ConvolutionalLayers, frames: Float[Tensor, "batch 3 height width"]) -> Tensor:
        """What the cell takes as its input x_t.

        Args:
            layers: the model's.
            frames: one frame of each clip, at the size of the layers.
        """

    def initial_state(self, x: Tensor) -> State:
        """The state before the first frame: zeros.

        Args:
            x: features of a frame, for their shape.
        """
        return (x.new_zeros(len(x), self.hidden_size, *x.shape[2:]),) * self.parts

    @abstractmethod
    def update(self, x: Tensor, state: State) -> State:
        """The state after a frame.

        Args:
            x: features of the frame.
            state: the state before it.
        """

    @abstractmethod
    def decode(self, layers: ConvolutionalLayers, state: State, last: Tensor) -> Float[Tensor, "batch 3 height width"]:
        """The output frame of each clip.

        Args:
            layers: the model's.
            state: the state after the last frame.
            last: features of the previous output, or of the true frame in its stead.
        """


class PlainCell(RecurrentCell):
    """h_t = s(W1 x_t + U1 h_{t-1} + b1) and y_t = W2 h_t + U2 y_{t-1} + b2, on the codes of frames.

    x_t is the code of the input frame, y_{t-1} the code of the previous output; the code y_t is decoded by the
    convolutional layers, whose last step is the logistic function s: the lecture's x^_t = s(W2 h_t + U2 x^_{t-1} + b2).

    Args:
        layers: the model's convolutional layers.
        hidden_size: numbers in h.
    """

    def __init__(self, layers: ConvolutionalLayers, hidden_size: int):
        super().__init__(layers, hidden_size)
        self.from_input = nn.Linear(layers.code_size, hidden_size)
        self.from_memory = nn.Linear(hidden_size, hidden_size, bias=False)
        self.to_output = nn.Linear(hidden_size, layers.code_size)
        self.from_output = nn.Linear(layers.code_size, layers.code_size, bias=False)

    def encode(self, layers: ConvolutionalLayers, frames: Float[Tensor, "batch 3 height width"]) -> Tensor:
        return layers.encode(frames)

    def update(self, x: Tensor, state: State) -> State:
        return (torch.sigmoid(self.from_input(x) + self.from_memory(state[0])),)

    def decode(self, layers: ConvolutionalLayers, state: State, last: Tensor) -> Float[Tensor, "batch 3 height width"]:
        return layers.decode(self.to_output(state[0]) + self.from_output(last))


class ConvLstmCell(RecurrentCell):
    """The convolutional LSTM (Shi et al. 2015) on feature maps, without peepholes:

    i, f, o = s(W * [x_t, h_{t-1}] + b), c_t = f c_{t-1} + i tanh(W_c * [x_t, h_{t-1}] + b_c), h_t = o tanh(c_t).

    The forget gate's bias starts at 1.

    Args:
        layers: the model's convolutional layers.
        hidden_size: channels of h and of c.
    """

    parts = 2

    def __init__(self, layers: ConvolutionalLayers, hidden_size: int):
        super().__init__(layers, hidden_size)
        channels = layers.map_channels
        self.gates = nn.Conv2d(channels + hidden_size, 4 * hidden_size, 3, padding=1)
        self.to_output = nn.Conv2d(hidden_size + channels, channels, 3, padding=1)
        with torch.no_grad():
            self.gates.bias[hidden_size : 2 * hidden_size] = 1  # type: ignore[index]

    def encode(self, layers: ConvolutionalLayers, frames: Float[Tensor, "batch 3 height width"]) -> Tensor:
        return layers.to_map(frames)

    def update(self, x: Tensor, state: State) -> State:
        hidden, cell = state
        entry, keep, leave, candidate = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = keep.sigmoid() * cell + entry.sigmoid() * candidate.tanh()
        return leave.sigmoid() * cell.tanh(), cell

    def decode(self, layers: ConvolutionalLayers, state: State, last: Tensor) -> Float[Tensor, "batch 3 height width"]:
        return layers.from_map(self.to_output(torch.cat([state[0], last], 1)))
