"""The contracts of the lecture's autoencoders: what `latent_plots` may ask of a model.

A model derives from every contract that it keeps; the plots ask for it with `isinstance`.
"""

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor

from video_ae.models.base import Autoencoder


class FrameEncoder(Autoencoder):
    """An autoencoder with one code for each frame.

    Attributes:
        image_size: (width, height) in pixels of the frames inside.
    """

    image_size: tuple[int, int]

    @abstractmethod
    def encode_frames(self, frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame code"]:
        """The codes of single frames.

        Args:
            frames: RGB in [0, 1], of any size.
        """


class FrameDecoder(FrameEncoder):
    """An autoencoder that also decodes single codes."""

    @abstractmethod
    def decode_codes(self, codes: Float[Tensor, "frame code"]) -> Float[Tensor, "frame 3 height width"]:
        """The frames of codes, RGB in [0, 1], at `image_size`.

        Args:
            codes: as `encode_frames` returns them.
        """


class Denoiser(FrameEncoder):
    """An autoencoder that is trained on corrupted frames and compared with the clean ones."""

    @abstractmethod
    def corrupt(self, frames: Float[Tensor, "*batch 3 height width"]) -> Float[Tensor, "*batch 3 height width"]:
        """Frames with the corruption of training, drawn at random; their values may leave [0, 1].

        Args:
            frames: clean ones, RGB in [0, 1].
        """


class Sampler(FrameDecoder):
    """An autoencoder with a prior over codes, from which frames can be drawn."""

    @abstractmethod
    def sample(self, count: int) -> Float[Tensor, "{count} 3 height width"]:
        """Frames decoded from codes that are drawn from the prior.

        Args:
            count: how many frames.
        """


class Predictor(FrameEncoder):
    """An autoencoder of clips that reads frames in order.

    Attributes:
        ahead: how many frames its output lies after the frame just read: 1 predicts, 0 reconstructs.
    """

    ahead: int
