"""Whether a method's covariances describe its errors."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.evaluation.metrics.pose_errors import Poses
from video_ae.geometry.se3 import invert, relative_to_first, se3_log
from video_ae.geometry.umeyama import align

CHI_SQUARED_90 = {3: 6.2514, 6: 10.6446}  # 90 % of a chi-squared variable with that many degrees of freedom lies below


def normalised_errors(
    found: Poses, true: Poses, covariance: Float[Tensor, "frame 6 6"], dimensions: int = 6
) -> Float[Tensor, "later"]:
    """Squared Mahalanobis lengths of the poses' errors, relative to the first frame; that frame is left out.

    The truth is brought to the scale of the found path by least squares. Singular covariances count by their
    pseudo-inverse.

    Args:
        found, true: `world_from_camera` of the same frames.
        covariance: of the left twist of `camera_from_world` (rotation in radians, then translation in the found scale).
        dimensions: 6 for the whole twist, 3 for its rotation.
    """
    found, true = relative_to_first(found.double()), relative_to_first(true.double())
    scaled = align(true[:, :3, 3], found[:, :3, 3], "scale").scale * true[:, :3, 3]
    true = torch.cat([torch.cat([true[:, :3, :3], scaled[..., None]], -1), true[:, 3:]], 1)
    twist = se3_log(invert(true) @ found)[1:, :dimensions]
    precision = torch.linalg.pinv(covariance[1:, :dimensions, :dimensions].double(), hermitian=True)
    return torch.einsum("fi,fij,fj->f", twist, precision, twist)


def coverage_90(
    found: Poses, true: Poses, covariance: Float[Tensor, "frame 6 6"], posed: Bool[Tensor, "frame"], dimensions: int = 6
) -> float | None:
    """Percent of the posed frames whose true pose lies within the 90 % region around the found one.

    90 is right, less is overconfident. None where no frame after the first has a pose.

    Args:
        found, true, covariance, dimensions: as in `normalised_errors`.
        posed: which frames count.
    """
    inside = normalised_errors(found, true, covariance, dimensions)[posed[1:]] <= CHI_SQUARED_90[dimensions]
    return 100 * inside.double().mean().item() if len(inside) else None
