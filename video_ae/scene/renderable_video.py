"""A video whose scene was found, rendered: its own frames, and views along other paths."""

from dataclasses import dataclass
from functools import cached_property, partial

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.resize import even_size
from video_ae.geometry.trajectories import PATHS, scene_depth
from video_ae.scene.novel_path import novel_path
from video_ae.scene.rendering import CHUNK, PartDone, render_chunks, render_views, to_bytes, unreported
from video_ae.scene.solved_video import SolvedVideo
from video_ae.scene.source import check_size
from video_ae.steps import kept, scratch
from video_ae.tensor_records import TensorRecord
from video_ae.types import Cameras, RenderedViews

PATH_FRAMES = 96  # of a new path: four seconds


@dataclass(frozen=True)
class RenderedFrames(TensorRecord):
    """What the structure codes show from the cameras of the clip's own frames.

    Args:
        rgb: 0 .. 255, over black where nothing was seen.
        inverse_depth: 1 / z; NaN where too little was seen.
    """

    rgb: UInt8[Tensor, "frame 3 height width"]
    inverse_depth: Float32[Tensor, "frame height width"]


@dataclass(frozen=True, repr=False)
class RenderableVideo(SolvedVideo):
    """The same, seen from anywhere. Sizes are the shorter side of the images in pixels.

    Args:
        model, scene, source, folder: as in `SolvedVideo`.
    """

    def path(self, name: str, frames: int | None = None) -> Cameras:
        """Cameras along a path.

        Args:
            name: `input` (the video's own), or `orbit`, `spiral`, `dolly` about what the middle keyframe looks at.
            frames: its length; by default that of the video, and 96 for new paths.

        Raises:
            UserError: there is no path of this name.
        """
        if name not in PATHS:
            raise UserError(f"There is no path {name!r}: choose one of {', '.join(PATHS)}.")
        if name == "input":
            return PATHS[name](self._found, 1.0, frames, 0)
        reference = self.keyframes[len(self.keyframes) // 2]
        depth = scene_depth(self.scene.camera.inverse_depth[reference])
        return PATHS[name](self._found, depth, frames or PATH_FRAMES, reference)

    @cached_property
    def novel_path(self) -> Cameras:
        """The path of `novel_view.mp4`: the smoothed path of the video, swinging about it where frames allow it."""
        rendered: RenderedFrames | None = self.__dict__.get("_rendered")
        return novel_path(self, None if rendered is None else rendered.inverse_depth)

    def render(self, cameras: Cameras, size: int | None = None) -> RenderedViews:
        """Views on the CPU: `.rgb` in [0, 1], `.depth`, `.inverse_depth`, `.opacity`.

        `reconstruction.render(reconstruction.cameras.select([3]))` is the rendering of frame 3.

        Args:
            cameras: one or more, without batch axis.
            size: by default that of `frames`; at most the video's.

        Raises:
            UserError: the cameras have a batch axis or none of views, or the size is below 16.
        """
        views = render_views(self, cameras, self.size_of(size))
        return RenderedViews(views.rgb.clamp(0, 1), views.disparity, views.opacity)

    def render_path(
        self,
        path: str | Cameras = "orbit",
        frames: int | None = None,
        size: int | None = None,
        progress: PartDone = unreported,
    ) -> UInt8[Tensor, "view 3 height width"]:
        """Images along a path, as bytes; `video_ae.write_video` makes a video of them.

        Args:
            path: its name, or its cameras.
            frames: length of a path that is named, as in `path`.
            size: as in `render`.
            progress: called with the part done, from 0 to 1.

        Raises:
            UserError: as `path` and `render`.
        """
        cameras = self.path(path, frames) if isinstance(path, str) else path
        return torch.cat([to_bytes(one.rgb) for one in render_chunks(self, cameras, self.size_of(size), progress)])

    def size_of(self, size: int | None) -> tuple[int, int]:
        """The (width, height) of images whose shorter side is given; both are even.

        Args:
            size: by default that of `frames`.

        Raises:
            UserError: it is below 16.
        """
        check_size(size)
        return self.image_size if size is None else even_size(self.source.image_size, size)

    def render_frames(self, positions: list[int] | None = None, progress: PartDone = unreported) -> RenderedFrames:
        """The frames of the video, rendered from its structure; all of them are computed once.

        Args:
            positions: of some frames in the clip; None renders all.
            progress: called with the part done, from 0 to 1.
        """
        done: RenderedFrames | None = self.__dict__.get("_rendered")
        if done is not None:
            return done if positions is None else done[positions]
        cameras = self._found if positions is None else self._found.select(positions)
        count, (width, height) = len(cameras), self.image_size
        rendered = RenderedFrames(
            scratch((count, 3, height, width), torch.uint8), scratch((count, height, width), torch.float32)
        )
        for start in range(0, count, CHUNK):
            progress(start / count)
            chunk = slice(start, start + CHUNK)
            views = kept("views", partial(self._render_chunk, cameras.select(chunk)))
            rendered.rgb[chunk], rendered.inverse_depth[chunk] = views.rgb, views.inverse_depth
        progress(1.0)
        if positions is None:
            self.__dict__["_rendered"] = rendered
        return rendered

    def _render_chunk(self, cameras: Cameras) -> RenderedFrames:
        views = render_views(self, cameras, self.image_size)
        return RenderedFrames(to_bytes(views.rgb), views.inverse_depth)

    def depth_maps(self) -> Float32[Tensor, "frame height width"]:
        """z that each frame's camera sees, in the scale of the cameras; NaN where too little was seen."""
        inverse_depth = self.render_frames().inverse_depth
        return torch.reciprocal(inverse_depth, out=scratch(tuple(inverse_depth.shape), torch.float32))
