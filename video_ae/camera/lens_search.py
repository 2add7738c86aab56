"""Whether the camera of a clip is no pinhole: a lens that bends, or an image that was cut off its centre.

They are corrections of the matches (`correction_fit`), which are bent back as a lens would have bent them. The bias of
what is found is taken off: noise alone bends the walk-throughs of a pinhole camera by a radial coefficient of 0.004 to
0.04. A lens is believed where it is several times as strong as what is left and saves more of the cost than one more
unknown would of noise, which few frames hardly tell; or where matches cost clearly less. A strong one is asked for
again in frames that were undistorted by what was found first, and nothing is taken off before. A principal point is
believed where matches cost clearly less (real clips gain up to 4 % by one off the centre), unless the scene is lost and
the point runs away.
"""

import math
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.correction_fit import ROUNDS, CorrectionFit, resampled
from video_ae.camera.covariance import dependence, typical_lost_cost
from video_ae.camera.problem import Correspondences, FreeParameters, Priors, SceneState
from video_ae.camera.reprojection import match_costs
from video_ae.types import LensOffset

RADIAL, CENTRE = (0,), (1, 2)  # which of k1 and the principal point's x and y are asked for
LEAST_RADIAL = 0.012  # of k1; where there is none, up to 0.0055 is found
_DEVIATIONS = 9.0  # of k1, were all matches independent; without a lens it is off by up to 4.5
_AGREE = 3.0  # times what the first step says: of lenses up to 1.9, of a walk that moves little and has none 3.8
_MOST_BIAS = 2.0  # times what is left of a lens once it is taken off: of lenses up to 1.4, of a walk without one 2.8
_ODDS = math.log(10)  # against a lens that shows, before any match is seen
STRONG_RADIAL = -0.1  # of k1: beyond it the scene is too bent to tell what noise would make of it
BARREL, OFF_CENTRE = 0.96, 0.95  # part of the cost that k1 < 0 and a principal point leave at most, to be clear
_BOTH = 0.97  # the same for both together, beside the better one alone
_WORTH = 0.04  # of the cost: a principal point that saves less, predicted by one step, is not tried
RADIAL_RANGE = (-1.0, 0.12)  # of k1; above it are 5 % of phones, and forward motion, whose depth takes its place
_LEAST_FACTOR = 0.3  # by which a lens shortens an image point at most; further out there is no ray
_LONGEST_STEP = (0.1, 2.0, 2.0)  # of a round: of k1, and pixels of the working size
_ARRIVED = 0.99  # of all longest steps: a point that is further out has not come to rest
_DIFFERENCES = (1e-3, 0.02, 0.02)
_STEPS = 6  # of bundle adjustment


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
    search = _LensFits(state, matches, priors, free, size)
    found = [one for one in (search.radial(), search.centre()) if one is not None]
    if not found:
        return None
    best = min(found, key=lambda one: one.cost)
    if search.may_be_off_centre and (both := search.fitted((*RADIAL, *CENTRE))).cost < _BOTH * best.cost:
        best = both
    if search.runs_away(best):
        return None
    focal, (width, height) = best.state.log_focal.exp().item(), size
    k1, x, y = best.lens.tolist()
    radial = k1 * (focal / search.focal) ** 2
    if not RADIAL_RANGE[0] < radial < RADIAL_RANGE[1]:
        return None
    return LensOffset(radial, (x / width, y / height), focal / width)


@dataclass(frozen=True)
class _Bent:
    """A lens, the scene that goes with it, and what the matches then cost."""

    lens: Float[Tensor, "3"]
    state: SceneState
    cost: float


