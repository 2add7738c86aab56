"""A few further unknowns of a solved clip that correct its matches: a lens that bends, a shutter that rolls.

They trade against the focal length and against what moves, so they are asked after the cameras: matches are corrected,
bundle adjustment follows, and the unknowns move by Newton's method with poses, focal length and depths eliminated.

Each point has a depth of its own, which a handful of noisy matches tell: the more points, the more unknowns. What such
an adjustment finds of a lens is biased, and does not get better with more of them (Neyman & Scott, Consistent estimates
based on partially consistent observations, 1948). `resampled` tells by how much.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.normal_equations import (
    both_twists,
    damped_depth,
    edge_unknowns,
    normal_equations,
    reduced_system,
)
from video_ae.camera.problem import Correspondences, FreeParameters, Priors, SceneState
from video_ae.camera.reprojection import Linearisation, linearise, match_costs, predict_points, squared_errors

ROUNDS, _STEPS = 6, 6  # of Newton's method, and of bundle adjustment in each


@dataclass(frozen=True)
class CorrectionFit:
    """A solved clip whose corrections are asked for.

    Args:
        state: the solved scene.
        correct: the matches as a pinhole with a global shutter would have made them, at given corrections; zeros leave
            them as they are.
        priors: that the scene was solved with.
        free: what may move beside the corrections.
        longest: step of each correction in a round.
        differences: by which each correction is moved to find its derivatives.
    """

    state: SceneState
    correct: Callable[[Float[Tensor, "correction"]], Correspondences]
    priors: Priors
    free: FreeParameters
    longest: tuple[float, ...]
    differences: tuple[float, ...]

    def zeros(self) -> Float[Tensor, "correction"]:
        """No correction."""
        return torch.zeros(len(self.longest), device=self.state.log_focal.device)

    def run(self, asked: tuple[int, ...]) -> tuple[Float[Tensor, "correction"], SceneState, float]:
        """The corrections, the scene and the cost that is left, with some of the corrections free.

        Args:
            asked: their positions.
        """
        chosen = list(asked)
        longest = self.zeros().new_tensor(self.longest)[chosen]
        corrections, state = self.zeros(), self.state
        for _ in range(ROUNDS):
            state, _ = minimise(state, self.correct(corrections), self.priors, _STEPS, self.free)
            information, pull = self.system(state, corrections, asked)
            step = torch.linalg.solve(information, pull).float()
            corrections = corrections.clone()
            corrections[chosen] += torch.minimum(torch.maximum(step, -longest), longest)
        matches = self.correct(corrections)
        state, _ = minimise(state, matches, self.priors, _STEPS, self.free)
        return corrections, state, match_costs(state, matches).sum().item()

    def predicted_gain(self, asked: tuple[int, ...]) -> float:
        """By how much the cost falls with one step of some of the corrections from zero, to the second order.

        Args:
            asked: their positions.
        """
        information, pull = self.system(self.state, self.zeros(), asked)
        return float(pull @ torch.linalg.solve(information, pull))

    def system(
        self, state: SceneState, corrections: Float[Tensor, "correction"], asked: tuple[int, ...]
    ) -> tuple[Float64[Tensor, "asked asked"], Float64[Tensor, "asked"]]:
        """The normal equations of some corrections, all other unknowns eliminated: matrix and right side.

        Args:
            state: the scene.
            corrections: at which they hold.
            asked: positions of those that are free.
        """
        matches = self.correct(corrections)
        lin = linearise(state, matches)
        by_correction = self._derivatives(state, corrections, asked, lin.residual)
        return correction_system(state, matches, self.priors, lin, by_correction)

    def _derivatives(
        self, state: SceneState, corrections: Tensor, asked: tuple[int, ...], residual: Tensor
    ) -> Float[Tensor, "edge 2 asked point"]:
        """Derivatives of the residuals by the corrections, as differences."""
        columns = []
        for number in asked:
            step = self.zeros()
            step[number] = self.differences[number]
            moved = self.correct(corrections + step)
            seen = predict_points(state, moved.points, moved.source, moved.target).image
            columns.append(((seen - moved.matched).transpose(1, 2) - residual) / self.differences[number])
        return torch.stack(columns, 2)


def resampled(state: SceneState, matches: Correspondences, seed: int = 0) -> Correspondences:
    """Correspondences as chance might have made them: each is off by as much as before, this way or the other.

    The wild bootstrap (Wu, Jackknife, bootstrap and other resampling methods, 1986). What is found from them, beside
    the scene that they were made from, is the bias of a fit; it needs no model of the noise.

    Args:
        state: the solved scene.
        matches: that it was solved on.
        seed: of chance.
    """
    seen = predict_points(state, matches.points, matches.source, matches.target).image
    coins = torch.randint(0, 2, seen.shape[:2], generator=torch.Generator().manual_seed(seed)).to(seen)
    return replace(matches, matched=seen + (2 * coins - 1)[..., None] * (matches.matched - seen))


def correction_system(
    state: SceneState,
    matches: Correspondences,
    priors: Priors,
    lin: Linearisation,
    by_correction: Float[Tensor, "edge 2 asked point"],
) -> tuple[Float64[Tensor, "asked asked"], Float64[Tensor, "asked"]]:
    """The normal equations of some corrections, all other unknowns eliminated: matrix and right side.

    Args:
        state: the scene.
        matches: as they are corrected so far.
        priors: that the scene was solved with.
        lin: its linearisation.
        by_correction: derivatives of the residuals by each correction.
    """
    count = by_correction.shape[2]
    equations = normal_equations(state, matches, priors)
    robust = lin.in_front / (1 + squared_errors(lin.residual.transpose(1, 2), matches.information))
    weight = robust[..., None, None] * matches.information
    weighted = torch.einsum("epij,ejlp->eilp", weight, by_correction)
    depth = damped_depth(equations, 0.0)[:, None]
    with_depth = depth.new_zeros(len(state), count, depth.shape[-1])
    with_depth.index_add_(0, matches.source, (weighted * lin.by_inverse_depth[:, :, None]).sum(1))
    own = torch.einsum("eilp,eimp->lm", weighted, by_correction) - torch.einsum(
        "flp,fmp->lm", with_depth / depth, with_depth
    )
    pull = -torch.einsum("eilp,eip->l", weighted, lin.residual) - torch.einsum(
        "flp,fp->l", with_depth / depth, equations.depth_right
    )
    size = len(equations.camera_right)
    with_cameras = torch.zeros(count, size + 1, dtype=torch.float64, device=depth.device)
    spread = torch.einsum("eilp,eikp->elk", weighted, lin.by_target) @ both_twists(lin.adjoint)
    through = torch.einsum("fcp,flp->flc", equations.coupling, with_depth / depth)
    for row, sums in enumerate(with_cameras):
        sums.index_add_(0, edge_unknowns(matches, size).flatten(), spread[:, row].double().flatten())
        sums.index_add_(0, equations.columns.flatten(), -through[:, row].double().flatten())
    cameras, right = reduced_system(equations)
    cameras, with_cameras = cameras[6:, 6:], with_cameras[:, 6:size]
    solved = torch.linalg.solve(_ridged(cameras), torch.cat([with_cameras.mT, right[6:, None]], 1))
    information = own.double() - with_cameras @ solved[:, :-1]
    return _ridged(information), pull.double() - with_cameras @ solved[:, -1]


def _ridged(matrix: Tensor) -> Tensor:
    """A positive semidefinite matrix that can be inverted."""
    size = matrix.diagonal().abs().mean() + 1e-12
    return matrix + 1e-6 * size * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
