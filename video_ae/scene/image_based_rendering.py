"""Image-based rendering in full size: geometry from structure codes, colours from the frames of the video.

The codes are small, the frames are not. The depth that each frame sees is rendered from the codes once, and refined by
what its neighbours show (`depth_refinement`). A view is the few frames nearest to it, warped by their depth
(`forward_warping`); the scene's codes show what these do not see. Each of its pixels, at the depth found there, is then
looked up in its source views: frames of the video. Where a source view sees that point, its colour is taken; where none
does, the warped image stays, and what nothing has ever seen is filled in from around it. Where depth jumps from pixel
to pixel, a source view would be torn, with edges that belong elsewhere: there the warped image stays as well.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from video_ae.compiled import arrays, spread, usable
from video_ae.errors import UserError
from video_ae.geometry.bicubic import sample_bicubic, with_border
from video_ae.geometry.pinhole import MINIMUM_DEPTH
from video_ae.geometry.resize import as_floats, even_size, resize_maps
from video_ae.scene.annotations import Reconstruction, SolvedVideo
from video_ae.scene.color_correction import color_correction, exposure_steps, look_up, variance
from video_ae.scene.color_kernel import LEAST_WEIGHT, color_rows
from video_ae.scene.depth_agreement import for_kernels, reproject
from video_ae.scene.filling import fill_unseen
from video_ae.scene.forward_warping import warp_frames
from video_ae.scene.rendering import PartDone, render_views, to_bytes, unreported
from video_ae.scene.source import FrameReader, result_size
from video_ae.scene.source_frames import SourceFrames, nearest_source_views, view_distances
from video_ae.types import Cameras, RenderedViews

log = logging.getLogger(__name__)
RENDERED_WEIGHT = 0.01  # of the warped image beside source views that see a point
COVERAGE_SIDE = 48  # shorter side, in pixels, of the views in which it is looked for what is unseen
GEOMETRY_SIDE = 144  # shorter side, in pixels, of the depth that colours are looked up by
NEAREST = 3  # frames that are warped
UNSEEN, MOSTLY_UNSEEN = 0.01, 0.25  # of a view: from where on the codes are rendered, and in full geometry size
_CONFIRMED = 0.1  # sum of weights of the source views that agree, of 1: from here on a pixel counts as confirmed


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
            self._frames.read_in_order(_nearest_frames(distances[number]), sources)
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
            parts.append((self._frames.agreement(known, camera, sources).sum(0) > _CONFIRMED).float().mean())
        return torch.stack(parts)

    def coverage(self, cameras: Cameras) -> Float[Tensor, "view height width"]:
        """How much of small views any code has seen, 0 to 1.

        Args:
            cameras: of the views, in the scene's world.
        """
        size = even_size(self.size, COVERAGE_SIDE)
        single = [cameras.select([number]) for number in range(len(cameras))]
        return torch.cat([render_views(self.reconstruction, camera, size).opacity for camera in single])

    @property
    def _geometry_size(self) -> tuple[int, int]:
        return even_size(self.size, GEOMETRY_SIDE)

    def _warped(self, camera: Cameras, distances: Float[Tensor, "frame"]) -> RenderedViews:
        """A view of the frames nearest to it, and of the scene's codes where these see nothing.

        A single image has codes of more than its own pixels, and no frame that could confirm its depth.
        """
        if len(distances) == 1:
            return render_views(self.reconstruction, camera, self._geometry_size)
        nearest, frames = _nearest_frames(distances), self._frames
        shares = 1 / (distances[nearest] + 0.02) ** 2
        depth = torch.stack([frames.inverse_depth(frame) for frame in nearest])
        trust = torch.stack([frames.trust(frame) for frame in nearest])
        points = frames.colors(nearest), depth, trust, shares / shares.sum()
        views = warp_frames(*points, frames.cameras(nearest), camera, self._geometry_size)
        unseen = 1 - views.opacity
        missing = unseen.mean().item()
        if missing <= UNSEEN:
            return views
        side = GEOMETRY_SIDE if missing > MOSTLY_UNSEEN else GEOMETRY_SIDE // 2
        codes = render_views(self.reconstruction, camera, even_size(self.size, side))
        rgb, disparity, opacity = (resize_maps(one, self._geometry_size) for one in vars(codes).values())
        return RenderedViews(
            views.rgb + unseen[:, None] * rgb, views.disparity + unseen * disparity, views.opacity + unseen * opacity
        )

    @cached_property
    def _frames(self) -> SourceFrames:
        return SourceFrames(self.reconstruction, self.frame, self._geometry_size, self.inverse_depth)

    def _colored(
        self, views: RenderedViews, camera: Cameras, weights: dict[int, float]
    ) -> UInt8[Tensor, "3 height width"]:
        """A rendered view in the colours of its source views."""
        known, base = views.inverse_depth[0], fill_unseen(views.rgb, views.opacity)[0]
        if not weights:
            return to_bytes(resize_maps(base, self.size))
        frames = self._frames
        sources, agreement = frames.cameras(weights), frames.agreement(known, camera, weights)
        correction = exposure_steps(look_up(known, camera, frames.colors(weights), sources, agreement), agreement)
        if (spread_out := variance(weights, frames.distances)) > 0:
            errors = [frames.error(frame) for frame in weights]
            correction += color_correction(known, camera, errors, sources, agreement, spread_out)
        images = [self.frame(frame) for frame in weights]
        work = _compiled_colors if usable(known, base) else _colors
        return work(known, torch.cat([base, correction]), agreement, images, camera, sources, self.size)


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
