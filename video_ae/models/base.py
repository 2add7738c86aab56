"""The contract of every autoencoder in this folder."""

import inspect
from abc import ABC, abstractmethod
from typing import Any

from torch import nn

from video_ae.types import Reconstruction, VideoClip


class Autoencoder(nn.Module, ABC):
    """VideoClip -> Reconstruction. One file per model; parts come from `structure`, `camera` and `renderers`.

    A model reads `clip.frames` only, never `clip.cameras`. Constructor arguments are plain typed values (they are the
    YAML of a run and are saved beside the weights).
    """

    init_args: dict[str, Any]  # the constructor's arguments with their defaults, kept to be saved beside the weights

    def __new__(cls, *args: object, **kwargs: object) -> "Autoencoder":
        model = super().__new__(cls)
        bound = inspect.signature(cls.__init__).bind_partial(model, *args, **kwargs)  # partial: copies are made without
        bound.apply_defaults()
        object.__setattr__(model, "init_args", dict(list(bound.arguments.items())[1:]))
        return model

    @abstractmethod
    def forward(self, clip: VideoClip) -> Reconstruction:
        """Encodes a batch of clips (`clip.frames` is [batch, frame, 3, height, width]) and renders some of its frames."""
