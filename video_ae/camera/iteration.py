"""One round of the outer loop: match from where the scene predicts each point, then solve (DROID-SLAM, Teed & Deng
2021), and the weak knowledge that goes into it."""

from dataclasses import dataclass

import torch

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.covariance import dependence
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.loop_closure import find_loop_closures
from video_ae.camera.problem import Correspondences, KnownParameters, Priors, SceneState, clamp_gaps

_COMMON_FOCAL = 0.8  # of the longer side: between phones (0.7-0.9), RealEstate10K (0.5-0.6) and webcams (0.9-1.0)
_FOCAL_WEIGHT = 50.0
_SOLVES = 3  # per round; the depth prior follows the solution


@dataclass(frozen=True)
class OuterLoop:
    """How a round solves.

    Args:
        steps: solver steps per solve.
        smoothness: weight that pulls each inverse depth to the mean of its neighbours.
        focal: what the focal length is pulled to, in units of the longer side.
        focal_deviation: standard deviation of its logarithm around that; by default it weighs as much as one or two
            correspondences, of which most are not independent, so that it counts for nothing where they tell.
    """

    steps: int
    smoothness: float
    focal: float = _COMMON_FOCAL
    focal_deviation: float | None = None

    def run(
        self,
        graph: FrameGraph,
        state: SceneState,
        gaps: tuple[int, ...],
        known: KnownParameters,
        loop_closures: bool = False,
    ) -> tuple[SceneState, Correspondences]:
        """The state after a round, at mean inverse depth 1, and the correspondences that it was solved on.

        Args:
            graph: of the frames.
            state: to begin from.
            gaps: distances of the frames of a pair.
            known: what is given.
            loop_closures: whether pairs further apart that see the same are matched as well.
        """
        matches = self.match(graph, state, gaps, loop_closures)
        return self.adjust(graph, state, matches, known), matches

    def adjust(
        self, graph: FrameGraph, state: SceneState, matches: Correspondences, known: KnownParameters
    ) -> SceneState:
        """The state that explains correspondences, at mean inverse depth 1.

        Args:
            graph: of the frames.
            state: to begin from.
            matches: the correspondences.
            known: what is given.
        """
        for _ in range(_SOLVES):
            state = state.normalized()
            state, _ = minimise(state, matches, self.priors(graph, state, known), self.steps, known.free)
        return state.normalized()

    @staticmethod
    def match(
        graph: FrameGraph, state: SceneState, gaps: tuple[int, ...], loop_closures: bool = False
    ) -> Correspondences:
        """The correspondences of a round.

        Args:
            graph: of the frames.
            state: predicts them.
            gaps: distances of the frames of a pair.
            loop_closures: whether pairs further apart that see the same are matched as well.
        """
        gaps = clamp_gaps(gaps, graph.count)
        loops = find_loop_closures(graph, state, max(gaps) + 1) if loop_closures else None
        return graph.guided_correspondences(gaps, state, others=loops)

    def priors(self, graph: FrameGraph, state: SceneState | None, known: KnownParameters) -> Priors:
        """Smoothness around a state, or a constant (or the given) depth before there is one.

        Given depths keep half of the prior, so that rounds of smoothing do not wear away what nothing else holds.

        Args:
            graph: of the frames.
            state: the scene so far, if there is one.
            known: what is given.
        """
        ones = torch.ones(graph.count, len(graph.points), device=graph.device)
        depth = known.inverse_depth if known.inverse_depth is not None else ones
        if state is not None:
            smooth = graph.smoothed(state.inverse_depth)
            depth = smooth if known.inverse_depth is None else (smooth + depth) / 2
        focal = known.focal or self.focal * max(graph.height, graph.width)
        log_focal = torch.tensor(focal, device=graph.device).log()
        weight = _FOCAL_WEIGHT
        if self.focal_deviation is not None:
            weight = dependence(len(graph.points)) / self.focal_deviation**2
        return Priors(depth, self.smoothness * ones, log_focal, weight)
