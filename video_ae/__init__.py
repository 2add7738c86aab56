"""Learns 3D structure and camera motion from plain, unlabelled video, by reconstruction alone.

    import video_ae
    walk = video_ae.reconstruct("walk.mp4")
    walk.cameras, walk.render(walk.path("orbit")), walk.save("walk")

Importing the package loads nothing heavy: no torch, no CUDA, no file, no environment variable.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from video_ae.models.base import Autoencoder
    from video_ae.pipelines.reconstruct import reconstruct
    from video_ae.scene.reconstruction import Reconstruction
    from video_ae.types import Cameras, VideoClip
    from video_ae.videos.writer import write_video

__all__ = ["Cameras", "Reconstruction", "VideoClip", "__version__", "load", "reconstruct", "write_video"]

__version__ = "0.1.0"

_HOMES = {  # what brings torch is imported when somebody asks for it
    "Cameras": "video_ae.types",
    "Reconstruction": "video_ae.scene.reconstruction",
    "VideoClip": "video_ae.types",
    "reconstruct": "video_ae.pipelines.reconstruct",
    "write_video": "video_ae.videos.writer",
}


def load(weights: str | Path | None = None) -> "Autoencoder":
    """The model that a RUN folder of `video-ae train` or a .safetensors file holds, in eval mode, on the CPU.

    Args:
        weights: None takes the small weights that come with the package.

    Raises:
        UserError: the file is missing, truncated or foreign, or its weights do not fit their model.
    """
    from video_ae.models.open import load_model

    return load_model(weights)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'video_ae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
