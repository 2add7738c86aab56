"""Initialization: of several hypotheses, the one that explains frames further apart best; or a pure rotation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from video_ae.camera.bundle_adjustment import minimise
from video_ae.camera.direction_search import (
    continued_state,
    directions_on_sphere,
    frame_costs,
    motion_costs,
    smooth_sequence,
    state_from_directions,
    state_of_pure_rotation,
)
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.incremental import SolvedWindow, is_short, register_incrementally, window_size
from video_ae.camera.iteration import OuterLoop
from video_ae.camera.problem import Correspondences, FreeParameters, KnownParameters, SceneState
from video_ae.camera.reprojection import match_costs
from video_ae.camera.thresholds import THRESHOLDS

Solved = tuple[SceneState, float]  # a state and its cost


@dataclass(frozen=True)
class Initialization:
    """How the first state of some frames is found.

    Args:
        outer_loop: matches and solves.
        gaps: frame distances of the first correspondences.
        vote_gaps: frame distances of those that decide between hypotheses.
        focal_starts: focal lengths to try, in units of the longer side.
        candidates: how many hypotheses are compared on the frame distances of `vote_gaps`.
        directions: of translation, spread over the sphere.
    """

    outer_loop: OuterLoop
    gaps: tuple[int, ...]
    vote_gaps: tuple[int, ...]
    focal_starts: tuple[float, ...]
    candidates: int
    directions: int

    def run(self, graph: FrameGraph, known: KnownParameters) -> SceneState:
        """The best of several hypotheses; without any translation where a pure rotation explains the frames.

        Args:
            graph: of the frames.
            known: what is given.
        """
        first = matches = graph.initial_correspondences(self.gaps)
        solved = self._solve_hypotheses(graph, matches, known, prune=True)
        best = deduplicate(solved, self.candidates)
        vote = len(best) > 1
        judged = [self._judged(graph, one, known) for one in best] if vote or is_short(graph.count) else []
        voted = (judged if vote else []) + self._from_windows(graph, known, judged)
        chosen = min(voted, key=lambda one: one.cost, default=None)
        state, matches = (chosen.state, chosen.matches) if chosen else (best[0], matches)
        rotation = self._pure_rotation(graph, first, matches, replace(known, pure_rotation=True))
        wide = THRESHOLDS.pure_rotation_cost_ratio
        ratio = wide if voted else THRESHOLDS.pure_rotation_cost_ratio_neighbors
        only_rotates = match_costs(state, matches).sum() > ratio * match_costs(rotation, matches).sum()
        return rotation if only_rotates else state

    def _from_windows(
        self, graph: FrameGraph, known: KnownParameters, judged: list[SolvedWindow]
    ) -> list[SolvedWindow]:
        """What the best short window carries, where that may be better.

        A wall that fills the image leaves two ways to see it. In short clips the wrong one costs too little to show by
        itself (down to 0.075; right ones 0.04 to 0.13), so these are always asked, and must then cost clearly less.
        """
        if not judged or graph.count <= window_size(graph.count).frames:
            return []
        least = min(one.cost for one in judged)
        if is_short(graph.count):
            other = self._register_incrementally(graph, known)
            return [other] if least > THRESHOLDS.resolve_cost_ratio * other.cost else []
        return [self._register_incrementally(graph, known)] if least > THRESHOLDS.reinit_cost else []

    def continue_from(
        self, graph: FrameGraph, tail: SceneState, known: KnownParameters
    ) -> tuple[SceneState, Correspondences]:
        """A window whose first frames are known, and its first correspondences.

        Args:
            graph: of the window's frames.
            tail: the state of its first frames.
            known: what is given.
        """
        matches = graph.initial_correspondences(self.gaps)
        state = continued_state(matches, tail, graph.count)
        priors = self.outer_loop.priors(graph, state, replace(known, inverse_depth=state.inverse_depth))
        state, _ = minimise(state, matches, priors, 5, FreeParameters(depth=False, focal=False))
        state, _ = minimise(state, matches, priors, self.outer_loop.steps, known.free)
        return state, matches

    def _solve_hypotheses(
        self, graph: FrameGraph, matches: Correspondences, known: KnownParameters, prune: bool
    ) -> list[Solved]:
        """Bundle adjustment of every hypothesis; with `prune` the hopeless ones are given up after a few steps."""
        priors, steps = self.outer_loop.priors(graph, None, known), self.outer_loop.steps
        started = [
            minimise(state, matches, priors, 2, FreeParameters(cameras=False))[0]
            for state in self._hypotheses(graph, matches, known)
        ]
        if not prune:
            return [minimise(state, matches, priors, steps, known.free) for state in started]
        tried = [minimise(state, matches, priors, 3, known.free) for state in started]
        limit = THRESHOLDS.prune_cost_ratio * min(cost for _, cost in tried)
        return [minimise(state, matches, priors, steps, known.free) for state, cost in tried if cost <= limit]

    def _hypotheses(self, graph: FrameGraph, matches: Correspondences, known: KnownParameters) -> Iterator[SceneState]:
        """Per focal length the best sequence of translation directions, and the same with the opposite sign."""
        directions = directions_on_sphere(self.directions, graph.device)
        for focal in self._focals(graph, known, self.focal_starts):
            costs = motion_costs(matches, focal, directions)
            per_frame = frame_costs(costs, matches, graph.count)
            sequence = smooth_sequence(per_frame, directions, 1.0 * len(matches.points))
            opposite = (sequence + len(directions) // 2) % len(directions)
            for path in (sequence, opposite):
                yield state_from_directions(costs, matches, directions, path, focal, graph.count)

    @staticmethod
    def _focals(graph: FrameGraph, known: KnownParameters, starts: tuple[float, ...]) -> list[float]:
        """Focal lengths to try, in pixels."""
        return [known.focal] if known.focal else [start * max(graph.height, graph.width) for start in starts]

    def _register_incrementally(self, graph: FrameGraph, known: KnownParameters) -> SolvedWindow:
        """A state that was extended from the best seed window."""

        def judge(part: FrameGraph, state: SceneState) -> SolvedWindow:
            return self._judged(part, state, known)

        def solve(part: FrameGraph) -> SolvedWindow:
            solved = self._solve_hypotheses(part, part.initial_correspondences(self.gaps), known, prune=False)
            return min((judge(part, one) for one in deduplicate(solved, self.candidates)), key=lambda one: one.cost)

        return register_incrementally(
            graph, solve, lambda part, tail: judge(part, self.continue_from(part, tail, known)[0]), judge
        )

    def _judged(self, graph: FrameGraph, state: SceneState, known: KnownParameters) -> SolvedWindow:
        """Matched and solved anew on the frame distances that decide."""
        state, matches = self.outer_loop.run(graph, state, self.vote_gaps, known)
        return SolvedWindow(state, matches, match_costs(state, matches).mean().item())

    def _pure_rotation(
        self, graph: FrameGraph, first: Correspondences, matches: Correspondences, known: KnownParameters
    ) -> SceneState:
        """The state without translation that explains `matches` best; it starts from those of neighbours (`first`)."""
        priors, steps = self.outer_loop.priors(graph, None, known), self.outer_loop.steps
        solved = []
        for focal in self._focals(graph, known, self.focal_starts[::2]):
            start = state_of_pure_rotation(first, focal, graph.count)
            state, _ = minimise(start, first, priors, steps, known.free)
            solved.append(minimise(state, matches, priors, steps, known.free))
        return min(solved, key=lambda pair: pair[1])[0]


def deduplicate(solved: list[Solved], count: int) -> list[SceneState]:
    """The states of least cost, leaving out those that ended at the same cost as one already kept.

    Args:
        solved: states and their costs.
        count: how many at most.
    """
    kept: list[Solved] = []
    for state, cost in sorted(solved, key=lambda pair: pair[1]):
        if all(abs(cost - other) > THRESHOLDS.duplicate_cost * other for _, other in kept):
            kept.append((state, cost))
    return [state for state, _ in kept[:count]]
