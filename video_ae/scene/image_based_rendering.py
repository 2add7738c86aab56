"""Image-based rendering in full size: geometry from structure codes, colours from the frames of the video.

The codes are small (their shorter side is that of the model's working images), the frames are not. A view is rendered
from the scene's codes; one that is far from their keyframes from a code of its own (views in a row that see nearly the
same share it), made of the few frames nearest to it, and from the scene's codes where those frames see nothing. Each of
its pixels, at the depth rendered there, is then looked up in its source views: frames of the video.
Where a source view sees that point (its own rendered depth agrees), its colour is taken; where none does, the rendering
stays, and what nothing has ever seen is filled in smoothly from around it. Where depth jumps from pixel to pixel, a
source view would be torn: edges that belong elsewhere would run along the tear, as thin lines on plain walls. There
the rendering stays as well.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.covisibility import viewpoint_distance
from video_ae.geometry.pinhole import MINIMUM_DEPTH, camera_rays, project, sample, transform
from video_ae.geometry.resize import even_size, resize_images, resize_maps
from video_ae.geometry.se3 import invert
from video_ae.scene.annotations import Reconstruction
from video_ae.scene.color_kernel import agree_rows, color_rows
from video_ae.scene.rendering import PartDone, render_chunks, to_bytes, unreported
from video_ae.scene.source import SHORTER_SIDE, FrameReader
from video_ae.types import Cameras, RenderedViews, Scene

AGREEMENT = 0.1  # of the disparity: spread of what counts as the same point
TEAR = 0.1  # pixels by which neighbours are looked up too far apart: spread of what counts as whole
RENDERED_WEIGHT = 0.1  # of the rendering beside source views that see a point
COVERAGE_SIDE = 48  # shorter side, in pixels, of the views in which it is looked for what is unseen
NEAR = 0.015  # image widths to the nearest keyframe within which its code shows as much as a code of the view
SHARED, MOST_SHARING = 0.015, 8  # image widths between the first and the last view that share a code; memory
GEOMETRY_SIDE = 144  # shorter side, in pixels, of the depth that colours are looked up by
NEAREST = 3  # source views of a view, where nobody chooses them
_FEATHER = 0.02  # of the image: width over which a source view fades out at its border
_SPREADS = np.array([AGREEMENT, TEAR, _FEATHER, MINIMUM_DEPTH], np.float32)
_KEPT = 16  # frames and depth maps in memory, since neighbouring views share them


@dataclass(frozen=True)
class ImageBasedRenderer:
    """Views of a scene at the size of its frames.

    Args:
        reconstruction: of a video.
        frame: reads a frame of the clip by its position, RGB in [0, 1], of any size.
        size: (width, height) of the images.
        inverse_depth: 1 / z seen by each frame (NaN where it is not known), where it has been rendered already.
    """

    reconstruction: Reconstruction
    frame: FrameReader
    size: tuple[int, int]
    inverse_depth: Float[Tensor, "frame rows columns"] | None = None

    def images(
        self, cameras: Cameras, source_views: Sequence[dict[int, float]] | None = None, progress: PartDone = unreported
    ) -> UInt8[Tensor, "view 3 height width"]:
        """All views of a path, as bytes.

        Args:
            cameras: of the views, in the scene's world.
            source_views: for each view, the positions of the frames that give it colour, with their weights; by
                default the three that see most alike.
            progress: called with the part done, from 0 to 1.
        """
        progress(0.0)
        distances = view_distances(self.reconstruction.scene, cameras)
        chosen = nearest_source_views(distances) if source_views is None else source_views
        width, height = self.size
        images, small = torch.empty(len(cameras), 3, height, width, dtype=torch.uint8), self._geometry_size
        for numbers, far in self._in_groups(cameras, distances):
            group = cameras.select(numbers)
            rendered = self._render_own_code(group, small) if far else self._render_codes(group, small)
            for i, number in enumerate(numbers):
                colored = self._colored(rendered.select([i]), cameras.select([number]), chosen[number])
                images[number] = to_bytes(colored[None])[0]
            progress((numbers[-1] + 1) / len(cameras))
        return images

    def _in_groups(self, cameras: Cameras, distances: Float[Tensor, "view frame"]) -> Iterator[tuple[list[int], bool]]:
        """Numbers of the views in their order, and whether they are far from all keyframes: far ones in a row that see
        nearly the same together, the others one by one. A single image has no parallax that a new code could use."""
        model, scene = self.reconstruction.model, self.reconstruction.scene
        own = model.encodes_views and len(scene.clip) > 1
        far = [own and bool(row[list(scene.keyframes)].min() > NEAR) for row in distances]
        group: list[int] = []
        for number in range(len(cameras)):
            fits = far[number] and len(group) < MOST_SHARING
            if group and not (fits and self._distance(cameras, group[0], number, distances) <= SHARED):
                yield group, True
                group = []
            if far[number]:
                group.append(number)
            else:
                yield [number], False
        if group:
            yield group, True

    def _distance(self, cameras: Cameras, first: int, second: int, distances: Float[Tensor, "view frame"]) -> float:
        """How differently two views see the scene, in image widths."""
        depth = self.reconstruction.scene.camera.median_inverse_depth.cpu()[distances[first].argmin()]
        one, other = (cameras.select([number]).to("cpu", torch.float32) for number in (first, second))
        return viewpoint_distance(one, depth[None], other).item()

    def coverage(self, cameras: Cameras) -> Float[Tensor, "view height width"]:
        """How much of small views any code has seen, 0 to 1.

        Args:
            cameras: of the views, in the scene's world.
        """
        size = even_size(self.size, COVERAGE_SIDE)
        return torch.cat([self._render_codes(cameras.select([i]), size).opacity for i in range(len(cameras))])

    @property
    def _geometry_size(self) -> tuple[int, int]:
        return even_size(self.size, GEOMETRY_SIDE)

    def _render_own_code(self, cameras: Cameras, size: tuple[int, int]) -> RenderedViews:
        """From a code of their own where its frames see something, from the scene's codes elsewhere."""
        scene = self.reconstruction.scene
        own = self.reconstruction.model.render_from_frames(scene, self._small_frame, cameras, size).to("cpu")
        if bool((own.opacity > 0.999).all()):
            return own
        whole, unseen = self._render_codes(cameras, size), 1 - own.opacity
        return RenderedViews(
            own.rgb + unseen[:, None] * whole.rgb,
            own.disparity + unseen * whole.disparity,
            own.opacity + unseen * whole.opacity,
        )

    def _render_codes(self, cameras: Cameras, size: tuple[int, int]) -> RenderedViews:
        return RenderedViews.cat(list(render_chunks(self.reconstruction, cameras, size)))

    @cached_property
    def _small_frame(self) -> FrameReader:
        """A frame by its position, at the size that codes are made from."""
        size = even_size(self.reconstruction.image_size, SHORTER_SIDE)
        return lru_cache(_KEPT)(lambda position: resize_images(self.frame(position), size))

    @cached_property
    def _inverse_depth_of(self) -> Callable[[int], Tensor]:
        """1 / z that a frame of the clip sees, by its position; NaN where it is not known."""
        if self.inverse_depth is not None:
            return self.inverse_depth.__getitem__
        return lru_cache(_KEPT)(
            lambda frame: self._render_codes(self._camera(frame), self._geometry_size).inverse_depth[0]
        )

    def _camera(self, frame: int) -> Cameras:
        return self.reconstruction.scene.cameras.select([frame]).to("cpu", torch.float32)

    def _colored(self, views: RenderedViews, camera: Cameras, weights: dict[int, float]) -> Tensor:
        """A rendered view in the colours of its source views."""
        known, base = views.inverse_depth[0], fill_unseen(views.rgb, views.opacity)[0]
        if not weights:
            return resize_maps(base, self.size)
        sources = Cameras.cat([self._camera(frame) for frame in weights])
        there = torch.stack([self._inverse_depth_of(frame) for frame in weights]).nan_to_num(0.0)
        frames = torch.stack([self.frame(frame) for frame in weights])
        view = camera.to("cpu", torch.float32)
        compiled = usable(known, base, frames)
        agreement = (_compiled_agreement if compiled else _agreement)(known, view, sources, there)
        for _ in range(2):  # nearly a Gaussian of two pixels
            agreement = F.avg_pool2d(agreement, 5, 1, 2, count_include_pad=False)
        agreement = agreement * torch.tensor(list(weights.values())).view(-1, 1, 1)
        return (_compiled_colors if compiled else _colors)(known, base, agreement, frames, view, sources, self.size)


