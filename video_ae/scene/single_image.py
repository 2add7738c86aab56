"""One picture -> a scene: what its layers might be, when nothing moved.

A single picture shows no parallax, so its depth is a guess: the structure network's answer to one context, smoothed
until it has no torn edges, times what pictures of places mostly are (the floor comes nearer downwards, walls towards
the sides). docs/applications.md says how much that is worth.
"""

from pathlib import Path
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.frustum import inverse_depth_planes
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.models.keyframes import MARGIN, widened
from video_ae.renderers.compositing import absorption_weights
from video_ae.structure.plane_sweep import ending_density
from video_ae.types import CameraEstimate, Cameras, MultiplaneVolume, Scene, VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.image_folder import ImageFolderReader

DEFAULT_FOCAL = 0.9  # fx / width of a picture about which nothing is known: 58 degrees
PLANES = 32
_WINDOW = 6  # the network's depth is averaged over one part in so many of the shorter side
_SOFTNESS = 2.0  # planes over which a ray ends: layers that melt into each other
_NEAREST = 2.5  # inverse depth before anything is known of the scale
_LIMITS = (0.25, 4.0)  # of the typical inverse depth


class StructureModel(Protocol):
    """A model that makes a code of any number of frames."""

    def encode_structure(
        self,
        frames: Float[Tensor, "batch frame 3 height width"],
        estimate: CameraEstimate,
        contexts: list[int],
        reference: Cameras,
        size: tuple[int, int] | None = None,
    ) -> MultiplaneVolume:
        """The code of one reference camera."""


def open_picture(path: Path) -> VideoReader:
    """A picture file as a video of one frame. Raises UserError for a missing file and for one that is no picture."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{str(path)!r} does not exist: give a picture (jpg, png, webp, bmp or tif).")
    return ImageFolderReader(path.parent, [path])


def picture_scene(
    model: object, clip: VideoClip, focal: float | None = None, device: str | torch.device = "cpu"
) -> Scene:
    """A scene of one frame (without batch axis), whose typical depth is 1.

    focal: fx / width where it is known. Raises UserError for a model that makes no frustum voxels.
    """
    if not callable(getattr(model, "encode_structure", None)):
        raise UserError(
            f"{type(model).__name__} makes no structure of a single picture: give weights of the perspective model."
        )
    frame = clip.frames[:1].to(device)
    height, width = frame.shape[-2:]
    intrinsics = pinhole_intrinsics(torch.tensor([focal or DEFAULT_FOCAL]), width, height)
    camera = Cameras(torch.eye(4)[None, None], intrinsics[None]).to(device)
    guess = picture_estimate(camera)
    with torch.no_grad():
        code = cast(StructureModel, model).encode_structure(frame[None], guess, [0], camera, (width, height))
    inverse_depth = guessed_inverse_depth(code)
    reference, size = widened(camera, width, height)
    return Scene(
        clip.select(slice(0, 1)).to(device),
        picture_estimate(camera, inverse_depth[None, None]),
        (0,),
        (layers(frame[0], inverse_depth, reference, size),),
    )


def guessed_inverse_depth(code: MultiplaneVolume) -> Float[Tensor, "rows columns"]:
    """The network's 1 / z, smoothed, times that of an empty room; its median is 1."""
    weights = absorption_weights((1 - torch.exp(-code.density[0])).movedim(0, -1))
    seen = (weights * code.inverse_depth[0]).sum(-1)
    rows, columns = seen.shape
    side = min(rows, columns) // _WINDOW // 2 * 2 + 1
    padded = F.pad(seen[None, None], (side // 2,) * 4, mode="replicate")
    smoothed = F.avg_pool2d(padded, side, 1)[0, 0]
    guess = smoothed / smoothed.median() * room_inverse_depth(rows, columns).to(seen)
    return (guess / guess.median()).clamp(*_LIMITS)


def room_inverse_depth(rows: int, columns: int) -> Float[Tensor, "{rows} {columns}"]:
    """1 / z of a room: constant in the middle, nearer downwards (floor) and towards both sides (walls); median 1."""
    v = ((torch.arange(rows) + 0.5) / rows)[:, None]
    u = ((torch.arange(columns) + 0.5) / columns)[None]
    nearer = torch.maximum(((v - 0.4) / 0.6).clamp_min(0).expand(rows, columns), 0.8 * (u - 0.5).abs())
    room = 1 + 1.2 * nearer
    return room / room.median()


def layers(
    picture: Float[Tensor, "3 height width"], inverse_depth: Tensor, reference: Cameras, size: tuple[int, int]
) -> MultiplaneVolume:
    """The picture on layers that follow the depth; the margin beyond its edge mirrors it."""
    height, width = picture.shape[-2:]
    margin_x, margin_y = round(MARGIN * width), round(MARGIN * height)
    pads = (margin_x, size[0] - width - margin_x, margin_y, size[1] - height - margin_y)
    mirrored = F.pad(picture[None], pads, mode="reflect")[0]
    depth = F.pad(inverse_depth[None, None], pads, mode="replicate")[0, 0]
    planes = inverse_depth_planes(1.25 * depth.max()[None], PLANES)
    step = planes[0, 0] / PLANES
    logit = -0.5 * ((planes[0][:, None, None] - depth) / (_SOFTNESS * step)).square()
    features = mirrored[None, :, None].expand(1, 3, PLANES, *mirrored.shape[-2:])
    return MultiplaneVolume(ending_density(logit[None]), features, planes, reference)


def picture_estimate(camera: Cameras, inverse_depth: Float[Tensor, "1 1 rows columns"] | None = None) -> CameraEstimate:
    """The record of one camera (batch of one) that was not found but set: nothing is known of it, its confidence is 0.

    inverse_depth: None where nothing is known of that either; the planes of a code then reach near enough for any.
    """
    device = camera.intrinsics.device
    return CameraEstimate(
        camera,
        torch.full((1, 1, 6, 8), _NEAREST, device=device) if inverse_depth is None else inverse_depth,
        torch.zeros(1, 1, device=device),
        torch.zeros(1, 1, 6, 6, device=device),
        (("one picture: its depth is a guess",),),
    )
