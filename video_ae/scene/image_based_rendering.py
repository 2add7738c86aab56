"""Pictures of a scene in full size: geometry from codes, colours from the frames where these see the same point.

The codes are small (their shorter side is that of the model's working pictures), the frames are not. A view is rendered
from a code of its own, made of the few frames nearest to it, and from the scene's codes where those frames see nothing;
each of its pixels, at the depth rendered there, is then looked up in the frames that are named for it.
Where a frame sees that point (its own rendered depth agrees), its colour is taken; where none does, the rendering
stays, and what nothing has ever seen is filled in smoothly from around it. Where depth jumps from pixel to pixel, a
picture of the frame would be torn: edges that belong elsewhere would run along the tear, as thin lines on plain walls.
There the rendering stays as well.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.geometry.covisibility import viewpoint_distance
from video_ae.geometry.pinhole import camera_rays, project, sample, transform
from video_ae.geometry.se3 import invert
from video_ae.pipelines.inputs import SHORTER_SIDE
from video_ae.scene.exporters import known_inverse_depth
from video_ae.scene.rendering import RendersFromFrames, SceneModel, even_size, to_bytes
from video_ae.types import Cameras, RenderedViews, Scene

AGREEMENT = 0.1  # of the disparity: spread of what counts as the same point
TEAR = 0.1  # pixels by which neighbours are looked up too far apart: spread of what counts as whole
RENDERED_WEIGHT = 0.1  # of the rendering beside frames that see a point
NEAREST = 3  # frames that give a view its colours where nobody says which
_FEATHER = 0.02  # of the picture: width over which a frame fades out at its border


@dataclass(frozen=True)
class ImageBasedRenderer:
    """Views of a scene in the size of its frames.

    frame: reads one frame of the clip by its position, RGB in [0, 1], any size.
    size: (width, height) of the pictures. inverse_depth: 1 / z that each frame of the clip sees (NaN: not known), where
    somebody has rendered it already.
    """

    model: SceneModel
    scene: Scene
    frame: Callable[[int], Float[Tensor, "3 height width"]]
    size: tuple[int, int]
    inverse_depth: Float[Tensor, "frame rows columns"] | None = None
    _depths: dict[int, Tensor] = field(default_factory=dict)
    _small: dict[int, Tensor] = field(default_factory=dict)

    def pictures(
        self,
        cameras: Cameras,
        sources: Sequence[dict[int, float]] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> UInt8[Tensor, "view 3 height width"]:
        """All views of a path (cameras without batch axis), RGB in 0 .. 255.

        sources: for each view the positions of the frames that give it colour, with their weights; those that see most
        alike where nobody says which.
        """
        sources = nearest_sources(self.scene, cameras) if sources is None else sources
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
            yield self._render_anew(cameras.select([number]), size)

    def _render_anew(self, camera: Cameras, size: tuple[int, int]) -> RenderedViews:
        """From a code of its own where its frames see something, from the scene's codes elsewhere. A single picture has
        no parallax that a new code could use."""
        if len(self.scene.clip) < 2 or not isinstance(self.model, RendersFromFrames):
            return self._render(camera, size)
        own = on_cpu(self.model.render_from_frames(self.scene, self._small_frame, camera, size))
        if bool((own.opacity > 0.999).all()):
            return own
        whole, unseen = self._render(camera, size), 1 - own.opacity
        return RenderedViews(
            own.frames + unseen[:, :, None] * whole.frames,
            own.disparity + unseen * whole.disparity,
            own.opacity + unseen * whole.opacity,
        )

    def _small_frame(self, position: int) -> Tensor:
        """A frame as the codes are made from it; the latest few are kept, since neighbouring views share them."""
        if position not in self._small:
            if len(self._small) >= 16:
                self._small.pop(next(iter(self._small)))
            frame, size = self.frame(position), even_size(self.scene.clip.image_size, SHORTER_SIDE)
            self._small[position] = F.interpolate(frame[None], size[::-1], mode="bilinear", antialias=True)[0]
        return self._small[position]

    def _render(self, camera: Cameras, size: tuple[int, int]) -> RenderedViews:
        device = self.scene.camera.confidence.device
        with torch.no_grad():
            views = self.model.render(self.scene, camera.to(device, torch.float32), size)
        return on_cpu(views)

    def _depth_of(self, frame: int) -> Float[Tensor, "rows columns"]:
        """1 / z that a frame of the clip sees; NaN where it is not known."""
        if self.inverse_depth is not None:
            return self.inverse_depth[frame]
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
        known = known_inverse_depth(views.disparity[0], views.opacity[0])[0]
        inverse_depth = _resized(known.nan_to_num(0.0)[None], self.size)[0]
        seen = (_resized(known.isfinite().float()[None], self.size)[0] > 0.999).float()
        total = torch.full((height, width), RENDERED_WEIGHT)
        color = RENDERED_WEIGHT * _resized(fill_unseen(views.frames[0], views.opacity[0])[0], self.size)
        for frame, share in sources.items():
            place, _ = _looked_up_at(camera, self._camera(frame), inverse_depth)
            weight = share * seen * _resized(self._trust(frame, camera, known)[None], self.size)[0]
            color = color + weight * sample(self.frame(frame)[None], place[None], "border")[0]
            total = total + weight
        return color / total

    def _trust(self, frame: int, camera: Cameras, known: Float[Tensor, "rows columns"]) -> Tensor:
        """1 where a frame shows what a view sees in its pixels (`known` 1 / z), 0 where it does not; in soft steps."""
        own, inverse_depth = self._camera(frame), known.nan_to_num(0.0)
        place, depth = _looked_up_at(camera, own, inverse_depth)
        there = self._depth_of(frame).nan_to_num(0.0)
        ratio = sample(there[None, None], place[None], "border")[0, 0] * depth  # 1 where the frame sees the same point
        border = torch.minimum(place, 1 - place).amin(-1)
        # How far apart neighbours are looked up because their depths differ, whatever the cameras' turn and zoom.
        nearer, _ = _looked_up_at(camera, own, 1.01 * inverse_depth)
        shift = (nearer - place) * torch.tensor([known.shape[1], known.shape[0]])
        tear = shift.norm(dim=-1) / 0.01 * _largest_step(known)
        trust = torch.exp(-0.5 * (((ratio - 1) / AGREEMENT).square() + (tear / TEAR).square()))
        trust = trust * (border / _FEATHER).clamp(0, 1) * (depth > 0) * known.isfinite()
        for _ in range(2):  # nearly a Gaussian of two pixels
            trust = F.avg_pool2d(trust[None, None], 5, 1, 2, count_include_pad=False)[0, 0]
        return trust


def on_cpu(views: RenderedViews) -> RenderedViews:
    return RenderedViews(views.frames.cpu(), views.disparity.cpu(), views.opacity.cpu())


def nearest_sources(scene: Scene, path: Cameras) -> list[dict[int, float]]:
    """For each view of a path (no batch axis) the frames of a scene that see most alike, weighted by nearness."""
    sources = []
    for distances in viewpoint_distances(scene, path):
        nearest = distances.argsort()[:NEAREST].tolist()
        shares = {i: 1 / (distances[i].item() + 0.02) ** 2 for i in nearest}
        total = sum(shares.values())
        sources.append({i: share / total for i, share in shares.items()})
    return sources


def viewpoint_distances(scene: Scene, path: Cameras) -> Float[Tensor, "view frame"]:
    """How differently each view of a path (no batch axis) and each frame of a clip see a scene, in picture widths."""
    found = scene.camera.cameras
    frames = Cameras(found.world_from_camera[0], found.intrinsics[0]).to("cpu", torch.float32)
    typical = scene.camera.inverse_depth[0].cpu().flatten(1).median(1).values
    return viewpoint_distance(frames, typical, path.to("cpu", torch.float32)).T


def _looked_up_at(
    camera: Cameras, other: Cameras, inverse_depth: Float[Tensor, "rows columns"]
) -> tuple[Float[Tensor, "rows columns 2"], Float[Tensor, "rows columns"]]:
    """(image coordinates, z) in another camera (both of one frame) of what a camera sees in all of its pixels."""
    rays = camera_rays(camera.intrinsics[0], *inverse_depth.shape)
    points = transform(camera.world_from_camera[0], rays / inverse_depth.clamp_min(1e-4)[..., None])
    local = transform(invert(other.world_from_camera[0]), points)
    return project(local, other.intrinsics[0].expand(*inverse_depth.shape, 4)), local[..., 2]


def _largest_step(known: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """The largest relative step to the four neighbours whose depth is known, less what a slanted surface explains."""
    logarithm = known.clamp_min(1e-4).log()
    across, down = (_less_mean(logarithm.diff(dim=axis).nan_to_num(0.0)) for axis in (1, 0))
    sides = [F.pad(across, (0, 1)), F.pad(across, (1, 0)), F.pad(down, (0, 0, 0, 1)), F.pad(down, (0, 0, 1, 0))]
    return torch.stack(sides).amax(0)


def _less_mean(steps: Float[Tensor, "rows columns"], side: int = 9) -> Float[Tensor, "rows columns"]:
    """How far steps are from their mean over `side` x `side` pixels."""
    mean = F.avg_pool2d(steps[None, None], side, 1, side // 2, count_include_pad=False)[0, 0]
    return (steps - mean).abs()


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
