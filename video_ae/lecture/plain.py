"""The autoencoder: frame -> code -> frame."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.resize import resize_images
from video_ae.lecture.base import FrameDecoder
from video_ae.lecture.layers import Activation, Layers, build_layers
from video_ae.types import ModelOutput, VideoClip


class PlainAutoencoder(FrameDecoder):
    """Each frame by itself, through a bottleneck: z = encoder(x), x^ = decoder(z); train it on `SquaredError`.

    With dense layers this is z = s(W_e x + b_e), x^ = s(W_d z + b_d); if they are linear it spans the same space as
    PCA (Baldi and Hornik 1989).

    Args:
        layers: dense, convolutional (linear layers around the code), or fully_convolutional (the code is a small map).
        image_size: (width, height) of the frames inside; others are resized on the way in and back on the way out.
        code_size: numbers in a code.
        width: channels of the first convolutional layer.
        activation: of dense layers.
    """

    def __init__(
        self,
        layers: Layers = "convolutional",
        image_size: tuple[int, int] = (64, 48),
        code_size: int = 64,
        width: int = 16,
        activation: Activation = "sigmoid",
    ):
        super().__init__()
        self.image_size = (image_size[0], image_size[1])
        self.layers = build_layers(layers, image_size, code_size, width, activation)

    def encode_frames(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        return self.layers.encode(resize_images(frames, self.image_size))

    def decode_codes(self, codes: Float[Tensor, "frame code"]) -> Float[Tensor, "frame 3 height width"]:
        return self.layers.decode(codes)

    def forward(self, clip: VideoClip) -> ModelOutput:
        """All frames of a clip.

        Args:
            clip: a batch of clips.

        Returns:
            Every frame at the clip's own size. extras: "code" [batch, frame, code].
        """
        codes = self.encode_frames(clip.frames.flatten(0, 1))
        return self._reconstruct(clip, self.decode_codes(codes), code=codes)

    def _reconstruct(self, clip: VideoClip, frames: Tensor, **extras: Tensor) -> ModelOutput:
        """A record of all frames at the clip's size; everything comes with batch and frame in one axis."""
        batch, count = clip.frames.shape[:2]
        decoded = resize_images(frames, clip.image_size).unflatten(0, (batch, count))
        split = {name: value.unflatten(0, (batch, count)) for name, value in extras.items()}
        return ModelOutput(decoded, torch.arange(count, device=frames.device), extras=split)
