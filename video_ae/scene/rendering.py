"""Images of a scene, a few at a time, so that long paths fit into memory."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from video_ae.errors import UserError
from video_ae.scene.annotations import SolvedVideo
from video_ae.types import Cameras, RenderedViews

CHUNK = 8  # views rendered at once

PartDone = Callable[[float], None]
"""Called with the part done, from 0 to 1."""


def unreported(done: float) -> None:
    """Tells nobody how far it is.

    Args:
        done: the part that is done, from 0 to 1.
    """


def render_chunks(
    reconstruction: SolvedVideo, cameras: Cameras, size: tuple[int, int], progress: PartDone = unreported
) -> Iterator[RenderedViews]:
    """Views of a path on the CPU, chunk by chunk.

    Args:
        reconstruction: whose structure codes are rendered.
        cameras: in the scene's world.
        size: (width, height) of the images.
        progress: called with the part done, from 0 to 1.

    Raises:
        UserError: the cameras have a batch axis or none of views.
    """
    if cameras.world_from_camera.ndim != 3:
        shape = list(cameras.world_from_camera.shape)
        raise UserError(f"The cameras have the shape {shape}, and [view, 4, 4] is needed: use cameras.select([3]).")
    scene = reconstruction.scene
    progress(0.0)
    for start in range(0, len(cameras), CHUNK):
        chunk = cameras.select(slice(start, start + CHUNK)).to(scene.camera.confidence.device, torch.float32)
        with torch.no_grad():  # not around `yield`: it would hold for the caller, too
            views = reconstruction.model.render(scene, chunk, size).to("cpu")
        yield views
        progress(min(1.0, (start + CHUNK) / len(cameras)))


def render_views(reconstruction: SolvedVideo, cameras: Cameras, size: tuple[int, int]) -> RenderedViews:
    """All views of a path at once, on the CPU: as many as fit into memory.

    Args:
        reconstruction, cameras, size: as in `render_chunks`.

    Raises:
        UserError: as of `render_chunks`.
    """
    return RenderedViews.cat(list(render_chunks(reconstruction, cameras, size)))


def to_bytes(frames: Float[Tensor, "*frame 3 height width"]) -> UInt8[Tensor, "*frame 3 height width"]:
    """RGB in 0 .. 255.

    Args:
        frames: RGB in [0, 1]; values outside are clamped.
    """
    return (frames.clamp(0, 1) * 255).round().to(torch.uint8)


def to_image(frame: Float[Tensor, "3 height width"]) -> Image.Image:
    """A frame as an image of Pillow.

    Args:
        frame: RGB in [0, 1]; values outside are clamped.
    """
    return Image.fromarray(to_bytes(frame).permute(1, 2, 0).cpu().numpy())