def _agreement(known: Tensor, view: Cameras, sources: Cameras, there: Tensor) -> Float[Tensor, "source rows columns"]:
    """1 where a source view shows what a view sees in its pixels (`known` 1 / z), 0 where it does not; in soft steps.

    there: 1 / z that the sources see.
    """
    agreements, inverse_depth, steps = [], known.nan_to_num(0.0), _largest_step(known)
    for i in range(len(sources)):
        uv, depth = _reproject(view, sources.select([i]), inverse_depth)
        ratio = sample(there[i][None, None], uv[None], "border")[0, 0] * depth  # 1 where it sees the same point
        border = torch.minimum(uv, 1 - uv).amin(-1)
        # How far apart neighbours are looked up because their depths differ, whatever the cameras' rotation and zoom.
        nearer, _ = _reproject(view, sources.select([i]), 1.01 * inverse_depth)
        shift = (nearer - uv) * torch.tensor([known.shape[1], known.shape[0]])
        tear = shift.norm(dim=-1) / 0.01 * steps
        agreement = torch.exp(-0.5 * (((ratio - 1) / AGREEMENT).square() + (tear / TEAR).square()))
        agreements.append(agreement * (border / _FEATHER).clamp(0, 1) * (depth > 0) * known.isfinite())
    return torch.stack(agreements)