class _LensFits:
    """A solved clip and what can be asked of its lens; the arguments are those of `search_lens`."""

    def __init__(
        self,
        state: SceneState,
        matches: Correspondences,
        priors: Priors,
        free: FreeParameters,
        size: tuple[int, int],
    ) -> None:
        self._matches, self._priors, self._free = matches, priors, free
        state, _ = minimise(state, matches, priors, _STEPS, free)
        self.focal = state.log_focal.exp().item()  # in pixels, of a pinhole; k1 is counted at it
        self._fit, self._cost = self._fit_to(state, matches), match_costs(state, matches).sum().item()
        self._is_lost = self._cost > typical_lost_cost(min(size)) * matches.reliable.sum().item()
        self.may_be_off_centre = self._fit.predicted_gain((*RADIAL, *CENTRE)) > _WORTH * self._cost

    def radial(self) -> _Bent | None:
        """A lens that bends, where one is found."""
        first = self._first_step()
        if abs(first) < LEAST_RADIAL / 2:
            return None
        bent = self.fitted(RADIAL)
        clear = bent.lens[0].item() < 0 and bent.cost < BARREL * self._cost
        if clear and bent.lens[0] < STRONG_RADIAL:
            return bent
        found = self.debiased(bent)
        information, _ = self._fit.system(found.state, found.lens, RADIAL)
        least = max(LEAST_RADIAL, _DEVIATIONS * information.item() ** -0.5)
        agree = 0 < found.lens[0].item() / first < _AGREE
        certain = abs((bent.lens - found.lens)[0].item()) < _MOST_BIAS * abs(found.lens[0].item())
        strong = least < abs(found.lens[0].item())
        believed = clear or (agree and certain and strong and self._evidence(found) > _ODDS)
        return found if believed and found.cost < self._cost else None

    def _evidence(self, found: _Bent) -> float:
        """Logarithm of how much likelier the matches are with one more unknown (Bayesian information criterion)."""
        points, edges = len(self._matches.points), len(self._matches.source)
        shared = dependence(points)
        return (self._cost - found.cost) / shared - math.log(edges * points / shared) / 2

    def centre(self) -> _Bent | None:
        """A principal point off the centre, where one is found."""
        if not self.may_be_off_centre:
            return None
        found = self.fitted(CENTRE)
        return found if found.cost < OFF_CENTRE * self._cost else None

    def runs_away(self, found: _Bent) -> bool:
        """Whether a principal point went as far as it could, in a scene that is lost without it.

        Args:
            found: a lens and its scene.
        """
        return self._is_lost and found.lens[1:].abs().max().item() > _ARRIVED * ROUNDS * max(_LONGEST_STEP)

    def fitted(self, asked: tuple[int, ...]) -> _Bent:
        """What costs least.

        Args:
            asked: positions of what is free.
        """
        lens, state, cost = self._fit.run(asked)
        return _Bent(lens, state, cost if math.isfinite(cost) else math.inf)

    def debiased(self, bent: _Bent) -> _Bent:
        """A lens that bends without what noise alone would have made it.

        Args:
            bent: that costs least.
        """
        bias, _, _ = self._fit_to(bent.state, resampled(bent.state, self._fit.correct(bent.lens))).run(RADIAL)
        straight = self._fit.correct(bent.lens - bias)
        state, _ = minimise(bent.state, straight, self._priors, _STEPS, self._free)
        return _Bent(bent.lens - bias, state, match_costs(state, straight).sum().item())

    def _first_step(self) -> float:
        """About two thirds of the k1 that `debiased` finds, in a seventh of the time."""
        noise = resampled(self._fit.state, self._matches)
        state, _ = minimise(self._fit.state, noise, self._priors, _STEPS, self._free)
        found, bias = (_newton_step(one) for one in (self._fit, self._fit_to(state, noise)))
        return found - bias

    def _fit_to(self, state: SceneState, matches: Correspondences) -> CorrectionFit:
        def straightened(lens: Float[Tensor, "3"]) -> Correspondences:
            points, matched = (bend_back(one, lens, self.focal) for one in (matches.points, matches.matched))
            return replace(matches, points=points.contiguous(), matched=matched.contiguous())

        return CorrectionFit(state, straightened, self._priors, self._free, _LONGEST_STEP, _DIFFERENCES)


def _newton_step(fit: CorrectionFit) -> float:
    """Of k1, from a pinhole."""
    information, pull = fit.system(fit.state, fit.zeros(), RADIAL)
    return (pull / information[0]).item()
