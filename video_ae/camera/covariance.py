"""How well the poses and the focal length are determined: covariances from the normal equations, and confidences.

Inside the solver, covariances are what the correspondences alone leave open, and rank frames. At the end they become
those of errors as they are (`error_covariance`, `focal_deviation`).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.normal_equations import normal_equations, reduced_system
from video_ae.camera.problem import Correspondences, Priors, SceneState, Submap
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.se3 import adjoint, rotation_angle
from video_ae.threads import one_thread

_EFFECTIVE = 0.1  # neighbouring correspondences share pixels: this part of them counts as independent
_ROTATION_SPREAD = 0.02  # radians at which a frame's confidence is 1/2
# What errors of real clips are beside that (docs/experiments.md, "Error bars that hold").
_INDEPENDENT = 40  # correspondences of a pair of frames, however many there are
_BIAS = 0.013  # of the turn and of the distance since the first frame, along each axis
_BIAS_OF_FOCAL = 0.022
_LEAST_KNOWN = 1e-2  # information of what nothing tells: a spread of 10 radians or mean depths
_LEAST_EXPLAINED = 1e-3  # part of the correspondences that a lost scene explains
SPREAD_OF_LENSES = 0.43  # of the logarithm of the focal length, over phones: where a video tells nothing


@one_thread()
def pose_covariance(
    state: SceneState, matches: Correspondences, priors: Priors
) -> tuple[Float[Tensor, "frame 6 6"], float]:
    """Covariance of each pose's left twist relative to the first frame, depths and focal length marginalised.

    The gauge is the first frame and the mean inverse depth; unobserved directions get a large, finite variance.

    Args:
        state: the solved scene.
        matches: that it was solved on.
        priors: that it was solved with.

    Returns:
        The covariances, and the variance of the logarithm of the focal length.
    """
    frames = len(state)
    camera, _ = reduced_system(normal_equations(state, matches, priors))
    system = camera[6:, 6:] * _EFFECTIVE
    values, vectors = torch.linalg.eigh(system)
    inverse = (vectors / (values.clamp_min(0) + _LEAST_KNOWN)) @ vectors.mT  # of a lost scene, rounding makes some < 0
    covariance = torch.zeros(frames, 6, 6, dtype=torch.float64, device=camera.device)
    for i in range(1, frames):
        part = slice(6 * (i - 1), 6 * i)
        covariance[i] = inverse[part, part]
    return ((covariance + covariance.mT) / 2).to(state.inverse_depth.dtype), inverse[-1, -1].item()


def error_covariance(solved: Submap) -> Float[Tensor, "frame 6 6"]:
    """Covariances of the poses' errors relative to the first frame: 90 % regions hold about 90 % of real poses.

    To what the correspondences leave open comes what biases all of them, such as a lens that bends a little: a part of
    the turn and of the distance. Where a rigid scene does not explain the correspondences, they say less.

    Args:
        solved: all frames of a clip.
    """
    pose = solved.world_from_camera
    motion = torch.stack([rotation_angle(pose[:, :3, :3]), pose[:, :3, 3].norm(dim=-1)], -1)
    bias = (_BIAS * motion).square().repeat_interleave(3, -1)
    explained = explained_part(solved).clamp_min(_LEAST_EXPLAINED)[:, None, None]
    noise = solved.covariance * _EFFECTIVE * dependence(solved.state.inverse_depth.shape[1]) / explained
    return noise + torch.diag_embed(bias)


def explained_part(solved: Submap) -> Float[Tensor, "frame"]:
    """How far a rigid scene explains the correspondences of each frame, 0 to 1: the part of its confidence that
    `fit_confidence` gave.

    Args:
        solved: all frames of a clip.
    """
    return (solved.confidence / rotation_confidence(solved.covariance)).clamp_max(1)


def focal_deviation(solved: Submap) -> float:
    """Standard deviation of the logarithm of the focal length: 0.1 is about 10 %.

    Args:
        solved: all frames of a clip.
    """
    measured = measured_focal_deviation(solved.focal_variance, solved.state.inverse_depth.shape[1])
    return math.sqrt(1 / (1 / (measured**2 + _BIAS_OF_FOCAL**2) + 1 / SPREAD_OF_LENSES**2))


def measured_focal_deviation(variance: float, points: int) -> float:
    """The same as far as correspondences tell, were they right but for their noise.

    Args:
        variance: of the logarithm of the focal length, as `pose_covariance` returns it.
        points: of a frame.
    """
    return math.sqrt(variance * _EFFECTIVE * dependence(points))


def dependence(points: int) -> float:
    """How many correspondences of a pair of frames count as one, since neighbours err alike.

    Args:
        points: of a frame.
    """
    return max(1.0, points / _INDEPENDENT)


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
