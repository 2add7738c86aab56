"""Exhaustive initialization over translation directions (subspace method).

For a small motion, and once the rotation is roughly undone, a translation direction makes the rest linear: each match
must lie on its epipolar line up to a small rotation (the subspace method, Heeger & Jepson 1992). So every direction of
a grid on the sphere is tried for every frame, with robust weights and the sign that puts points in front of the
camera; the sequence of directions that fits and changes little is found by dynamic programming (Viterbi).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from video_ae.camera.kernels.direction_kernel import fit_directions
from video_ae.camera.problem import Correspondences, SceneState
from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.se3 import invert, rigid, so3_exp


@dataclass(frozen=True)
class MotionCosts:
    """How well each direction explains the correspondences of each edge.

    Directions are those of the translation of `target_from_source`, in source axes.

    Args:
        cost: Cauchy cost, summed over points.
        rotation: rotation vector that goes with it, applied in source axes first.
        length: length of the translation at which the mean inverse depth is 1.
        pure_rotation: rotation target_from_source that explains the correspondences best without any translation.
    """

    cost: Float[Tensor, "edge direction"]
    rotation: Float[Tensor, "edge direction 3"]
    length: Float[Tensor, "edge direction"]
    pure_rotation: Float[Tensor, "edge 3 3"]


def directions_on_sphere(count: int, device: torch.device | None = None) -> Float[Tensor, "{count} 3"]:
    """Unit vectors spread evenly over the sphere (Fibonacci lattice); -d is in the set wherever d is.

    Args:
        count: how many, even.
        device: of the result.

    >>> directions_on_sphere(4).sum(0).abs().max().item() < 1e-6
    True
    """
    half = count // 2
    index = torch.arange(half, device=device) + 0.5
    z = 1 - index / half
    angle = index * math.pi * (1 + 5**0.5)
    radius = (1 - z * z).sqrt()
    upper = torch.stack([radius * angle.cos(), radius * angle.sin(), z], -1)
    return torch.cat([upper, -upper])


def _rotation_flow(rays: Tensor) -> Tensor:
    """d(image point) / d(rotation vector) at z = 1: [..., 2, 3]."""
    x, y = rays.unbind(-1)
    return torch.stack([-x * y, 1 + x * x, -y, -(1 + y * y), x * y, x], -1).unflatten(-1, (2, 3))


def _ridge(matrix: Tensor) -> Tensor:
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    return matrix + (1e-3 * matrix.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None] + 1e-3) * identity


def pure_rotations(matches: Correspondences, focal: float, iterations: int = 6) -> Float[Tensor, "edge 3 3"]:
    """The rotation target_from_source of each edge that explains its correspondences without translation (robust).

    Args:
        matches: of the edges.
        focal: in pixels.
        iterations: of iteratively reweighted least squares.
    """
    rays = torch.cat([matches.points / focal, torch.ones_like(matches.points[:, :1])], -1)
    rotation = torch.eye(3, dtype=rays.dtype, device=rays.device).expand(len(matches.source), 3, 3)
    for _ in range(iterations):
        turned = rays @ rotation.transpose(-1, -2)
        image = turned[..., :2] / turned[..., 2:].clamp_min(0.05)
        residual = matches.matched - focal * image
        jacobian = focal * _rotation_flow(image)
        error = (residual * (matches.information @ residual[..., None]).squeeze(-1)).sum(-1)
        weighted = (matches.information / (1 + error)[..., None, None]) @ jacobian
        matrix = jacobian.flatten(1, 2).mT @ weighted.flatten(1, 2)
        right = weighted.flatten(1, 2).mT @ residual.flatten(1)[..., None]
        rotation = so3_exp(torch.linalg.solve(_ridge(matrix), right).squeeze(-1)) @ rotation
    return rotation


def motion_costs(
    matches: Correspondences, focal: float, directions: Float[Tensor, "direction 3"], rounds: int = 3
) -> MotionCosts:
    """Fit of every direction to every edge. Half of the directions (the first) are fitted, their opposites share it.

    Args:
        matches: of the edges.
        focal: in pixels.
        directions: unit vectors, their opposites in the second half.
        rounds: of iteratively reweighted least squares.
    """
    pure = pure_rotations(matches, focal)
    rays = matches.points / focal
    derotated = torch.cat([matches.matched / focal, torch.ones_like(matches.matched[..., :1])], -1) @ pure
    flow = (derotated[..., :2] / derotated[..., 2:].clamp_min(0.05) - rays) * focal
    half, rotational = directions[: len(directions) // 2], focal * _rotation_flow(rays)
    fits = _compiled_fits if usable(flow, matches.information) else _fits
    return MotionCosts(*fits(flow, matches.information, rays, half, rotational, focal, rounds), pure)


def _compiled_fits(
    flow: Tensor, information: Tensor, rays: Tensor, half: Tensor, rotational: Tensor, focal: float, rounds: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Cost, rotation and length of every edge for every direction, by a compiled loop."""
    edges, directions = len(flow), 2 * len(half)
    outputs = flow.new_empty(edges, directions), flow.new_empty(edges, directions, 3), flow.new_empty(edges, directions)
    by_row = arrays(flow.mT, information.flatten(2).mT, rays.T, half, rotational.flatten(1).T)
    spread(edges, fit_directions, *by_row, focal, rounds, *arrays(*outputs))
    return outputs


