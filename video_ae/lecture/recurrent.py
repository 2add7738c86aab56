"""The recurrent video autoencoder: frames are read one after another into a hidden state (Srivastava et al. 2015).

Its recurrences are h_t = f(x_t, h_{t-1}), with the output x^_t = g(h_t, x^_{t-1}).
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.errors import UserError
from video_ae.geometry.resize import resize_images
from video_ae.lecture.base import Predictor
from video_ae.lecture.layers import ConvolutionalLayers
from video_ae.types import ModelOutput, VideoClip

State = tuple[Tensor, ...]


class RecurrentCell(nn.Module, ABC):
    """Features of one frame after another -> a hidden state -> features of output frames.

    Args:
        size: numbers or channels of the features.
        hidden_size: numbers or channels of the hidden state.
    """

    parts: ClassVar[int] = 1
    """Tensors in a state."""

    def __init__(self, size: int, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size

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
    def output(self, state: State, last: Tensor) -> Tensor:
        """Features of the output frame of each clip.

        Args:
            state: the state after the last frame.
            last: features of the previous output, or of the true frame in its stead.
        """


class PlainCell(RecurrentCell):
    """h_t = s(W1 x_t + U1 h_{t-1} + b1) and y_t = W2 h_t + U2 y_{t-1} + b2, on the codes of frames.

    x_t is the code of the input frame, y_{t-1} the code of the previous output; the code y_t is decoded by the
    convolutional layers, whose last step is the logistic function s: the lecture's x^_t = s(W2 h_t + U2 x^_{t-1} + b2).

    Args:
        size: numbers in a code.
        hidden_size: numbers in h.
    """

    def __init__(self, size: int, hidden_size: int):
        super().__init__(size, hidden_size)
        self.from_input = nn.Linear(size, hidden_size)
        self.from_memory = nn.Linear(hidden_size, hidden_size, bias=False)
        self.to_output = nn.Linear(hidden_size, size)
        self.from_output = nn.Linear(size, size, bias=False)

    def update(self, x: Tensor, state: State) -> State:
        return (torch.sigmoid(self.from_input(x) + self.from_memory(state[0])),)

    def output(self, state: State, last: Tensor) -> Tensor:
        return self.to_output(state[0]) + self.from_output(last)


class ConvLstmCell(RecurrentCell):
    """The convolutional LSTM (Shi et al. 2015) on feature maps, without peepholes:

    i, f, o = s(W * [x_t, h_{t-1}] + b), c_t = f c_{t-1} + i tanh(W_c * [x_t, h_{t-1}] + b_c), h_t = o tanh(c_t).

    The forget gate's bias starts at 1.

    Args:
        size: channels of the feature maps.
        hidden_size: channels of h and of c.
    """

    parts = 2

    def __init__(self, size: int, hidden_size: int):
        super().__init__(size, hidden_size)
        self.gates = nn.Conv2d(size + hidden_size, 4 * hidden_size, 3, padding=1)
        self.to_output = nn.Conv2d(hidden_size + size, size, 3, padding=1)
        with torch.no_grad():
            self.gates.bias[hidden_size : 2 * hidden_size] = 1  # type: ignore[index]

    def update(self, x: Tensor, state: State) -> State:
        hidden, cell = state
        entry, keep, leave, candidate = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = keep.sigmoid() * cell + entry.sigmoid() * candidate.tanh()
        return leave.sigmoid() * cell.tanh(), cell

    def output(self, state: State, last: Tensor) -> Tensor:
        return self.to_output(torch.cat([state[0], last], 1))


class RecurrentAutoencoder(Predictor):
    """Encoder h_t = f(x_t, h_{t-1}), decoder x^_{t+ahead} = g(h_t, x^_{t+ahead-1}), with convolutional layers.

    In training the decoder sees the true previous frame with the probability `teacher_forcing` (scheduled sampling,
    Bengio et al. 2015), in evaluation always its own previous output (free running).

    Args:
        cell: the lecture's plain recurrence, or a convolutional LSTM.
        ahead: 1 predicts each next frame, 0 reconstructs the frame itself.
        teacher_forcing: probability, drawn anew for each frame of a training step.
        recurrent: False resets the memory at each frame and hides the previous output: the memoryless baseline.
        hidden_size: numbers (plain) or channels (convlstm) of the hidden state.
        image_size, code_size, width: as in PlainAutoencoder.
    """

    def __init__(
        self,
        cell: Literal["plain", "convlstm"] = "convlstm",
        ahead: Literal[0, 1] = 1,
        teacher_forcing: float = 0.5,
        recurrent: bool = True,
        hidden_size: int = 64,
        image_size: tuple[int, int] = (64, 48),
        code_size: int = 64,
        width: int = 16,
    ):
        super().__init__()
        self.ahead, self.teacher_forcing, self.recurrent = ahead, teacher_forcing, recurrent
        self.image_size = (image_size[0], image_size[1])
        self.layers = ConvolutionalLayers(self.image_size, code_size, width)
        self.plain = cell == "plain"
        kind, size = (PlainCell, code_size) if self.plain else (ConvLstmCell, self.layers.map_channels)
        self.cell = kind(size, hidden_size)

    def forward(self, clip: VideoClip) -> ModelOutput:
        """Frames `ahead`, ..., last of a clip.

        Args:
            clip: a batch of clips of more than `ahead` frames.

        Returns:
            Those frames at the clip's own size. extras: "code", as in `encode_frames`, of the frames that were read.

        Raises:
            UserError: the clips are too short.
        """
        batch, count = clip.frames.shape[:2]
        if count <= self.ahead:
            raise UserError(f"A model that predicts the next frame needs clips of 2 frames or more, got {count}.")
        frames = resize_images(clip.frames.flatten(0, 1), self.image_size).unflatten(0, (batch, count))
        features = [self._encode(frame) for frame in frames.unbind(1)]
        outputs = self._unroll(features, count - self.ahead, self.teacher_forcing if self.training else None)
        decoded = resize_images(torch.stack(outputs, 1).flatten(0, 1), clip.image_size).unflatten(0, (batch, -1))
        targets = torch.arange(self.ahead, count, device=decoded.device)
        codes = torch.stack(features[: count - self.ahead], 1).flatten(2)
        return ModelOutput(decoded, targets, extras={"code": codes})

    @torch.no_grad()
    def continue_clip(
        self, frames: Float[Tensor, "batch frame 3 height width"], steps: int
    ) -> Float[Tensor, "batch {steps} 3 height width"]:
        """The frames that follow, each prediction being read as the next input.

        Args:
            frames: the beginning, RGB in [0, 1].
            steps: how many frames to predict.

        Raises:
            UserError: the model does not predict (`ahead` is 0).
        """
        if self.ahead != 1:
            raise UserError("Only a model that predicts (ahead: 1) can continue a clip; this one has ahead: 0.")
        size = (frames.shape[-1], frames.shape[-2])
        features = [self._encode(resize_images(frame, self.image_size)) for frame in frames.unbind(1)]
        predictions = self._unroll(features, len(features) + steps - 1)
        return torch.stack([resize_images(frame, size) for frame in predictions[-steps:]], 1)

    def _unroll(self, features: list[Tensor], steps: int, teacher_forcing: float | None = None) -> list[Tensor]:
        """The output of each step. Beyond the features of true frames, it reads its own outputs."""
        state: State | None = None
        outputs: list[Tensor] = []
        for t in range(steps):
            x = features[t] if t < len(features) else self._encode(outputs[-1])
            state = self.cell.update(x, state if state and self.recurrent else self.cell.initial_state(x))
            forced = teacher_forcing is not None and bool(torch.rand(()) < teacher_forcing)
            if outputs and not forced:
                last = self._encode(outputs[-1])
            else:
                last = features[t + self.ahead - 1] if t + self.ahead else torch.zeros_like(features[0])
            found = self.cell.output(state, last if self.recurrent else torch.zeros_like(last))
            outputs.append(self.layers.decode(found) if self.plain else self.layers.from_map(found))
        return outputs

    def encode_frames(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        """The input of the cell for single frames: codes (plain) or flattened feature maps (convlstm).

        Args:
            frames: RGB in [0, 1], of any size.
        """
        return self._encode(resize_images(frames, self.image_size)).flatten(1)

    def _encode(self, frames: Tensor) -> Tensor:
        return self.layers.encode(frames) if self.plain else self.layers.to_map(frames)
