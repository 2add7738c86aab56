"""The contract of structure encoders."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from video_ae.types import Cameras, MultiplaneVolume


class StructureEncoder(nn.Module, ABC):
    """Frames with known cameras -> the multiplane volume of a reference camera."""

    @abstractmethod
    def forward(
        self,
        frames: Float[Tensor, "batch context 3 height width"],
        cameras: Cameras,
        reference: Cameras,
        inverse_depth: Float[Tensor, "batch plane"],
        size: tuple[int, int] | None = None,
        sfm_depth: Float[Tensor, "batch context rows columns"] | None = None,
    ) -> MultiplaneVolume:
        """The volume in the frustum of the reference camera.

        Args:
            frames: RGB of the context frames, in [0, 1].
            cameras: their cameras.
            reference: one camera per batch item, which may be a context's or another one.
            inverse_depth: 1 / z of the planes in the reference camera's axes, nearest first.
            size: (columns, rows) of the volume in voxels; by default (width, height) of the frames.
            sfm_depth: coarse 1 / z of the context frames, found together with the cameras; encoders may ignore it.
        """
