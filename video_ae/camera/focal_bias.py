"""The focal length without what noise alone makes of it (`correction_fit` says why there is such a thing).

It shows where a camera moves little: of 20 walks at a quarter of the usual pace it is up to 2.6 %, of walks at the
usual pace 0.1 % at most, where asking for it would cost a fifth of refinement.
"""

import math
from dataclasses import replace

from video_ae.camera.correction_fit import resampled
from video_ae.camera.covariance import measured_focal_deviation, pose_covariance
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.iteration import OuterLoop
from video_ae.camera.problem import Correspondences, KnownParameters, SceneState

_RESAMPLINGS = 4  # whose mean is taken: one by itself is off by a tenth
_WELL_KNOWN = 0.011  # standard deviation of the logarithm, half of what lenses that bend a little add to it


def without_focal_bias(
    outer_loop: OuterLoop, graph: FrameGraph, state: SceneState, matches: Correspondences, known: KnownParameters
) -> SceneState:
    """The scene at the focal length that is left once its bias is taken off; the rest is adjusted to it.

    Nothing changes where the focal length is given, where no point has a depth of its own, and where the
    correspondences tell the focal length well: the bias is then below 0.1 %. Nor does it where the bias is larger than
    a standard deviation: of walks that move little it is at most 0.8 of one, and what is more is no longer known.

    Args:
        outer_loop: how it was solved.
        graph: of the frames.
        state: the solved scene.
        matches: that it was solved on.
        known: what was given.
    """
    free = known.free
    if not (free.focal and free.depth):
        return state
    _, variance = pose_covariance(state, matches, outer_loop.priors(graph, state, known))
    deviation = measured_focal_deviation(variance, len(graph.points))
    if deviation < _WELL_KNOWN:
        return state
    bias = _bias(outer_loop, graph, state, matches, known)
    if abs(bias) > deviation:
        return state
    log_focal = state.log_focal - bias
    given = replace(known, focal=log_focal.exp().item())
    return outer_loop.adjust(graph, replace(state, log_focal=log_focal), matches, given)


def _bias(
    outer_loop: OuterLoop, graph: FrameGraph, state: SceneState, matches: Correspondences, known: KnownParameters
) -> float:
    """By how much the same adjustment changes the logarithm of the focal length, matches being off by chance.

    The prior does not count, since what it does is wanted.
    """
    unmoved = replace(outer_loop, focal=state.log_focal.exp().item() / max(graph.height, graph.width))
    changes = [
        (unmoved.adjust(graph, state, resampled(state, matches, seed), known).log_focal - state.log_focal).item()
        for seed in range(_RESAMPLINGS)
    ]
    return math.fsum(changes) / _RESAMPLINGS
