"""The contract of every autoencoder in this folder."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import nn

from video_ae.types import Reconstruction, VideoClip

DEFAULT_REFINE_STEPS = 4
"""Rounds of test-time refinement that take about a minute for 25 frames on two cores; more gains little."""


class Autoencoder(nn.Module, ABC):
    """VideoClip -> Reconstruction. One file per model; parts come from `structure`, `camera` and `renderers`.

    A model reads `clip.frames` only, never `clip.cameras`. Constructor arguments are plain typed values (they are the
    YAML of a run and are saved beside the weights).
    """

    only_at_start: ClassVar[tuple[str, ...]] = ()
    """Constructor arguments that a fresh model needs and saved weights do not: saved as null."""

    refines: ClassVar[bool] = False
    """Whether the model can go on solving on the user's own clip (`refine_steps`)."""

    settings: dict[str, Any]
    """`{"class_path", "init_args"}`, complete: set by `video_ae.models.open.build_model`, saved beside the weights."""

    @abstractmethod
    def forward(self, clip: VideoClip) -> Reconstruction:
        """Encodes a batch of clips (`clip.frames`: [batch, frame, 3, height, width]) and renders some of its frames."""
