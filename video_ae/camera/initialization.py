"""The start of the cameras: from several, the one that explains frames further apart best; or none, if the camera only
turns."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from video_ae.camera.bundle_adjustment import match_costs, minimise
from video_ae.camera.direction_search import (
    continued_start,
    directions_on_sphere,
    frame_costs,
    motion_costs,
    smooth_sequence,
    start_from_directions,
    turning_start,
)
from video_ae.camera.estimates import distinct
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.incremental import SHARED, WINDOW, Solved, grown_start
from video_ae.camera.iteration import Rounds
from video_ae.camera.problem import FreeParameters, KnownParameters, Matches, SceneState

_HARDLY_MORE = {False: 0.4, True: 0.34}  # translation must leave less than this part of the cost of turning alone, in
# matches of neighbours and in those of wider gaps, where there is more parallax to explain
_SUSPECT = 0.1  # mean cost of a match above which the best start of all frames competes with one that grows
_HOPELESS = 1.5  # a start whose cost is that much above the best one's after a few steps is given up


@dataclass(frozen=True)
class StartSearch:
    """rounds: the outer loop. gaps: frame distances of the first matches; vote_gaps: of those that decide.

    focal_starts: focal lengths to try, in units of the longer side. candidates: how many starts are voted on.
    directions: of motion, spread over the sphere.
    """

    rounds: Rounds
    gaps: tuple[int, ...]
    vote_gaps: tuple[int, ...]
    focal_starts: tuple[float, ...]
    candidates: int
    directions: int

    def run(self, graph: FrameGraph, known: KnownParameters) -> tuple[SceneState, bool]:
        """(the best of several starts, whether the camera only turns)."""
        first = matches = graph.first_matches(self.gaps)
        priors, free = self.rounds.priors(graph, None, known), self.rounds.unknowns(known)
        tried = []
        for start in self._starts(graph, matches, known):
            state, _ = minimise(start, matches, priors, 2, FreeParameters(cameras=False))
            tried.append(minimise(state, matches, priors, 3, free))
        limit = _HOPELESS * min(cost for _, cost in tried)
        solved = [minimise(state, matches, priors, self.rounds.steps, free) for state, cost in tried if cost <= limit]
        best = distinct(solved, self.candidates)
        voted = [self.rounds.run(graph, state, self.vote_gaps, known) for state in best] if len(best) > 1 else []
        scores = [match_costs(*one).mean().item() for one in voted]
        if voted and min(scores) > _SUSPECT and graph.count > WINDOW + SHARED:
            voted.append(self.rounds.run(graph, self._grown(graph, known), self.vote_gaps, known))
            scores.append(match_costs(*voted[-1]).mean().item())
        state, matches = voted[scores.index(min(scores))] if voted else (best[0], matches)
        still = self._turn_only(graph, first, matches, replace(known, turning=True))
        only_turns = match_costs(state, matches).sum() > _HARDLY_MORE[bool(voted)] * match_costs(still, matches).sum()
        return (still, True) if only_turns else (state, False)

    def go_on(self, graph: FrameGraph, tail: SceneState, known: KnownParameters) -> tuple[SceneState, Matches]:
        """A window whose first frames are known, and its first matches."""
        matches = graph.first_matches(self.gaps)
        state = continued_start(matches, tail, graph.count)
        priors = self.rounds.priors(graph, state, replace(known, inverse_depth=state.inverse_depth))
        state, _ = minimise(state, matches, priors, 5, FreeParameters(depth=False, focal=False))
        state, _ = minimise(state, matches, priors, self.rounds.steps, self.rounds.unknowns(known))
        return state, matches

    def _grown(self, graph: FrameGraph, known: KnownParameters) -> SceneState:
        """A start that grew from the surest short window."""

        def solve(part: FrameGraph) -> Solved:
            matches = part.first_matches(self.gaps)
            priors, free = self.rounds.priors(part, None, known), self.rounds.unknowns(known)
            tried = []
            for start in self._starts(part, matches, known):
                state, _ = minimise(start, matches, priors, 2, FreeParameters(cameras=False))
                tried.append(minimise(state, matches, priors, self.rounds.steps, free))
            return min((judged(part, state) for state in distinct(tried, self.candidates)), key=lambda one: one.cost)

        def judged(part: FrameGraph, state: SceneState) -> Solved:
            state, matches = self.rounds.run(part, state, self.vote_gaps, known)
            return Solved(state, match_costs(state, matches).mean().item())

        return grown_start(graph, solve, lambda part, tail: judged(part, self.go_on(part, tail, known)[0]), _SUSPECT)

    def _starts(self, graph: FrameGraph, matches: Matches, known: KnownParameters) -> Iterator[SceneState]:
        """States to start from: per focal length the best sequence of directions and its mirror image."""
        directions = directions_on_sphere(self.directions, graph.device)
        longer = max(graph.height, graph.width)
        for focal in [known.focal] if known.focal else [f * longer for f in self.focal_starts]:
            costs = motion_costs(matches, focal, directions)
            per_frame = frame_costs(costs, matches, graph.count)
            sequence = smooth_sequence(per_frame, directions, 1.0 * len(matches.points))
            opposite = (sequence + len(directions) // 2) % len(directions)
            for path in (sequence, opposite):
                state = start_from_directions(costs, matches, directions, path, focal, graph.count)
                depth = state.inverse_depth if known.inverse_depth is None else known.inverse_depth
                yield SceneState(state.camera_from_world, depth.clone(), state.log_focal)

    def _turn_only(self, graph: FrameGraph, first: Matches, matches: Matches, known: KnownParameters) -> SceneState:
        """The state without translation that explains matches best; it starts from those of neighbours (`first`)."""
        longer = max(graph.height, graph.width)
        priors, free = self.rounds.priors(graph, None, known), self.rounds.unknowns(known)
        solved = []
        for focal in [known.focal] if known.focal else [f * longer for f in self.focal_starts[::2]]:
            state, _ = minimise(turning_start(first, focal, graph.count), first, priors, self.rounds.steps, free)
            solved.append(minimise(state, matches, priors, self.rounds.steps, free))
        return min(solved, key=lambda pair: pair[1])[0]
