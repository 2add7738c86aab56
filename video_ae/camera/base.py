"""The contract of camera encoders: frames -> extrinsics, intrinsics, and how sure they are."""

from abc import ABC, abstractmethod

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from video_ae.types import CameraEstimate, LensOffset

Frames = Float[Tensor, "frame 3 height width"] | UInt8[Tensor, "frame 3 height width"]


class CameraEncoder(nn.Module, ABC):
    """Finds the cameras of clips from their frames alone."""

    @abstractmethod
    def solve(
        self,
        frames: Frames,
        focal_over_width: float | None = None,
        refine_steps: int = 0,
        expected_focal: float | None = None,
        constant_focal: bool = False,
    ) -> CameraEstimate:
        """The cameras of one clip. The first frame is the world, the mean inverse depth is 1.

        Args:
            frames: RGB in [0, 1] or bytes in 0 .. 255, in order.
            focal_over_width: the focal length where it is known, as fx / width; else it is found.
            refine_steps: rounds of refinement at a higher resolution and over wider gaps, which never raise the
                alignment cost; 0: feed-forward.
            expected_focal: a guess of the focal length, as fx / width, which counts where the frames do not tell.
            constant_focal: whether all frames have one focal length for sure; else refinement looks for a zoom.

        Returns:
            An estimate without batch axis.

        Raises:
            UserError: there are fewer than two frames.
        """

    def find_lens(self, frames: Frames, focal_over_width: float | None = None) -> LensOffset | None:
        """How the camera of a clip differs from a pinhole; None where it does not, or the encoder cannot tell.

        Args:
            frames: RGB in [0, 1] or bytes in 0 .. 255, in order.
            focal_over_width: the focal length where it is known, as fx / width.
        """
        return None

    def forward(
        self, frames: Float[Tensor, "batch frame 3 height width"], focal_over_width: float | None = None
    ) -> CameraEstimate:
        """The cameras of a batch of clips, each solved by itself, feed-forward.

        Args:
            frames: RGB in [0, 1].
            focal_over_width: as in `solve`, the same for all clips.
        """
        return CameraEstimate.stack([self.solve(clip, focal_over_width) for clip in frames])
