"""Whether the camera of a clip is no pinhole: a lens that bends, or an image that was cut off its centre.

Both trade against the focal length and against what moves, so they are asked after the cameras, as further unknowns of
the same system: matches are bent back as a lens would have bent them, bundle adjustment follows, and the lens moves by
Newton's method with poses, focal length and depths eliminated. It is believed only where the matches cost clearly less:
walk-throughs of a pinhole camera gain up to 1.5 % by a radial coefficient of 0.01 to 0.04, which is the bias of
matching, and real ones up to 4 % by a principal point off the centre.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
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
from video_ae.camera.reprojection import linearise, match_costs, predict_points, squared_errors
from video_ae.types import LensOffset

RADIAL, CENTRE = (0,), (1, 2)  # which of k1 and the principal point's x and y are asked for
BARREL, PINCUSHION, OFF_CENTRE = 0.96, 0.90, 0.95  # part of the cost that each leaves at most
_BOTH = 0.97  # the same for both together, beside the better one alone
_WORTH = 0.04  # of the cost: less than this, predicted by one step, is not tried
RADIAL_RANGE = (-1.0, 0.12)  # of k1; above it are 5 % of phones, and forward motion, whose depth takes its place
_LEAST_FACTOR = 0.3  # by which a lens shortens an image point at most; further out there is no ray
_ROUNDS, _STEPS = 6, 6  # of Newton's method, and of bundle adjustment in each
_LONGEST_STEP = (0.1, 2.0, 2.0)  # of a round: of k1, and pixels of the working size
_DIFFERENCES = (1e-3, 0.02, 0.02)


def bend_back(
    points: Float[Tensor, "*points 2"], lens: Float[Tensor, "3"], focal: float | int
) -> Float[Tensor, "*points 2"]:
    """Where a pinhole would have seen what a lens shows at image points.

    Args:
        points: in pixels from the middle of the image.
        lens: k1, and the principal point's offset in pixels.
        focal: in pixels.
    """
    bent = points - lens[1:]
    straight = bent
    for _ in range(5):
        factor = 1 + lens[0] * (straight / focal).square().sum(-1, keepdim=True)
        straight = bent / factor.clamp_min(_LEAST_FACTOR)
    return straight


def search_lens(
    state: SceneState, matches: Correspondences, priors: Priors, free: FreeParameters, size: tuple[int, int]
) -> LensOffset | None:
    """The lens that explains the matches of a solved clip clearly better than a pinhole does; None where none does.

    Args:
        state: the solved scene.
        matches: that it was solved on.
        priors: that it was solved with.
        free: what may move.
        size: (width, height) of the frames that were matched.
    """
    fit = _LensFit(state, matches, priors, free)
    information, pull = fit.system(state, fit.zeros(), (*RADIAL, *CENTRE))
    cost = match_costs(state, matches).sum().item()
    if not (pull @ torch.linalg.solve(information, pull)).item() > _WORTH * cost:
        return None
    tried = [fit.run(asked) for asked in (RADIAL, CENTRE)]
    bent, shifted = tried
    enough = (BARREL if bent[0][0] < 0 else PINCUSHION, OFF_CENTRE)
    gain = [left / (share * cost) for (_, _, left), share in zip(tried, enough, strict=True)]
    if not all(map(math.isfinite, gain)) or min(gain) > 1:
        return None
    lens, solved, left = bent if gain[0] < gain[1] else shifted
    both = fit.run((*RADIAL, *CENTRE))
    if both[2] < _BOTH * left:
        lens, solved, left = both
    focal, (width, height) = solved.log_focal.exp().item(), size
    k1, x, y = lens.tolist()
    radial = k1 * (focal / fit.focal) ** 2
    if not RADIAL_RANGE[0] < radial < RADIAL_RANGE[1]:
        return None
    return LensOffset(radial, (x / width, y / height), focal / width)


@dataclass(frozen=True)
class _LensFit:
    """A solved clip whose lens is asked for."""

    state: SceneState
    matches: Correspondences
    priors: Priors
    free: FreeParameters

    @property
    def focal(self) -> float:
        """In pixels, of the pinhole solution; k1 is counted at it."""
        return self.state.log_focal.exp().item()

    def zeros(self) -> Tensor:
        """A pinhole."""
        return torch.zeros(3, device=self.state.log_focal.device)

    def run(self, asked: tuple[int, ...]) -> tuple[Tensor, SceneState, float]:
        """The lens, the scene and the cost that is left, with some of the three unknowns free."""
        chosen = list(asked)
        longest = self.zeros().new_tensor(_LONGEST_STEP)[chosen]
        lens, state = self.zeros(), self.state
        for _ in range(_ROUNDS):
            state, _ = minimise(state, self.straightened(lens), self.priors, _STEPS, self.free)
            information, pull = self.system(state, lens, asked)
            step = torch.linalg.solve(information, pull).float()
            lens = lens.clone()
            lens[chosen] += torch.minimum(torch.maximum(step, -longest), longest)
        matches = self.straightened(lens)
        state, _ = minimise(state, matches, self.priors, _STEPS, self.free)
        return lens, state, match_costs(state, matches).sum().item()

    def straightened(self, lens: Tensor) -> Correspondences:
        """The matches as a pinhole would have seen them."""
        points, matched = (bend_back(one, lens, self.focal) for one in (self.matches.points, self.matches.matched))
        return replace(self.matches, points=points.contiguous(), matched=matched.contiguous())

    def system(self, state: SceneState, lens: Tensor, asked: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """The normal equations of the lens, all other unknowns eliminated: matrix and right side."""
        matches = self.straightened(lens)
        equations = normal_equations(state, matches, self.priors)
        lin = linearise(state, matches)
        robust = lin.in_front / (1 + squared_errors(lin.residual.transpose(1, 2), matches.information))
        weight = robust[..., None, None] * matches.information
        by_lens = self._by_lens(state, lens, asked, lin.residual)  # [edge, 2, lens, point]
        weighted = torch.einsum("epij,ejlp->eilp", weight, by_lens)
        depth = damped_depth(equations, 0.0)[:, None]
        with_depth = depth.new_zeros(len(state), len(asked), depth.shape[-1])
        with_depth.index_add_(0, matches.source, (weighted * lin.by_inverse_depth[:, :, None]).sum(1))
        own = torch.einsum("eilp,eimp->lm", weighted, by_lens) - torch.einsum(
            "flp,fmp->lm", with_depth / depth, with_depth
        )
        pull = -torch.einsum("eilp,eip->l", weighted, lin.residual) - torch.einsum(
            "flp,fp->l", with_depth / depth, equations.depth_right
        )
        size = len(equations.camera_right)
        with_cameras = torch.zeros(len(asked), size + 1, dtype=torch.float64, device=depth.device)
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

    def _by_lens(self, state: SceneState, lens: Tensor, asked: tuple[int, ...], residual: Tensor) -> Tensor:
        """Derivatives of the residuals by the lens, as differences."""
        columns = []
        for number in asked:
            step = self.zeros()
            step[number] = _DIFFERENCES[number]
            moved = self.straightened(lens + step)
            seen = predict_points(state, moved.points, moved.source, moved.target).image
            columns.append(((seen - moved.matched).transpose(1, 2) - residual) / _DIFFERENCES[number])
        return torch.stack(columns, 2)


def _ridged(matrix: Tensor) -> Tensor:
    """A positive semidefinite matrix that can be inverted."""
    size = matrix.diagonal().abs().mean() + 1e-12
    return matrix + 1e-6 * size * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
