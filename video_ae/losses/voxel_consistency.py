"""The consistency of the voxels of all frames of a clip, up to the motion between them."""

from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.losses.base import LossTerm
from video_ae.types import ModelOutput, VideoClip


class VoxelConsistency(LossTerm):
    """Mean absolute difference between the first frame's voxels, warped by the chain of frame-to-frame motions, and
    each later frame's own (arXiv 2110.02951, section 3.3). Gradients reach both, as in the authors' code.

    It reads the extras "carried_voxels" and "voxels".

    Args:
        weight: factor of the term in the sum of a run's terms.

    Raises:
        UserError: the model has no voxels of two or more frames.
    """

    def forward(self, output: ModelOutput, clip: VideoClip) -> Float[Tensor, ""]:
        carried, own = output.extras.get("carried_voxels"), output.extras.get("voxels")
        if carried is None or own is None:
            raise UserError(
                "VoxelConsistency needs the voxels of two or more frames: use it with PaperVideoAutoencoder and clips "
                "of at least 2 frames."
            )
        return (carried - own).abs().mean()