def _fits(
    flow: Tensor, information: Tensor, rays: Tensor, half: Tensor, rotational: Tensor, focal: float, rounds: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same by tensor operations."""
    parallax = focal * (half[:, None, :2] - rays * half[:, None, 2:])  # flow at inverse depth 1: [direction, point, 2]
    results = [_edge_costs(*edge, parallax, rotational, rounds) for edge in zip(flow, information, strict=True)]
    cost, rotation, length = (torch.stack(parts) for parts in zip(*results, strict=True))
    return cost, rotation, length


def _edge_costs(
    flow: Tensor, information: Tensor, parallax: Tensor, rotational: Tensor, rounds: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Cost, rotation and length of an edge for every direction; k is the direction, p the point, i and j x and y.

    The flow of a point is modelled as `inverse_depth * parallax + rotational @ rotation`. The part of it across the
    epipolar line (along `normal`) does not depend on the depth: it gives the rotation by weighted least squares. Then
    each point's inverse depth is that of least squares along the line.
    """
    normal = torch.stack([-parallax[..., 1], parallax[..., 0]], -1)
    weighted = torch.einsum("pij,kpj->kpi", information, parallax)
    information_along = (weighted * parallax).sum(-1) + 1e-3
    across = torch.linalg.det(information) / information_along  # per squared normal
    jacobian = torch.einsum("kpi,pij->kpj", normal, rotational)
    offset = (normal * flow).sum(-1)
    rotation = flow.new_zeros(len(parallax), 3)
    for _ in range(rounds):
        residual = offset - (jacobian @ rotation[..., None]).squeeze(-1)
        weight = across / (1 + across * residual.square())
        scaled = jacobian * weight[..., None]
        right = (scaled * offset[..., None]).sum(1)
        rotation = torch.linalg.solve(_ridge(scaled.mT @ jacobian), right)
    rest = flow - torch.einsum("pij,kj->kpi", rotational, rotation)
    inverse_depth = (weighted * rest).sum(-1) / information_along
    error_without_depth = (rest * torch.einsum("pij,kpj->kpi", information, rest)).sum(-1)
    across_error = (error_without_depth - inverse_depth.square() * information_along).clamp_min(0)
    support = information_along / (1 + across_error)
    costs, lengths = [], []
    for sign in (1, -1):  # points of negative depth are not explained by this sign of the motion
        costs.append(torch.log1p(torch.where(sign * inverse_depth > 0, across_error, error_without_depth)).sum(-1))
        lengths.append((support * sign * inverse_depth).sum(-1) / support.sum(-1))
    return torch.cat(costs), rotation.repeat(2, 1), torch.cat(lengths)


def frame_costs(costs: MotionCosts, matches: Correspondences, frames: int) -> Float[Tensor, "frame direction"]:
    """Costs summed per source frame, for its motion to later frames; an earlier target counts for the opposite.

    Args:
        costs: of the edges.
        matches: whose edges they are.
        frames: in the clip.
    """
    opposite = costs.cost.roll(costs.cost.shape[1] // 2, 1)
    forward = torch.where((matches.target > matches.source)[:, None], costs.cost, opposite)
    return torch.zeros(frames, forward.shape[1], device=forward.device).index_add_(0, matches.source, forward)


def smooth_sequence(
    cost: Float[Tensor, "frame direction"], directions: Tensor, smoothness: float
) -> Int[Tensor, "frame"]:
    """The sequence of directions of least cost, where a change by an angle a costs `smoothness (1 - cos a)` (Viterbi).

    Args:
        cost: of each direction at each frame.
        directions: unit vectors.
        smoothness: in the unit of the costs.
    """
    change = smoothness * (1 - directions @ directions.T)
    best, came_from = cost[0], []
    for row in cost[1:]:
        least = (best[:, None] + change).min(0)
        came_from.append(least.indices)
        best = least.values + row
    path = [best.argmin()]
    for previous in reversed(came_from):
        path.append(previous[path[-1]])
    return torch.stack(path[::-1])


def state_from_directions(
    costs: MotionCosts,
    matches: Correspondences,
    directions: Float[Tensor, "direction 3"],
    sequence: Int[Tensor, "frame"],
    focal: float,
    frames: int,
) -> SceneState:
    """Poses chained from neighbours with the given directions, constant inverse depth 1.

    Args:
        costs: of the edges, with the rotations and lengths that go with each direction.
        matches: whose edges they are.
        directions: unit vectors.
        sequence: which of them each frame takes.
        focal: in pixels.
        frames: in the clip.
    """
    device = directions.device
    poses = [torch.eye(4, device=device)]
    for i in range(frames - 1):
        edge = _edge_to_next(matches, i)
        direction = sequence[i]
        length = costs.length[edge, direction].clamp(0.0, 0.5)
        motion = so3_exp(costs.rotation[edge, direction])
        pure = costs.pure_rotation[edge]
        poses.append(rigid(pure @ motion, pure @ (directions[direction] * length)) @ poses[-1])
    depth = torch.ones(frames, len(matches.points), device=device)
    return SceneState(torch.stack(poses), depth, torch.tensor(focal, device=device).log())


def state_of_pure_rotation(matches: Correspondences, focal: float, frames: int) -> SceneState:
    """Rotations chained from neighbours, no translation, constant inverse depth 1.

    Args:
        matches: of neighbouring frames, among others.
        focal: in pixels.
        frames: in the clip.
    """
    device = matches.points.device
    pure = pure_rotations(matches, focal)
    rotations = [torch.eye(3, device=device)]
    for i in range(frames - 1):
        rotations.append(pure[_edge_to_next(matches, i)] @ rotations[-1])
    poses = rigid(torch.stack(rotations), torch.zeros(frames, 3, device=device))
    depth = torch.ones(frames, len(matches.points), device=device)
    return SceneState(poses, depth, torch.tensor(focal).to(device).log())


def continued_state(matches: Correspondences, known: SceneState, frames: int) -> SceneState:
    """A window whose first frames are known: the others rotate as their correspondences say, keep their velocity and
    see the same depths.

    Args:
        matches: of neighbouring frames, among others.
        known: the first frames.
        frames: in the window.
    """
    pure = pure_rotations(matches, known.log_focal.exp().item())
    poses = list(known.camera_from_world)
    step = (poses[-1] @ invert(poses[-2]))[:3, 3]
    for i in range(len(poses) - 1, frames - 1):
        poses.append(rigid(pure[_edge_to_next(matches, i)], step) @ poses[-1])
    depth = known.inverse_depth
    depth = torch.cat([depth, depth[-1:].expand(frames - len(depth), -1)])
    return SceneState(torch.stack(poses), depth, known.log_focal)


def _edge_to_next(matches: Correspondences, frame: int) -> Tensor:
    """The number of the edge from a frame to the next one."""
    return ((matches.source == frame) & (matches.target == frame + 1)).nonzero()[0, 0]
