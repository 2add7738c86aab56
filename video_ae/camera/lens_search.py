"""Whether the camera of a clip is no pinhole: a lens that bends, or an image that was cut off its centre.

They are corrections of the matches (`correction_fit`), which are bent back as a lens would have bent them, and believed
only where the matches cost clearly less: walk-throughs of a pinhole camera gain up to 1.5 % by a radial coefficient of
0.01 to 0.04, which is the bias of matching, and real ones up to 4 % by a principal point off the centre.
"""

import math
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from video_ae.camera.correction_fit import CorrectionFit
from video_ae.camera.problem import Correspondences, FreeParameters, Priors, SceneState
from video_ae.camera.reprojection import match_costs
from video_ae.types import LensOffset

RADIAL, CENTRE = (0,), (1, 2)  # which of k1 and the principal point's x and y are asked for
BARREL, PINCUSHION, OFF_CENTRE = 0.96, 0.90, 0.95  # part of the cost that each leaves at most
_BOTH = 0.97  # the same for both together, beside the better one alone
_WORTH = 0.04  # of the cost: less than this, predicted by one step, is not tried
RADIAL_RANGE = (-1.0, 0.12)  # of k1; above it are 5 % of phones, and forward motion, whose depth takes its place
_LEAST_FACTOR = 0.3  # by which a lens shortens an image point at most; further out there is no ray
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
    pinhole_focal = state.log_focal.exp().item()  # in pixels; k1 is counted at it

    def straightened(lens: Float[Tensor, "3"]) -> Correspondences:
        points, matched = (bend_back(one, lens, pinhole_focal) for one in (matches.points, matches.matched))
        return replace(matches, points=points.contiguous(), matched=matched.contiguous())

    fit = CorrectionFit(state, straightened, priors, free, _LONGEST_STEP, _DIFFERENCES)
    cost = match_costs(state, matches).sum().item()
    if not fit.predicted_gain((*RADIAL, *CENTRE)) > _WORTH * cost:
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
    radial = k1 * (focal / pinhole_focal) ** 2
    if not RADIAL_RANGE[0] < radial < RADIAL_RANGE[1]:
        return None
    return LensOffset(radial, (x / width, y / height), focal / width)
