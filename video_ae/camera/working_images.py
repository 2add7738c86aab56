"""The frames of a clip at the sizes that its cameras are solved at."""

from jaxtyping import Float
from torch import Tensor, nn

from video_ae.camera.base import Frames
from video_ae.camera.frame_graph import FrameGraph
from video_ae.geometry.resize import resize_to_floats


class WorkingImages:
    """The frames of a clip at their working sizes; feature pyramids are made once a size.

    Args:
        frames: RGB in [0, 1] or bytes in 0 .. 255, in order; also an attribute.
        features: module from frames to feature maps.
        levels: of the feature pyramid.
        static: how far each part of the frames stays where it is, 0 to 1; None: all of them do. Also an attribute.
    """

    def __init__(self, frames: Frames, features: nn.Module, levels: int, static: Tensor | None = None) -> None:
        self.frames, self._features, self._levels, self.static = frames, features, levels, static
        self._graphs: dict[int, FrameGraph] = {}

    def select(self, kept: list[int]) -> "WorkingImages":
        """Some of the frames.

        Args:
            kept: their positions, rising.
        """
        if len(kept) == len(self.frames):
            return self
        static = None if self.static is None else self.static[kept]
        return WorkingImages(self.frames[kept], self._features, self._levels, static)

    def showing(self, static: Float[Tensor, "frame rows columns"]) -> "WorkingImages":
        """The same frames, of which some parts are left out.

        Args:
            static: how far each part stays where it is, 0 to 1.
        """
        return WorkingImages(self.frames, self._features, self._levels, static)

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
            small = resize_to_floats(self.frames, (max(8, round(width * ratio)), max(8, round(height * ratio))))
            self._graphs[size] = FrameGraph(small, self._features, self._levels, step, self.static)
        graph = self._graphs[size].with_step(step)
        return graph if frames is None else graph.part(frames)
