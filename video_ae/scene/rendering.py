"""Images of a scene, a few at a time, so that long paths fit into memory."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.scene.annotations import VideoModel
from video_ae.types import Cameras, RenderedViews, Scene

CHUNK = 8  # views rendered at once


def render_chunks(
    model: VideoModel,
    scene: Scene,
    cameras: Cameras,
    size: tuple[int, int],
    progress: Callable[[float], None] | None = None,
) -> Iterator[RenderedViews]:
    """Views of a path on the CPU, chunk by chunk.

    Args:
        model: that made the scene, on its device.
        scene: as the model made it.
        cameras: in the scene's world.
        size: (width, height) of the images.
        progress: called with the part done, from 0 to 1.
    """
    device = scene.camera.confidence.device
    for start in range(0, len(cameras), CHUNK):
        chunk = cameras.select(slice(start, start + CHUNK)).to(device, torch.float32)
        with torch.no_grad():
            yield model.render(scene, chunk, size).to("cpu")
        if progress is not None:
            progress(min(1.0, (start + CHUNK) / len(cameras)))


def render_images(
    model: VideoModel,
    scene: Scene,
    cameras: Cameras,
    size: tuple[int, int],
    progress: Callable[[float], None] | None = None,
) -> UInt8[Tensor, "view 3 height width"]:
    """All views of a path as bytes.

    Args:
        model, scene, cameras, size, progress: as in `render_chunks`.
    """
    return torch.cat([to_bytes(views.rgb) for views in render_chunks(model, scene, cameras, size, progress)])


def to_bytes(frames: Float[Tensor, "*frame 3 height width"]) -> UInt8[Tensor, "*frame 3 height width"]:
    """RGB in 0 .. 255.

    Args:
        frames: RGB in [0, 1]; values outside are clamped.
    """
    return (frames.clamp(0, 1) * 255).round().to(torch.uint8)