def _compiled_agreement(known: Tensor, view: Cameras, sources: Cameras, there: Tensor) -> Tensor:
    """The same by a compiled loop."""
    agreement = torch.empty(len(sources), *known.shape)
    inputs = arrays(known.nan_to_num(0.0), _largest_step(known), there)
    spread(agreement[..., 0].numel(), agree_rows, *inputs, *_seen_from(view, sources), _SPREADS, *arrays(agreement))
    return agreement


def _colors(
    known: Tensor, base: Tensor, agreement: Tensor, frames: Tensor, view: Cameras, sources: Cameras,
    size: tuple[int, int],
) -> Float[Tensor, "3 height width"]:  # fmt: skip
    """The rendered colours `base`, and those of the source views by their agreement."""
    inverse_depth = resize_maps(known.nan_to_num(0.0)[None], size)[0]
    seen = (resize_maps(known.isfinite().float()[None], size)[0] > 0.999).float()
    total, color = torch.full(inverse_depth.shape, RENDERED_WEIGHT), RENDERED_WEIGHT * resize_maps(base, size)
    for i, weight in enumerate(seen * resize_maps(agreement, size)):
        uv, _ = _reproject(view, sources.select([i]), inverse_depth)
        color = color + weight * sample(frames[i][None], uv[None], "border")[0]
        total = total + weight
    return color / total


def _compiled_colors(
    known: Tensor, base: Tensor, agreement: Tensor, frames: Tensor, view: Cameras, sources: Cameras,
    size: tuple[int, int],
) -> Float[Tensor, "3 height width"]:  # fmt: skip
    """The same by a compiled loop."""
    image = torch.empty(3, size[1], size[0])
    depth = torch.stack([known.nan_to_num(0.0), known.isfinite().float()])
    inputs = *arrays(depth, base, agreement, frames), *_seen_from(view, sources), RENDERED_WEIGHT, MINIMUM_DEPTH
    spread(size[1], color_rows, *inputs, *arrays(image))
    return image


def _seen_from(view: Cameras, sources: Cameras) -> list[Any]:
    """source_from_view of each source, and the intrinsics of the view and of the sources, for the kernels."""
    poses = invert(sources.world_from_camera) @ view.world_from_camera
    return arrays(poses, view.intrinsics[0], sources.intrinsics)


def nearest_source_views(distances: Float[Tensor, "view frame"]) -> list[dict[int, float]]:
    """For each view of a path, the frames that see most alike, weighted by nearness.

    Args:
        distances: as of `view_distances`.
    """
    source_views = []
    for row in distances:
        nearest = row.argsort()[:NEAREST].tolist()
        shares = {i: 1 / (row[i].item() + 0.02) ** 2 for i in nearest}
        total = sum(shares.values())
        source_views.append({i: share / total for i, share in shares.items()})
    return source_views


def view_distances(scene: Scene, path: Cameras) -> Float[Tensor, "view frame"]:
    """How differently each view of a path and each frame of a clip see a scene, in image widths.

    Args:
        scene: of a video.
        path: cameras of the views, in the scene's world.
    """
    frames = scene.cameras.to("cpu", torch.float32)
    return viewpoint_distance(frames, scene.camera.median_inverse_depth.cpu(), path.to("cpu", torch.float32)).T


def _reproject(
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


def fill_unseen(
    frames: Float[Tensor, "view 3 height width"], opacity: Float[Tensor, "view height width"]
) -> Float[Tensor, "view 3 height width"]:
    """Images whose unseen parts continue the colours around them: means of what was seen, at the finest scale that saw
    anything (pull and push, Gortler et al. 1996).

    Args:
        frames: colours times opacity, hence over black.
        opacity: 0 (nothing was seen) to 1.

    >>> seen = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    >>> fill_unseen(0.5 * seen[:, None].expand(1, 3, 2, 2), seen)[0, 0].tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    color, weight = frames, opacity[:, None].clamp(0, 1)
    if min(frames.shape[-2:]) <= 1 or bool((weight > 0.999).all()):
        return color / weight.clamp_min(1e-6)
    half = [max(1, (side + 1) // 2) for side in frames.shape[-2:]]
    coarse_color, coarse_weight = (F.interpolate(x, half, mode="area") for x in (color, weight))
    below = fill_unseen(coarse_color, coarse_weight[:, 0])
    return color + (1 - weight) * resize_maps(below, (frames.shape[-1], frames.shape[-2]))
