"""Pictures of a scene in full size: geometry from the codes, colours from the frames where these see the same point.

The codes are small (their shorter side is that of the model's working pictures), the frames are not. A view is rendered
from the codes; each of its pixels, at the depth rendered there, is then looked up in the frames that are named for it.
Where a frame sees that point (its own rendered depth agrees), its colour is taken; where none does, the rendering
stays, and what nothing has ever seen is filled in smoothly from around it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.applications.exports import known_inverse_depth
from video_ae.applications.reading import SHORTER_SIDE
from video_ae.applications.views import SceneModel, even_size, to_bytes
from video_ae.geometry.cameras import camera_rays, project, sample, transform
from video_ae.geometry.se3 import invert
from video_ae.types import Cameras, RenderedViews, Scene

AGREEMENT = 0.05  # of the disparity: spread of what counts as the same point
RENDERED_WEIGHT = 0.1  # of the rendering beside frames that see a point
_FEATHER = 0.02  # of the picture: width over which a frame fades out at its border


@dataclass(frozen=True)
class SharpViews:
    """Views of a scene in the size of its frames.

    frame: reads one frame of the clip by its position, RGB in [0, 1], any size.
    size: (width, height) of the pictures.
    """

    model: SceneModel
    scene: Scene
    frame: Callable[[int], Float[Tensor, "3 height width"]]
    size: tuple[int, int]
    _depths: dict[int, Tensor] = field(default_factory=dict)

    def pictures(
        self,
        cameras: Cameras,
        sources: Sequence[dict[int, float]],
        progress: Callable[[float], None] | None = None,
    ) -> UInt8[Tensor, "view 3 height width"]:
        """All views of a path (cameras without batch axis), RGB in 0 .. 255.

        sources: for each view the positions of the frames that give it colour, with their weights.
        """
        width, height = self.size
        pictures = torch.empty(len(cameras), 3, height, width, dtype=torch.uint8)
        for number, (views, own) in enumerate(zip(self._rendered(cameras), sources, strict=True)):
            pictures[number] = to_bytes(self._colored(views, cameras.select([number]), own)[None])[0]
            if progress is not None:
                progress((number + 1) / len(cameras))
        return pictures

    def coverage(self, cameras: Cameras, shorter_side: int = 48) -> Float[Tensor, "view height width"]:
        """How much of small views from some cameras any code has seen, 0 to 1."""
        size = even_size(self.size, shorter_side)
        return torch.cat([self._render(cameras.select([i]), size).opacity[0] for i in range(len(cameras))])

    def _rendered(self, cameras: Cameras) -> Iterator[RenderedViews]:
        size = even_size(self.size, SHORTER_SIDE)
        for number in range(len(cameras)):
            yield self._render(cameras.select([number]), size)

    def _render(self, camera: Cameras, size: tuple[int, int]) -> RenderedViews:
        device = self.scene.camera.confidence.device
        with torch.no_grad():
            views = self.model.render(self.scene, camera.to(device, torch.float32), size)
        return RenderedViews(views.frames.cpu(), views.disparity.cpu(), views.opacity.cpu())

    def _depth_of(self, frame: int) -> Float[Tensor, "rows columns"]:
        """1 / z that a frame of the clip sees; NaN where it is not known."""
        if frame not in self._depths:
            if len(self._depths) > 16:
                self._depths.pop(next(iter(self._depths)))
            views = self._render(self._camera(frame), even_size(self.size, SHORTER_SIDE))
            self._depths[frame] = known_inverse_depth(views.disparity[0], views.opacity[0])[0]
        return self._depths[frame]

    def _camera(self, frame: int) -> Cameras:
        found = self.scene.camera.cameras
        return Cameras(found.world_from_camera[0], found.intrinsics[0]).select([frame]).to("cpu", torch.float32)

    def _colored(self, views: RenderedViews, camera: Cameras, sources: dict[int, float]) -> Tensor:
        width, height = self.size
        camera = camera.to("cpu", torch.float32)
        rendered = _resized(fill_unseen(views.frames[0], views.opacity[0])[0], self.size)
        known = known_inverse_depth(views.disparity[0], views.opacity[0])[0]
        inverse_depth = _resized(known.nan_to_num(0.0)[None], self.size)[0]
        seen = (_resized(known.isfinite().float()[None], self.size)[0] > 0.999).float()
        rays = camera_rays(camera.intrinsics[0], height, width)
        points = transform(camera.world_from_camera[0], rays / inverse_depth.clamp_min(1e-4)[..., None])
        total = torch.full((height, width), RENDERED_WEIGHT)
        color = RENDERED_WEIGHT * rendered
        for frame, share in sources.items():
            found, weight = self._looked_up(frame, points)
            weight = share * weight * seen
            color, total = color + weight * found, total + weight
        return color / total

    def _looked_up(self, frame: int, points: Float[Tensor, "height width 3"]) -> tuple[Tensor, Tensor]:
        """(colours of points in a frame, 1 where the frame sees them)."""
        own = self._camera(frame)
        local = transform(invert(own.world_from_camera[0]), points)
        place = project(local, own.intrinsics[0].expand(*local.shape[:-1], 4))
        there = self._depth_of(frame)
        expected = sample(there.nan_to_num(0.0)[None, None], place[None], "border")[0, 0]
        ratio = expected * local[..., 2]  # 1 where the frame sees the point itself
        border = torch.minimum(place, 1 - place).amin(-1)
        weight = torch.exp(-0.5 * ((ratio - 1) / AGREEMENT).square()) * (border / _FEATHER).clamp(0, 1)
        color = sample(self.frame(frame)[None], place[None], "border")[0]
        return color, weight * (local[..., 2] > 0)


def _resized(maps: Float[Tensor, "channel rows columns"], size: tuple[int, int]) -> Tensor:
    if (maps.shape[-1], maps.shape[-2]) == size:
        return maps
    return F.interpolate(maps[None], size[::-1], mode="bilinear", align_corners=False)[0]


def fill_unseen(
    frames: Float[Tensor, "view 3 height width"], opacity: Float[Tensor, "view height width"]
) -> Float[Tensor, "view 3 height width"]:
    """Pictures over black -> pictures whose unseen parts continue the colours around them (pull and push, Gortler et
    al. 1996): means of what was seen, at the finest scale that saw anything.

    >>> seen = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    >>> fill_unseen(0.5 * seen[:, None].expand(1, 3, 2, 2), seen)[0, 0].tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    color, weight = frames, opacity[:, None].clamp(0, 1)  # colours are premultiplied by opacity
    if min(frames.shape[-2:]) <= 1 or bool((weight > 0.999).all()):
        return color / weight.clamp_min(1e-6)
    half = [max(1, (side + 1) // 2) for side in frames.shape[-2:]]
    coarse_color, coarse_weight = (F.interpolate(x, half, mode="area") for x in (color, weight))
    below = fill_unseen(coarse_color, coarse_weight[:, 0])
    below = F.interpolate(below, frames.shape[-2:], mode="bilinear", align_corners=False)
    return color + (1 - weight) * below
