"""The Gauss-Newton system of bundle adjustment, and its Schur complement.

Inverse depths, far more than cameras, are eliminated (Triggs et al. 1999, section 6.1; DROID-SLAM, Teed & Deng 2021,
eq. 4-5). A depth depends on the cameras of the frames that see it only, so that each frame keeps just their columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from video_ae.camera.kernels.adjustment_kernel import edge_equations
from video_ae.camera.problem import Correspondences, Priors, SceneState
from video_ae.camera.reprojection import linearise, relative_poses, scene_arrays, squared_errors
from video_ae.compiled import arrays, spread, usable
from video_ae.geometry.se3 import adjoint


@dataclass(frozen=True)
class NormalEquations:
    """The unknowns are six of each frame, and the logarithm of the focal length; then one row for each depth.

    Args:
        camera, camera_right: matrix and right side of the cameras and the focal length, in float64.
        columns: which of these unknowns a frame's depths depend on; "unknown" where there are fewer.
        coupling: between these and the depths.
        depth, depth_right: diagonal and right side of the depths.
    """

    camera: Float[Tensor, "unknown unknown"]
    camera_right: Float[Tensor, "unknown"]
    columns: Int[Tensor, "frame column"]
    coupling: Float[Tensor, "frame column point"]
    depth: Float[Tensor, "frame point"]
    depth_right: Float[Tensor, "frame point"]


@dataclass(frozen=True)
class _Terms:
    """What correspondences add: a block of the target's twist and the focal length for each edge, and the depths'."""

    blocks: Float[Tensor, "edge 7 7"]
    sides: Float[Tensor, "edge 7"]
    coupling: Float[Tensor, "frame column point"]
    depth: Float[Tensor, "frame point"]
    depth_right: Float[Tensor, "frame point"]


def normal_equations(state: SceneState, matches: Correspondences, priors: Priors) -> NormalEquations:
    """The Gauss-Newton system of all unknowns, correspondences reweighted by the Cauchy cost.

    Args:
        state: the scene.
        matches: its correspondences.
        priors: weak knowledge.
    """
    slots, columns = _columns(matches, len(state))
    adjoints = adjoint(relative_poses(state, matches.source, matches.target))
    edge_terms = _compiled_terms if usable(state.inverse_depth, matches.matched) else _terms
    terms = edge_terms(state, matches, adjoints, slots, columns.shape[1])
    device, size = columns.device, 6 * len(state) + 1
    spread_twists = both_twists(adjoints)
    blocks = spread_twists.mT @ terms.blocks @ spread_twists
    sides = (spread_twists.mT @ terms.sides[..., None]).squeeze(-1)
    unknowns = edge_unknowns(matches, size)
    camera = torch.zeros(size * size, dtype=torch.float64, device=device)
    camera.index_add_(0, (unknowns[:, :, None] * size + unknowns[:, None, :]).flatten(), blocks.double().flatten())
    right = torch.zeros(size, dtype=torch.float64, device=device)
    right.index_add_(0, unknowns.flatten(), sides.double().flatten())
    camera[-1] += priors.focal_weight
    right[-1] -= priors.focal_weight * (state.log_focal - priors.log_focal).double()
    return NormalEquations(
        camera.view(size, size),
        right,
        columns,
        terms.coupling,
        priors.depth_weight + terms.depth,
        priors.depth_weight * (priors.inverse_depth - state.inverse_depth) + terms.depth_right,
    )


def _terms(state: SceneState, matches: Correspondences, adjoints: Tensor, slots: Tensor, columns: int) -> _Terms:
    """The terms of all edges, by tensor operations."""
    lin = linearise(state, matches)
    robust = lin.in_front / (1 + squared_errors(lin.residual.transpose(1, 2), matches.information))
    xx, xy, yy = ((robust * matches.information[..., i, j])[:, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    x, y = lin.by_target.unbind(1)
    weighted_x, weighted_y = xx * x + xy * y, xy * x + yy * y
    blocks = weighted_x @ x.mT + weighted_y @ y.mT
    sides = -(weighted_x @ lin.residual[:, 0, :, None] + weighted_y @ lin.residual[:, 1, :, None])
    depth_x, depth_y = lin.by_inverse_depth[:, :1], lin.by_inverse_depth[:, 1:]
    mixed = weighted_x * depth_x + weighted_y * depth_y  # [edge, 7, point]
    weighted_x, weighted_y = xx * depth_x + xy * depth_y, xy * depth_x + yy * depth_y
    curvature = (weighted_x * depth_x + weighted_y * depth_y)[:, 0]
    slope = (weighted_x * lin.residual[:, :1] + weighted_y * lin.residual[:, 1:])[:, 0]

    coupling = torch.zeros_like(state.inverse_depth)[:, None].repeat(1, columns, 1)
    own = -adjoints.mT @ mixed[:, :6]
    first, six = columns * matches.source, torch.arange(6, device=slots.device)
    flat = coupling.flatten(0, 1)
    flat.index_add_(0, (first[:, None] + six).flatten(), own.flatten(0, 1))
    flat.index_add_(0, ((first + slots)[:, None] + six).flatten(), mixed[:, :6].flatten(0, 1))
    flat.index_add_(0, first + columns - 1, mixed[:, 6])
    zeros = torch.zeros_like(state.inverse_depth)
    depth, right = zeros.index_add(0, matches.source, curvature), zeros.index_add(0, matches.source, -slope)
    return _Terms(blocks, sides.squeeze(-1), coupling, depth, right)


def _compiled_terms(
    state: SceneState, matches: Correspondences, adjoints: Tensor, slots: Tensor, columns: int
) -> _Terms:
    """The same by a compiled loop."""
    edges, (frames, points) = len(slots), state.inverse_depth.shape
    new = state.inverse_depth.new_zeros
    terms = _Terms(
        new(edges, 7, 7), new(edges, 7), new(frames, columns, points), new(frames, points), new(frames, points)
    )
    inputs = *scene_arrays(state, matches), *arrays(slots, adjoints)
    spread(frames, edge_equations, *inputs, *arrays(*vars(terms).values()))
    return terms


def both_twists(adjoint: Float[Tensor, "edge 6 6"]) -> Float[Tensor, "edge 7 13"]:
    """From derivatives by the target's twist and the focal length to those by both twists and the focal length.

    Args:
        adjoint: of target_from_source.
    """
    spread = adjoint.new_zeros(len(adjoint), 7, 13)
    spread[:, :6, :6] = -adjoint
    spread[:, :6, 6:12] = torch.eye(6, dtype=adjoint.dtype, device=adjoint.device)
    spread[:, 6, 12] = 1
    return spread


def edge_unknowns(matches: Correspondences, size: int) -> Int[Tensor, "edge 13"]:
    """Which unknowns an edge touches: six of the source, six of the target, the focal length (the last one).

    Args:
        matches: of the edges.
        size: how many unknowns there are.
    """
    six = torch.arange(6, device=matches.source.device)
    focal = torch.full_like(matches.source, size - 1)[:, None]
    return torch.cat([6 * matches.source[:, None] + six, 6 * matches.target[:, None] + six, focal], 1)


def _columns(matches: Correspondences, frames: int) -> tuple[Int[Tensor, "edge"], Int[Tensor, "frame column"]]:
    """Where the target of each edge begins among its source's columns, and the unknown that each column stands for.

    A frame's own six come first, then six for each of its targets, at last the focal length.
    """
    source, target = matches.source, matches.target
    order = source.argsort(stable=True)
    counts = torch.bincount(source, minlength=frames)
    rank = torch.empty_like(source)
    rank[order] = torch.arange(len(source), device=source.device) - (counts.cumsum(0) - counts)[source[order]]
    slots = 6 * (1 + rank)
    most, size, six = int(counts.max()), 6 * frames + 1, torch.arange(6, device=source.device)
    columns = torch.full((frames, 6 * (1 + most) + 1), size, device=source.device)
    columns[:, :6] = 6 * torch.arange(frames, device=source.device)[:, None] + six
    columns[source[:, None], slots[:, None] + six] = 6 * target[:, None] + six
    columns[:, -1] = size - 1
    return slots, columns


def reduced_system(equations: NormalEquations, damping: float = 0.0) -> tuple[Tensor, Tensor]:
    """Camera block and right side with the depths eliminated (Schur complement).

    Args:
        equations: of all unknowns.
        damping: of Levenberg-Marquardt, relative to the diagonal.
    """
    size, columns = len(equations.camera_right), equations.columns
    scaled = equations.coupling / damped_depth(equations, damping)[:, None]
    blocks = (scaled @ equations.coupling.mT).double()
    camera = torch.zeros((size + 1) ** 2, dtype=torch.float64, device=columns.device)
    camera.index_add_(0, (columns[:, :, None] * (size + 1) + columns[:, None, :]).flatten(), blocks.flatten())
    right = torch.zeros(size + 1, dtype=torch.float64, device=columns.device)
    sides = (scaled @ equations.depth_right[..., None]).double()
    right.index_add_(0, columns.flatten(), sides.flatten())
    eliminated = camera.view(size + 1, size + 1)[:size, :size]
    return equations.camera - eliminated, equations.camera_right - right[:size]


def damped_depth(equations: NormalEquations, damping: float) -> Float[Tensor, "frame point"]:
    """The diagonal of the depths.

    Args:
        equations: of all unknowns.
        damping: of Levenberg-Marquardt, relative to the diagonal.
    """
    return equations.depth * (1 + damping) + 1e-6


def depth_step(equations: NormalEquations, step: Float[Tensor, "unknown"], damping: float) -> Tensor:
    """The step of the depths that goes with one of the cameras and the focal length: [frame, point].

    Args:
        equations: of all unknowns.
        step: of the cameras and the focal length.
        damping: of Levenberg-Marquardt, relative to the diagonal.
    """
    own = torch.cat([step, step.new_zeros(1)])[equations.columns]
    coupled = (own[:, None] @ equations.coupling).squeeze(1)
    return (equations.depth_right - coupled) / damped_depth(equations, damping)
