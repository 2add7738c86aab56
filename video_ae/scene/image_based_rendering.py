"""Image-based rendering in full size: geometry from structure codes, colours from the frames of the video.

The codes are small (their shorter side is that of the model's working images), the frames are not. The depth that each
frame sees is rendered from the codes once. A view is the few frames nearest to it, warped by their depth
(`forward_warping`); the scene's codes show what these do not see. Each of its pixels, at the depth found there, is then
looked up in its source views: frames of the video. Where a source view sees that point (its own depth agrees), its
colour is taken; where none does, the warped image stays, and what nothing has ever seen is filled in smoothly from
around it. Where depth jumps from pixel to pixel, a source view would be torn: edges that belong elsewhere would run
along the tear, as thin lines on plain walls. There the warped image stays as well.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.errors import UserError
from video_ae.geometry.bicubic import sample_bicubic, with_border
from video_ae.geometry.box_mean import box_mean
from video_ae.geometry.covisibility import viewpoint_distance
from video_ae.geometry.pinhole import MINIMUM_DEPTH
from video_ae.geometry.resize import as_floats, even_size, resize_images, resize_maps
from video_ae.scene.annotations import Reconstruction, SolvedVideo
from video_ae.scene.color_correction import (
    ColorError,
    color_correction,
    color_error,
    exposure_steps,
    look_up,
    mean_square,
    variance,
)
from video_ae.scene.color_kernel import LEAST_WEIGHT, color_rows
from video_ae.scene.depth_agreement import depth_agreement, for_kernels, reproject
from video_ae.scene.filling import fill_unseen
from video_ae.scene.forward_warping import warp_frames
from video_ae.scene.rendering import PartDone, render_chunks, to_bytes, unreported
from video_ae.scene.source import FrameReader, result_size
from video_ae.types import Cameras, RenderedViews, Scene

log = logging.getLogger(__name__)
AGREEMENT = 0.1  # of the disparity: spread of what counts as the same point
TEAR = 0.1  # pixels by which neighbours are looked up too far apart: spread of what counts as whole
RENDERED_WEIGHT = 0.01  # of the warped image beside source views that see a point
COVERAGE_SIDE = 48  # shorter side, in pixels, of the views in which it is looked for what is unseen
GEOMETRY_SIDE = 144  # shorter side, in pixels, of the depth that colours are looked up by
NEAREST = 3  # frames that are warped
SOURCES, SHARPNESS = 4, 3  # source views where nobody chooses them, and the power of nearness by which they count
UNSEEN, MOSTLY_UNSEEN = 0.01, 0.25  # of a view: from where on the codes are rendered, and in full geometry size
_SAME, _TEAR = 0.05, 0.3  # as AGREEMENT and TEAR, between depth maps of frames
_ANY = 1e6  # for neither of them: tells whether a point lies inside the other frame at all
_CONFIRMED = 0.1  # sum of weights of the source views that agree, of 1: from here on a pixel counts as confirmed
_PRIOR = 0.5  # frames that see a point and half agree, beside those that there are
_KEPT = 48  # frames and depth maps in memory, since neighbouring views share them


@dataclass(frozen=True)
class ImageBasedRenderer:
    """Views of a scene at the size of its frames.

    Args:
        reconstruction: of a video.
        frame: reads a frame of the clip by its position, of any size.
        size: (width, height) of the images.
        inverse_depth: 1 / z seen by each frame (NaN where it is not known), where it has been rendered already.
    """

    reconstruction: SolvedVideo
    frame: FrameReader
    size: tuple[int, int]
    inverse_depth: Float[Tensor, "frame rows columns"] | None = None

    @classmethod
    def of(cls, reconstruction: Reconstruction, size: int | None = None) -> "ImageBasedRenderer":
        """Views in the colours of the video, at its size.

        Where the video of a loaded reconstruction is gone, the small frames that were kept beside it take its place.

        Args:
            reconstruction: of a video.
            size: shorter side in pixels, as in `result_size`; by default that of the frames, at most 1080.

        Raises:
            UserError: the video is gone, and so are the small frames.
        """
        shape = result_size(reconstruction.source.image_size, size)
        try:
            return cls(reconstruction, reconstruction.source_reader(shape), shape)
        except UserError as error:
            small = reconstruction.need_frame_reader()
            reason = str(error).rpartition(": ")[0]  # without the advice
            log.warning("%s, so views take the small frames beside %s", reason, reconstruction.folder)
            return cls(reconstruction, small, reconstruction.image_size if size is None else shape)

    def images(
        self, cameras: Cameras, source_views: Sequence[dict[int, float]] | None = None, progress: PartDone = unreported
    ) -> Iterator[UInt8[Tensor, "3 height width"]]:
        """The views of a path one after another, as bytes: each is made when it is asked for.

        Args:
            cameras: of the views, in the scene's world.
            source_views: for each view, the positions of the frames that give it colour, with their weights; by
                default the four that see most alike.
            progress: called with the part done, from 0 to 1.
        """
        progress(0.0)
        distances = view_distances(self.reconstruction.scene, cameras)
        chosen = nearest_source_views(distances) if source_views is None else source_views
        for number, sources in enumerate(chosen):
            self._read_in_order(_nearest_frames(distances[number]), sources)
            camera = cameras.select([number]).to("cpu", torch.float32)
            yield self._colored(self._warped(camera, distances[number]), camera, sources)
            progress((number + 1) / len(cameras))

    def confirmed(self, cameras: Cameras) -> Float[Tensor, "view"]:
        """The part of each view, 0 to 1, that its source views confirm: they see what is found there.

        The rest is what no frame shows, or what the depth maps of frames disagree about: there a view is torn or soft.

        Args:
            cameras: of the views, in the scene's world.
        """
        distances = view_distances(self.reconstruction.scene, cameras)
        parts = []
        for number, sources in enumerate(nearest_source_views(distances)):
            camera = cameras.select([number]).to("cpu", torch.float32)
            known = self._warped(camera, distances[number]).inverse_depth[0]
            parts.append((self._agreement(known, camera, sources).sum(0) > _CONFIRMED).float().mean())
        return torch.stack(parts)

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

    def _warped(self, camera: Cameras, distances: Float[Tensor, "frame"]) -> RenderedViews:
        """A view of the frames nearest to it, and of the scene's codes where these see nothing.

        A single image has codes of more than its own pixels, and no frame that could confirm its depth.
        """
        if len(distances) == 1:
            return self._render_codes(camera, self._geometry_size)
        frames = _nearest_frames(distances)
        shares = 1 / (distances[frames] + 0.02) ** 2
        colors, depth, trust = zip(*(self._points_of(frame) for frame in frames), strict=True)
        sources = self._cameras(frames)
        points = torch.stack(colors), torch.stack(depth), torch.stack(trust)
        views = warp_frames(*points, shares / shares.sum(), sources, camera, self._geometry_size)
        unseen = 1 - views.opacity
        missing = unseen.mean().item()
        if missing <= UNSEEN:
            return views
        side = GEOMETRY_SIDE if missing > MOSTLY_UNSEEN else GEOMETRY_SIDE // 2
        codes = self._render_codes(camera, even_size(self.size, side))
        rgb, disparity, opacity = (resize_maps(one, self._geometry_size) for one in vars(codes).values())
        return RenderedViews(
            views.rgb + unseen[:, None] * rgb, views.disparity + unseen * disparity, views.opacity + unseen * opacity
        )

    def _read_in_order(self, nearest: Iterable[int], sources: Iterable[int]) -> None:
        """Reads what a view needs in the order of the video: a jump back costs hundreds of frames in a long one."""
        small = {other for frame in sources for other in self._beside(frame)}.union(nearest, sources)
        for frame in sorted(small):
            self._small(frame)
            if frame in sources:
                self.frame(frame)

    def _render_codes(self, cameras: Cameras, size: tuple[int, int]) -> RenderedViews:
        return RenderedViews.cat(list(render_chunks(self.reconstruction, cameras, size)))

    @cached_property
    def _points_of(self) -> Callable[[int], tuple[Tensor, Tensor, Tensor]]:
        """Colours, 1 / z and trust of what a frame sees, by its position, in the size of its depth map."""

        def points(frame: int) -> tuple[Tensor, Tensor, Tensor]:
            return self._small(frame), self._inverse_depth_of(frame), self._compared(frame).trust

        return lru_cache(_KEPT)(points)

    @cached_property
    def _compared(self) -> Callable[[int], "_Compared"]:
        """A frame of the clip beside those that see most alike, by its position."""

        def compared(frame: int) -> _Compared:
            weights = self._beside(frame)
            known, there = self._inverse_depth_of(frame), self._inverse_depths_of(weights)
            view = known, self._camera(frame), there, self._cameras(weights)
            agreeing, seeing, shown = depth_agreement(*view, [(_SAME, _TEAR), (_ANY, _ANY), (AGREEMENT, TEAR)])
            trust = _smoothed(((agreeing.sum(0) + _PRIOR / 2) / (seeing.sum(0) + _PRIOR))[None])[0]
            return _Compared(trust, weights, _weighted(shown, weights), mean_square(weights, self._distances_of(frame)))

        return lru_cache(2 * SOURCES)(compared)

    @cached_property
    def _beside(self) -> Callable[[int], dict[int, float]]:
        """The other frames that see most as a frame does, by position, with their weights."""

        def beside(frame: int) -> dict[int, float]:
            distances = self._distances_of(frame)
            if len(distances) == 1:
                return {}
            weights = nearest_source_views(distances.index_fill(0, torch.tensor(frame), math.inf)[None])[0]
            weights.pop(frame, None)  # of few frames
            return weights

        return lru_cache(_KEPT)(beside)

    @cached_property
    def _small(self) -> Callable[[int], Tensor]:
        """A frame of the clip in the size of its depth map, by its position."""

        def small(frame: int) -> Tensor:
            rows, columns = self._inverse_depth_of(frame).shape
            return as_floats(resize_images(self.frame(frame), (columns, rows)))

        return lru_cache(_KEPT)(small)

    @cached_property
    def _error_of(self) -> Callable[[int], ColorError]:
        """What the nearest other frames get wrong of a frame, by its position."""

        def error(frame: int) -> ColorError:
            beside, known = self._compared(frame), self._inverse_depth_of(frame)
            view = known, self._camera(frame), self._smalls(beside.weights), self._cameras(beside.weights)
            others = look_up(*view, beside.agreement)
            return ColorError(color_error(self._small(frame), others, beside.agreement), beside.spread)

        return lru_cache(_KEPT)(error)

    @cached_property
    def _distances_of(self) -> Callable[[int], Tensor]:
        """How differently a frame of the clip and all others see the scene, by its position."""
        scene = self.reconstruction.scene
        return lru_cache(_KEPT)(lambda frame: view_distances(scene, self._camera(frame))[0])

    @cached_property
    def _inverse_depth_of(self) -> Callable[[int], Tensor]:
        """1 / z that a frame of the clip sees, by its position; NaN where it is not known."""
        if self.inverse_depth is not None:
            return self.inverse_depth.__getitem__
        return lru_cache(_KEPT)(
            lambda frame: self._render_codes(self._camera(frame), self._geometry_size).inverse_depth[0]
        )

    def _smalls(self, frames: Iterable[int]) -> Tensor:
        return torch.stack([self._small(frame) for frame in frames])

    def _inverse_depths_of(self, frames: Iterable[int]) -> Tensor:
        return torch.stack([self._inverse_depth_of(frame) for frame in frames])

    @cached_property
    def _all_cameras(self) -> Cameras:
        return self.reconstruction.scene.cameras.to("cpu", torch.float32)

    def _camera(self, frame: int) -> Cameras:
        return self._all_cameras.select([frame])

    def _cameras(self, frames: Iterable[int]) -> Cameras:
        return self._all_cameras.select(list(frames))

    def _agreement(self, known: Tensor, camera: Cameras, weights: dict[int, float]) -> Tensor:
        """How far the source views of a view show what it sees, times their weights."""
        there, sources = self._inverse_depths_of(weights), self._cameras(weights)
        return _weighted(depth_agreement(known, camera, there, sources, [(AGREEMENT, TEAR)])[0], weights)

    def _colored(
        self, views: RenderedViews, camera: Cameras, weights: dict[int, float]
    ) -> UInt8[Tensor, "3 height width"]:
        """A rendered view in the colours of its source views."""
        known, base = views.inverse_depth[0], fill_unseen(views.rgb, views.opacity)[0]
        if not weights:
            return to_bytes(resize_maps(base, self.size))
        sources = self._cameras(weights)
        agreement = self._agreement(known, camera, weights)
        correction = exposure_steps(look_up(known, camera, self._smalls(weights), sources, agreement), agreement)
        if (spread_out := variance(weights, self._distances_of)) > 0:
            errors = [self._error_of(frame) for frame in weights]
            correction += color_correction(known, camera, errors, sources, agreement, spread_out)
        frames = [self.frame(frame) for frame in weights]
        work = _compiled_colors if usable(known, base) else _colors
        return work(known, torch.cat([base, correction]), agreement, frames, camera, sources, self.size)


@dataclass(frozen=True)
class _Compared:
    """A frame beside its neighbours.

    Args:
        trust: how far their depth maps agree with its own.
        weights: theirs, by position.
        agreement: how far each shows what the frame sees, times its weight.
        spread: as in `mean_square`.
    """

    trust: Float[Tensor, "rows columns"]
    weights: dict[int, float]
    agreement: Float[Tensor, "source rows columns"]
    spread: float


def _weighted(
    agreement: Float[Tensor, "source rows columns"], weights: dict[int, float]
) -> Float[Tensor, "source rows columns"]:
    """How far source views show what a view sees, without steps, times their weights."""
    return _smoothed(agreement) * torch.tensor(list(weights.values())).view(-1, 1, 1)


def _smoothed(maps: Float[Tensor, "map rows columns"]) -> Float[Tensor, "map rows columns"]:
    """Blurred by nearly a Gaussian of two pixels; at the border the mean is of what lies inside."""
    return box_mean(box_mean(maps, 2), 2)


def _colors(
    known: Tensor, base: Tensor, agreement: Tensor, frames: Sequence[Tensor], view: Cameras, sources: Cameras,
    size: tuple[int, int],
) -> UInt8[Tensor, "3 height width"]:  # fmt: skip
    """The rendered colours, first of `base`, and those of the source views by their agreement; last, what is added."""
    inverse_depth = resize_maps(known.nan_to_num(0.0)[None], size)[0]
    seen = (resize_maps(known.isfinite().float()[None], size)[0] > 0.999).float()
    rendered, correction = resize_maps(base, size).split(3)
    total, color = torch.full(inverse_depth.shape, RENDERED_WEIGHT), RENDERED_WEIGHT * rendered
    for i, weight in enumerate(seen * resize_maps(agreement, size)):
        weight = weight * (weight > LEAST_WEIGHT)
        uv, _ = reproject(view, sources.select([i]), inverse_depth)
        color = color + weight * sample_bicubic(as_floats(frames[i][None]), uv[None])[0]
        total = total + weight
    return to_bytes(color / total + correction)


def _compiled_colors(
    known: Tensor, base: Tensor, agreement: Tensor, frames: Sequence[Tensor], view: Cameras, sources: Cameras,
    size: tuple[int, int],
) -> UInt8[Tensor, "3 height width"]:  # fmt: skip
    """The same by a compiled loop."""
    image = torch.empty(size[1], size[0], 3, dtype=torch.uint8)
    depth = torch.stack([known.nan_to_num(0.0), known.isfinite().float()])
    maps, own_size = torch.cat([depth, base, agreement]), (frames[0].shape[2], frames[0].shape[1])
    inputs = *arrays(maps, with_border(frames)), *own_size, *for_kernels(view, sources)
    spread(size[1], color_rows, *inputs, RENDERED_WEIGHT, MINIMUM_DEPTH, *arrays(image))
    return image.permute(2, 0, 1)


def _nearest_frames(distances: Float[Tensor, "frame"]) -> list[int]:
    """The frames that are warped into a view of these distances from all frames, nearest first."""
    return distances.argsort()[:NEAREST].tolist()


def nearest_source_views(distances: Float[Tensor, "view frame"]) -> list[dict[int, float]]:
    """For each view of a path, the frames that see most alike, weighted by nearness.

    Args:
        distances: as of `view_distances`.
    """
    source_views = []
    for row in distances:
        nearest = row.argsort()[:SOURCES].tolist()
        shares = {i: 1 / (row[i].item() + 0.02) ** SHARPNESS for i in nearest}
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
