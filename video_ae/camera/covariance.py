"""How well the poses are determined: covariances from the normal equations, and confidences."""

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.normal_equations import normal_equations, reduced_system
from video_ae.camera.problem import Correspondences, Priors, SceneState
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.se3 import adjoint

_EFFECTIVE = 0.1  # neighbouring correspondences share pixels: this part of them counts as independent
_ROTATION_SPREAD = 0.02  # radians at which a frame's confidence is 1/2


def pose_covariance(state: SceneState, matches: Correspondences, priors: Priors) -> Float[Tensor, "frame 6 6"]:
    """Covariance of each pose's left twist relative to the first frame, depths and focal length marginalised.

    The gauge is the first frame and the mean inverse depth; unobserved directions get a large, finite variance.

    Args:
        state: the solved scene.
        matches: that it was solved on.
        priors: that it was solved with.
    """
    frames = len(state)
    camera, _ = reduced_system(normal_equations(state, matches, priors))
    system = camera[6:, 6:] * _EFFECTIVE
    weak = torch.full_like(system.diagonal(), 1e-2)  # a spread of 10 radians or mean depths: nothing is known
    inverse = torch.linalg.pinv(system + torch.diag(weak), hermitian=True)
    covariance = torch.zeros(frames, 6, 6, dtype=torch.float64, device=camera.device)
    for i in range(1, frames):
        part = slice(6 * (i - 1), 6 * i)
        covariance[i] = inverse[part, part]
    return ((covariance + covariance.mT) / 2).to(state.inverse_depth.dtype)


def rotation_confidence(covariance: Float[Tensor, "frame 6 6"]) -> Float[Tensor, "frame"]:
    """1 where a frame's rotation relative to the first one is certain, 1/2 at a spread of 0.02 radians, towards 0.

    Args:
        covariance: of the poses' left twists.

    >>> round(rotation_confidence(torch.eye(6)[None] * 0.02**2 / 3).item(), 3)
    0.5
    """
    spread = covariance[:, :3, :3].diagonal(dim1=-2, dim2=-1).sum(-1).sqrt()
    return 1 / (1 + spread / _ROTATION_SPREAD)


def fit_confidence(costs: Float[Tensor, "frame"], size: int) -> Float[Tensor, "frame"]:
    """1 where a rigid scene explains the correspondences of a frame, 1/2 where they cost as much as those of clips that
    are lost begin to, towards 0 where most of what was matched moves, repeats or was mistaken.

    Covariances do not tell: they follow from how many correspondences there are, right or wrong.

    Args:
        costs: Cauchy cost of a correspondence, on average; wrong matches are off by more pixels at a larger size.
        size: shorter side of the frames that they were found in, in pixels.

    >>> fit_confidence(torch.tensor([0.1, 0.15, 0.25]), 64).numpy().round(3)
    array([0.962, 0.5  , 0.017], dtype=float32)
    """
    return 1 / (1 + (costs / typical_lost_cost(size)) ** 8)


def typical_lost_cost(size: int) -> float:
    """Mean cost of a correspondence from which on clips are lost.

    Args:
        size: shorter side of the frames, in pixels.
    """
    return THRESHOLDS.misfit_cost * (size / 64) ** 0.75


def scale_covariance(covariance: Float[Tensor, "frame 6 6"], scale: Tensor) -> Float[Tensor, "frame 6 6"]:
    """Covariances of rotation and translation in a world that is so many times as large.

    Args:
        covariance: of the poses' left twists.
        scale: one for all frames.
    """
    factor = torch.cat([torch.ones(3, device=scale.device), scale.expand(3)])
    return covariance * factor[:, None] * factor


def transport_covariance(
    covariance: Float[Tensor, "*#frame 6 6"], motion: Float[Tensor, "frame 4 4"]
) -> Float[Tensor, "frame 6 6"]:
    """Covariances of cameras from those of others that they are rigidly attached to.

    Args:
        covariance: of the others' left twists.
        motion: from the others' axes to the cameras' own.
    """
    lever = adjoint(motion)
    return lever @ covariance @ lever.mT
