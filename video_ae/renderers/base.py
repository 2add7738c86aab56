"""The contract of renderers."""

from abc import ABC, abstractmethod

from torch import nn

from video_ae.types import Cameras, MultiplaneVolume, RenderedViews


class Renderer(nn.Module, ABC):
    """A multiplane volume and cameras -> views."""

    @abstractmethod
    def forward(self, volume: MultiplaneVolume, views: Cameras, height: int, width: int) -> RenderedViews:
        """The volume as the cameras see it, over black where they see nothing.

        Args:
            volume: the 3D structure.
            views: any number of cameras per batch item.
            height, width: of the rendered views, in pixels.
        """
