"""One image -> a scene: what its layers might be, when nothing moved.

A single image shows no parallax, so its depth is a guess: the structure network's answer to one context, smoothed
until it has no torn edges, times the depth of a typical room (the floor comes nearer downwards, walls towards the
sides). docs/applications.md says how much that is worth.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.frustum import MARGIN, inverse_depth_planes, widened_camera
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.renderers.compositing import absorption_weights
from video_ae.structure.plane_sweep import ending_density
from video_ae.types import CameraEstimate, Cameras, MultiplaneVolume, Scene, VideoClip

DEFAULT_FOCAL = 0.9  # fx / width of an image about which nothing is known: 58 degrees
PLANES = 32
_WINDOW = 6  # the network's depth is averaged over one part in so many of the shorter side
_SOFTNESS = 2.0  # planes over which a ray ends: layers that melt into each other
_NEAREST = 2.5  # inverse depth before anything is known of the scale
_LIMITS = (0.25, 4.0)  # of the typical inverse depth


def image_camera(frame: Float[Tensor, "3 height width"], focal_over_width: float | None = None) -> Cameras:
    """The camera of a single image (one frame), which is the world.

    Args:
        frame: the image.
        focal_over_width: fx / width where it is known; else that of a common lens.
    """
    focal = torch.tensor([focal_over_width or DEFAULT_FOCAL])
    intrinsics = pinhole_intrinsics(focal, frame.shape[-1], frame.shape[-2])
    return Cameras(torch.eye(4)[None], intrinsics).to(frame.device)


def image_estimate(camera: Cameras, inverse_depth: Float[Tensor, "1 rows columns"] | None = None) -> CameraEstimate:
    """The record of a camera that was not found but set: nothing is known of it, its confidence is 0.

    Args:
        camera: one.
        inverse_depth: None where nothing is known of that either; the planes of a code then reach near enough for any.
    """
    device = camera.intrinsics.device
    return CameraEstimate(
        camera,
        torch.full((1, 6, 8), _NEAREST, device=device) if inverse_depth is None else inverse_depth,
        torch.zeros(1, device=device),
        torch.zeros(1, 6, 6, device=device),
        ("one image: its depth is a guess",),
    )


def image_scene(
    frame: Float[Tensor, "3 height width"], camera: Cameras, inverse_depth: Float[Tensor, "height width"]
) -> Scene:
    """A scene of one frame, whose code is the image on layers.

    Args:
        frame: RGB in [0, 1].
        camera: of the image.
        inverse_depth: 1 / z of its pixels.
    """
    clip = VideoClip(frame[None], torch.zeros(1, dtype=torch.int64), torch.full((1,), torch.nan, dtype=torch.float64))
    layers = image_layers(frame, inverse_depth, camera)
    return Scene(clip.to(frame.device), image_estimate(camera, inverse_depth[None]), (0,), (layers,))


def guess_inverse_depth(code: MultiplaneVolume) -> Float[Tensor, "rows columns"]:
    """The network's 1 / z, smoothed, times that of an empty room; its median is 1.

    Args:
        code: of the image alone.
    """
    weights = absorption_weights((1 - torch.exp(-code.density)).movedim(0, -1))
    seen = (weights * code.inverse_depth).sum(-1)
    rows, columns = seen.shape
    side = min(rows, columns) // _WINDOW // 2 * 2 + 1
    padded = F.pad(seen[None, None], (side // 2,) * 4, mode="replicate")
    smoothed = F.avg_pool2d(padded, side, 1)[0, 0]
    guess = smoothed / smoothed.median() * room_inverse_depth(rows, columns).to(seen)
    return (guess / guess.median()).clamp(*_LIMITS)


def room_inverse_depth(rows: int, columns: int) -> Float[Tensor, "{rows} {columns}"]:
    """1 / z of a room: constant in the middle, nearer downwards (floor) and towards both sides (walls); median 1.

    Args:
        rows, columns: of the map.
    """
    v = ((torch.arange(rows) + 0.5) / rows)[:, None]
    u = ((torch.arange(columns) + 0.5) / columns)[None]
    nearer = torch.maximum(((v - 0.4) / 0.6).clamp_min(0).expand(rows, columns), 0.8 * (u - 0.5).abs())
    room = 1 + 1.2 * nearer
    return room / room.median()


def image_layers(
    image: Float[Tensor, "3 height width"], inverse_depth: Float[Tensor, "height width"], camera: Cameras
) -> MultiplaneVolume:
    """The image on layers that follow the depth; the margin beyond its edge mirrors it.

    Args:
        image: RGB in [0, 1].
        inverse_depth: 1 / z of its pixels.
        camera: of the image; the code reaches beyond it on every side.
    """
    height, width = image.shape[-2:]
    reference, size = widened_camera(camera, width, height)
    margin_x, margin_y = round(MARGIN * width), round(MARGIN * height)
    pads = (margin_x, size[0] - width - margin_x, margin_y, size[1] - height - margin_y)
    mirrored = F.pad(image[None], pads, mode="reflect")[0]
    depth = F.pad(inverse_depth[None, None], pads, mode="replicate")[0, 0]
    planes = inverse_depth_planes(1.25 * depth.max()[None], PLANES)[0]
    step = planes[0] / PLANES
    logit = -0.5 * ((planes[:, None, None] - depth) / (_SOFTNESS * step)).square()
    features = mirrored[:, None].expand(3, PLANES, *mirrored.shape[-2:])
    return MultiplaneVolume(ending_density(logit[None])[0], features, planes, reference)
