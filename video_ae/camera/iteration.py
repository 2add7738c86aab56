"""One round of the outer loop: match from where the scene predicts each point, then solve (DROID-SLAM, Teed & Deng
2021), and the weak knowledge that goes into it."""

from dataclasses import dataclass

import torch

from video_ae.camera.bundle_adjustment import minimise, normalise_scale
from video_ae.camera.estimates import possible
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.problem import FreeParameters, KnownParameters, Matches, Priors, SceneState

_PRIOR_FOCAL = 0.8  # of the longer side: between phones (0.7-0.9), RealEstate10K (0.5-0.6) and webcams (0.9-1.0)
_FOCAL_WEIGHT = 50.0
_SOLVES = 3  # per round; the depth prior follows the solution


@dataclass(frozen=True)
class Rounds:
    """steps: solver steps per solve. smoothness: weight that pulls each inverse depth to the mean of its neighbours."""

    steps: int
    smoothness: float

    def run(
        self, graph: FrameGraph, state: SceneState, gaps: tuple[int, ...], known: KnownParameters, loops: int = 0
    ) -> tuple[SceneState, Matches]:
        """The state after a round on pairs `gaps` apart and some `loops`, at mean inverse depth 1, and its matches."""
        matches = graph.guided_matches(possible(gaps, graph.count), state, loops=loops)
        for _ in range(_SOLVES):
            state = normalise_scale(state)
            state, _ = minimise(state, matches, self.priors(graph, state, known), self.steps, self.unknowns(known))
        return normalise_scale(state), matches

    @staticmethod
    def unknowns(known: KnownParameters) -> FreeParameters:
        """What is solved for, given what is known."""
        return FreeParameters(depth=not known.turning, translation=not known.turning, focal=known.focal is None)

    def priors(self, graph: FrameGraph, state: SceneState | None, known: KnownParameters) -> Priors:
        """Smoothness around the state, or a constant (or the given) depth before there is one.

        Given depths keep half of the prior, so that rounds of smoothing do not wear away what nothing else holds.
        """
        ones = torch.ones(graph.count, len(graph.points), device=graph.device)
        depth = known.inverse_depth if known.inverse_depth is not None else ones
        if state is not None:
            smooth = graph.smoothed(state.inverse_depth)
            depth = smooth if known.inverse_depth is None else (smooth + depth) / 2
        focal = known.focal or _PRIOR_FOCAL * max(graph.height, graph.width)
        log_focal = torch.tensor(focal, device=graph.device).log()
        return Priors(depth, self.smoothness * ones, log_focal, _FOCAL_WEIGHT)
