"""The recurrent video autoencoder: frames are read one after another into a memory (Srivastava et al. 2015)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.lecture.layers import ConvolutionalLayers, bring_to_size
from video_ae.lecture.recurrent_cells import ConvLstmCell, PlainCell, State
from video_ae.models.base import Autoencoder
from video_ae.types import ModelOutput, VideoClip


class RecurrentAutoencoder(Autoencoder):
    """Encoder h_t = f(x_t, h_{t-1}), decoder x^_{t+ahead} = g(h_t, x^_{t+ahead-1}), with convolutional layers.

    In training the decoder sees the true previous frame with the probability `teacher_forcing` (scheduled sampling,
    Bengio et al. 2015), in evaluation always its own previous output (free running).

    Args:
        cell: the lecture's plain recurrence, or a convolutional LSTM.
        ahead: 1 predicts each next frame, 0 puts the frame itself together again.
        teacher_forcing: probability, in each training step of a clip.
        recurrent: without it nothing is remembered and the decoder does not see its past: the memoryless twin.
        hidden_size: numbers (plain) or channels (convlstm) of the memory.
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
        self.cell = (PlainCell if cell == "plain" else ConvLstmCell)(self.layers, hidden_size)

    def forward(self, clip: VideoClip) -> ModelOutput:
        """Frames `ahead`, ..., last of a clip. UserError for clips that are too short. extras: "code", as in
        `encode_frames`, of the frames that were read."""
        batch, count = clip.frames.shape[:2]
        if count <= self.ahead:
            raise UserError(f"A model that predicts the next frame needs clips of 2 frames or more, got {count}.")
        frames = bring_to_size(clip.frames.flatten(0, 1), self.image_size).unflatten(0, (batch, count))
        features = [self.cell.read(self.layers, frame) for frame in frames.unbind(1)]
        state, output, outputs = self._start(features[0]), None, []
        for t in range(count - self.ahead):
            state = self._remember(features[t], state)
            previous = t + self.ahead - 1
            forced = self.training and bool(torch.rand(()) < self.teacher_forcing)
            true = features[previous] if previous >= 0 else torch.zeros_like(features[0])
            last = true if forced or output is None else self.cell.read(self.layers, output)
            output = self._write(state, last)
            outputs.append(output)
        pictures = bring_to_size(torch.stack(outputs, 1).flatten(0, 1), clip.image_size).unflatten(0, (batch, -1))
        targets = torch.arange(self.ahead, count, device=pictures.device)
        codes = torch.stack(features[: count - self.ahead], 1).flatten(2)
        return ModelOutput(pictures, targets, extras={"code": codes})

    @torch.no_grad()
    def continue_clip(
        self, frames: Float[Tensor, "batch frame 3 height width"], steps: int
    ) -> Float[Tensor, "batch {steps} 3 height width"]:
        """What comes after the frames, each prediction being read as the next input. Needs `ahead` = 1 (UserError)."""
        if self.ahead != 1:
            raise UserError("Only a model that predicts (ahead: 1) can continue a clip; this one has ahead: 0.")
        size = (frames.shape[-1], frames.shape[-2])
        state: State | None = None
        predictions: list[Tensor] = []
        for t in range(frames.shape[1] + steps - 1):
            known = t < frames.shape[1]
            frame = bring_to_size(frames[:, t], self.image_size) if known else predictions[-1]
            x = self.cell.read(self.layers, frame)
            state = self._remember(x, self._start(x) if state is None else state)
            last = self.cell.read(self.layers, predictions[-1]) if predictions else x
            predictions.append(self._write(state, last))
        return torch.stack([bring_to_size(picture, size) for picture in predictions[-steps:]], 1)

    def encode_frames(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        """What the cell reads of single frames: codes (plain) or flattened feature maps (convlstm)."""
        return self.cell.read(self.layers, bring_to_size(frames, self.image_size)).flatten(1)

    def _start(self, x: Tensor) -> State:
        return self.cell.start(x)

    def _remember(self, x: Tensor, state: State) -> State:
        return self.cell.remember(x, state if self.recurrent else self.cell.start(x))

    def _write(self, state: State, last: Tensor) -> Tensor:
        return self.cell.write(self.layers, state, last if self.recurrent else torch.zeros_like(last))
