"""The frames of a clip at the sizes that its cameras are solved at."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.camera.base import Frames
from video_ae.camera.features import AT_ONCE
from video_ae.camera.frame_graph import FrameGraph
from video_ae.geometry.resize import resize_maps, resize_to_floats
from video_ae.geometry.zoom import magnified, shown_part
from video_ae.steps import scratch


class WorkingImages:
    """The frames of a clip at their working sizes; feature pyramids are made once a size.

    Args:
        frames: RGB in [0, 1] or bytes in 0 .. 255, in order; also an attribute.
        features: module from frames to feature maps.
        levels: of the feature pyramid.
        static: how far each part of the frames stays where it is, 0 to 1; None: all of them do. Also an attribute.
        shown: 1 where the frames show something, and 0 beyond their borders; None: they do everywhere.
    """

    def __init__(
        self,
        frames: Frames,
        features: nn.Module,
        levels: int,
        static: Tensor | None = None,
        shown: Float[Tensor, "frame height width"] | None = None,
    ) -> None:
        self.frames, self._features, self._levels, self.static, self._shown = frames, features, levels, static, shown
        self._graphs: dict[int, FrameGraph] = {}

    def select(self, kept: list[int]) -> "WorkingImages":
        """Some of the frames.

        Args:
            kept: their positions, rising.
        """
        if len(kept) == len(self.frames):
            return self
        static, shown = (None if maps is None else maps[kept] for maps in (self.static, self._shown))
        return WorkingImages(self.frames[kept], self._features, self._levels, static, shown)

    def showing(self, static: Float[Tensor, "frame rows columns"]) -> "WorkingImages":
        """The same frames, of which some parts are left out.

        Args:
            static: how far each part stays where it is, 0 to 1.
        """
        return WorkingImages(self.frames, self._features, self._levels, static, self._shown)

    def without_zoom(self, zoom: Float[Tensor, "frame"]) -> "WorkingImages":
        """The same frames as if none had zoomed.

        Args:
            zoom: logarithm of the focal length of each over that of all.
        """
        factor, (height, width) = (-zoom).exp().to(torch.float32), self.frames.shape[-2:]
        frames, shown = magnified(self.frames, factor), shown_part(factor, (width, height))
        return WorkingImages(frames, self._features, self._levels, self.static, shown)

    def graph(self, size: int, step: int, frames: list[int] | None = None) -> FrameGraph:
        """The frame graph of some frames.

        Args:
            size: of their shorter side, in pixels.
            step: distance of the points, in pixels.
            frames: their positions; None takes all.
        """
        if size not in self._graphs:
            height, width = self.frames.shape[-2:]
            ratio = size / min(height, width)
            width, height = max(8, round(width * ratio)), max(8, round(height * ratio))
            small = scratch((len(self.frames), 3, height, width), torch.float32, self.frames.device)
            for own, part in zip(small.split(AT_ONCE), self.frames.split(AT_ONCE), strict=True):
                own.copy_(resize_to_floats(part, (width, height)))
            self._graphs[size] = FrameGraph(small, self._features, self._levels, step, self._counting(small))
        graph = self._graphs[size].with_step(step)
        return graph if frames is None else graph.part(frames)

    def _counting(self, small: Tensor) -> Tensor | None:
        """How far each part of the frames counts, at a working size; None: all of them do."""
        if self._shown is None:
            return self.static
        size = small.shape[-1], small.shape[-2]
        shown = resize_maps(self._shown[:, None], size)[:, 0]
        return shown if self.static is None else shown * resize_maps(self.static[:, None], size)[:, 0]
