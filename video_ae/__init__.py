"""Learns 3D structure and camera motion from plain, unlabelled video, by reconstruction alone.

Importing the package loads nothing heavy: no torch, no CUDA, no file, no environment variable.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from video_ae.models.base import Autoencoder
    from video_ae.scene.reconstruction import VideoReconstruction, reconstruct

__all__ = ["VideoReconstruction", "__version__", "load", "reconstruct"]

__version__ = "0.1.0"


def load(weights: str | Path | None = None) -> "Autoencoder":
    """The model that a RUN folder of `video-ae train` or a .safetensors file holds, in eval mode, on the CPU.

    None takes the small weights that come with the package. Raises UserError for a missing, truncated or foreign file
    and for weights that do not fit their model.
    """
    from video_ae.models.open import load_model

    return load_model(weights)


def __getattr__(name: str) -> Any:
    """`reconstruct` and its record, which bring torch, when somebody asks for them."""
    if name in ("reconstruct", "VideoReconstruction"):
        from video_ae.scene import reconstruction as api

        return getattr(api, name)
    raise AttributeError(f"module 'video_ae' has no attribute {name!r}")
