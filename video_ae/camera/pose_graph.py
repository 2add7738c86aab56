"""A pose graph over Sim(3): what loop closures contradict is spread over the path (Strasdat, Montiel & Davison 2010).

Submaps are merged one after another, and each step adds a little to the error of rotation, position and scale. A loop
closure says where a late frame lies beside an early one; the graph asks all steps to give way a little until that is
true. A frame is a similarity, rotation times scale and a translation, from its own axes and unit to the world's.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from video_ae.geometry.se3 import skew, so3_exp, so3_log
from video_ae.tensor_records import TensorRecord
from video_ae.threads import one_thread

_SPREAD = (0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.03)  # of an edge: radians, mean depths, logarithm of the scale
_ITERATIONS = 15


@dataclass(frozen=True)
class RelativePoses(TensorRecord):
    """How some frames stand to each other, with their units: the edges of a pose graph.

    Args:
        source, target: positions of the frames.
        target_from_source: similarities.
    """

    axis: ClassVar[str] = "edge"

    source: Int[Tensor, "edge"]
    target: Int[Tensor, "edge"]
    target_from_source: Float[Tensor, "edge 4 4"]


def similarity(pose: Float[Tensor, "*batch 4 4"], scale: Float[Tensor, "*#batch"]) -> Float[Tensor, "*batch 4 4"]:
    """The similarity that enlarges, and then rotates and moves as a pose does.

    Args:
        pose: rigid.
        scale: by which it enlarges.
    """
    factor = torch.ones_like(pose)
    factor[..., :3, :3] = scale[..., None, None]
    return pose * factor


def split_similarity(
    matrix: Float[Tensor, "*batch 4 4"],
) -> tuple[Float[Tensor, "*batch 4 4"], Float[Tensor, "*batch"]]:
    """The rigid pose and the scale that make a similarity.

    Args:
        matrix: a similarity.
    """
    scale = matrix[..., :3, :3].det().pow(1 / 3)
    return similarity(matrix, 1 / scale), scale


@one_thread()
def optimise_pose_graph(
    world_from_frame: Float[Tensor, "frame 4 4"], edges: RelativePoses
) -> Float[Tensor, "frame 4 4"]:
    """The similarities that agree best with all edges, by Gauss-Newton; the first frame stays.

    Args:
        world_from_frame: similarities to begin from.
        edges: that tie every frame to the others.
    """
    frames, edges = world_from_frame.double(), edges.to(torch.float64)
    weight = frames.new_tensor(_SPREAD).pow(-2).diag()
    for _ in range(_ITERATIONS):
        residual = edge_residuals(frames, edges)
        by_target = -_adjoint(torch.linalg.inv(edges.target_from_source))
        jacobian = frames.new_zeros(len(residual), 7, len(frames), 7)
        numbers = torch.arange(len(residual), device=frames.device)
        jacobian[numbers, :, edges.source] += torch.eye(7, dtype=frames.dtype, device=frames.device)
        jacobian[numbers, :, edges.target] += by_target
        jacobian = jacobian[:, :, 1:].flatten(2)
        right = torch.einsum("eik,ij,ej->k", jacobian, weight, residual)
        matrix = torch.einsum("eik,ij,ejl->kl", jacobian, weight, jacobian)
        step = torch.linalg.solve(matrix, -right).view(-1, 7)
        frames = torch.cat([frames[:1], frames[1:] @ _exponential(step)])
    return frames.to(world_from_frame.dtype)


def edge_residuals(world_from_frame: Float64[Tensor, "frame 4 4"], edges: RelativePoses) -> Float64[Tensor, "edge 7"]:
    """Rotation vector, translation and logarithm of the scale by which the frames differ from each edge.

    Args:
        world_from_frame: similarities.
        edges: between them.
    """
    found = torch.linalg.inv(world_from_frame[edges.target]) @ world_from_frame[edges.source]
    return similarity_log(torch.linalg.inv(edges.target_from_source) @ found)


def similarity_log(matrix: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 7"]:
    """Rotation vector, translation and logarithm of the scale of a similarity.

    Args:
        matrix: a similarity.
    """
    pose, scale = split_similarity(matrix)
    return torch.cat([so3_log(pose[..., :3, :3]), pose[..., :3, 3], scale.log()[..., None]], -1)


def _exponential(step: Float64[Tensor, "frame 7"]) -> Float64[Tensor, "frame 4 4"]:
    """A similarity near the identity; equal to Sim(3)'s exponential in the first order."""
    pose = torch.eye(4, dtype=step.dtype, device=step.device).repeat(len(step), 1, 1)
    pose[:, :3, :3], pose[:, :3, 3] = so3_exp(step[:, :3]), step[:, 3:6]
    return similarity(pose, step[:, 6].exp())


def _adjoint(matrix: Float64[Tensor, "edge 4 4"]) -> Float64[Tensor, "edge 7 7"]:
    """How a small step before a similarity looks behind it."""
    pose, _ = split_similarity(matrix)
    rotation, translation = pose[:, :3, :3], matrix[:, :3, 3]
    result = torch.eye(7, dtype=matrix.dtype, device=matrix.device).repeat(len(matrix), 1, 1)
    result[:, :3, :3] = rotation
    result[:, 3:6, :3] = skew(translation) @ rotation
    result[:, 3:6, 3:6] = matrix[:, :3, :3]
    result[:, 3:6, 6] = -translation
    return result
