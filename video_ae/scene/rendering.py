"""Pictures of a scene, a few at a time, so that long paths fit into memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.models.base import Autoencoder
from video_ae.models.open import load_model
from video_ae.types import Cameras, RenderedViews, Scene, VideoClip

CHUNK = 8  # views rendered at once

Progress = Callable[[str, float], None]  # (what is being done, part done from 0 to 1)


@runtime_checkable
class SceneModel(Protocol):
    """What the applications ask of a model: to take a video apart, and to look at the result from any camera."""

    def reconstruct(
        self,
        clip: VideoClip,
        focal_over_width: float | None = None,
        refine_steps: int = 0,
        progress: Progress | None = None,
    ) -> Scene:
        """A clip without batch axis -> its cameras and structure codes."""

    def render(self, scene: Scene, cameras: Cameras, size: tuple[int, int] | None = None) -> RenderedViews:
        """Views from cameras (without batch axis) in the scene's world, `size` = (width, height); batch of one."""


@runtime_checkable
class RendersFromFrames(Protocol):
    """A model that can also make a code for a single view, where the frames are at hand."""

    def render_from_frames(
        self,
        scene: Scene,
        frame: Callable[[int], Float[Tensor, "3 height width"]],
        view: Cameras,
        size: tuple[int, int] | None = None,
    ) -> RenderedViews:
        """One view (a camera without batch axis) from the frames of the scene that see most alike; batch of one."""


def load_scene_model(weights: Path | None, device: torch.device) -> tuple[SceneModel, Autoencoder]:
    """The model of a RUN folder or file (None: the package's own), as what the applications use and as a module.

    Raises UserError for weights that do not load or belong to a model that takes no whole videos apart.
    """
    module = load_model(weights).to(device)
    if not isinstance(module, SceneModel):
        raise UserError(
            f"The weights {str(weights)!r} belong to the model {type(module).__name__}, which does not reconstruct "
            "whole videos: give weights of the perspective model."
        )
    return cast(SceneModel, module), module


def render_chunks(
    model: SceneModel,
    scene: Scene,
    cameras: Cameras,
    size: tuple[int, int],
    progress: Callable[[float], None] | None = None,
) -> Iterator[tuple[int, RenderedViews]]:
    """(number of the first view, views on the CPU) chunk by chunk; `progress` gets the part done."""
    device = scene.camera.confidence.device
    for start in range(0, len(cameras), CHUNK):
        chunk = cameras.select(slice(start, start + CHUNK)).to(device, torch.float32)
        with torch.no_grad():
            views = model.render(scene, chunk, size)
        yield start, RenderedViews(views.frames.cpu(), views.disparity.cpu(), views.opacity.cpu())
        if progress is not None:
            progress(min(1.0, (start + CHUNK) / len(cameras)))


def render_pictures(
    model: SceneModel,
    scene: Scene,
    cameras: Cameras,
    size: tuple[int, int],
    progress: Callable[[float], None] | None = None,
) -> UInt8[Tensor, "view 3 height width"]:
    """All views of a path, RGB in 0 .. 255."""
    chunks = render_chunks(model, scene, cameras, size, progress)
    return torch.cat([to_bytes(views.frames[0]) for _, views in chunks])


def to_bytes(frames: Float[Tensor, "frame 3 height width"]) -> UInt8[Tensor, "frame 3 height width"]:
    """RGB in [0, 1] (clamped) -> 0 .. 255."""
    return (frames.clamp(0, 1) * 255).round().to(torch.uint8)


def even_size(size: tuple[int, int], shorter_side: int | None = None) -> tuple[int, int]:
    """(width, height) with the shorter side reduced to `shorter_side` (never enlarged) and both sides even.

    >>> even_size((640, 361), 180)
    (320, 180)
    """
    factor = 1.0 if shorter_side is None else min(1.0, shorter_side / min(size))
    width, height = (max(2, 2 * round(side * factor / 2)) for side in size)
    return width, height
