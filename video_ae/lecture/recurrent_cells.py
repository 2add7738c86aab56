"""What a recurrent autoencoder remembers: h_t = f(x_t, h_{t-1}), and what it makes of it: x^_t = g(h_t, x^_{t-1})."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.lecture.layers import ConvolutionalLayers

State = tuple[Tensor, ...]


class PlainCell(nn.Module):
    """h_t = s(W1 x_t + U1 h_{t-1} + b1) and y_t = W2 h_t + U2 y_{t-1} + b2, on the codes of frames.

    x_t is the code of the frame that is read, y_{t-1} the code of the previous output; the code y_t is decoded by the
    convolutional layers, whose last step is the logistic function s: the lecture's x^_t = s(W2 h_t + U2 x^_{t-1} + b2).
    """

    def __init__(self, layers: ConvolutionalLayers, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(layers.code_size, hidden_size)
        self.from_memory = nn.Linear(hidden_size, hidden_size, bias=False)
        self.to_output = nn.Linear(hidden_size, layers.code_size)
        self.from_output = nn.Linear(layers.code_size, layers.code_size, bias=False)

    def read(self, layers: ConvolutionalLayers, frames: Float[Tensor, "batch 3 height width"]) -> Tensor:
        return layers.encode(frames)

    def start(self, x: Tensor) -> State:
        return (x.new_zeros(len(x), self.hidden_size),)

    def remember(self, x: Tensor, state: State) -> State:
        return (torch.sigmoid(self.from_input(x) + self.from_memory(state[0])),)

    def write(self, layers: ConvolutionalLayers, state: State, last: Tensor) -> Float[Tensor, "batch 3 height width"]:
        return layers.decode(self.to_output(state[0]) + self.from_output(last))


class ConvLstmCell(nn.Module):
    """The convolutional LSTM (Shi et al. 2015) on feature maps, without peepholes:

    i, f, o = s(W * [x_t, h_{t-1}] + b), c_t = f c_{t-1} + i tanh(W_c * [x_t, h_{t-1}] + b_c), h_t = o tanh(c_t).

    The forget gate's bias starts at 1. `hidden_size` counts channels.
    """

    def __init__(self, layers: ConvolutionalLayers, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        channels = layers.map_channels
        self.gates = nn.Conv2d(channels + hidden_size, 4 * hidden_size, 3, padding=1)
        self.to_output = nn.Conv2d(hidden_size + channels, channels, 3, padding=1)
        with torch.no_grad():
            self.gates.bias[hidden_size : 2 * hidden_size] = 1  # type: ignore[index]

    def read(self, layers: ConvolutionalLayers, frames: Float[Tensor, "batch 3 height width"]) -> Tensor:
        return layers.encode_map(frames)

    def start(self, x: Tensor) -> State:
        empty = x.new_zeros(len(x), self.hidden_size, *x.shape[-2:])
        return empty, empty

    def remember(self, x: Tensor, state: State) -> State:
        hidden, cell = state
        entry, keep, leave, candidate = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = keep.sigmoid() * cell + entry.sigmoid() * candidate.tanh()
        return leave.sigmoid() * cell.tanh(), cell

    def write(self, layers: ConvolutionalLayers, state: State, last: Tensor) -> Float[Tensor, "batch 3 height width"]:
        return layers.decode_map(self.to_output(torch.cat([state[0], last], 1)))
