"""One clip on its way from frames to poses: initialization, iteration, submaps and refinement, step after step."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from video_ae.camera.covariance import (
    fit_confidence,
    pose_covariance,
    rotation_confidence,
)
from video_ae.camera.focal_bias import without_focal_bias
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.global_adjustment import (
    KEYFRAME_GAPS,
    KEYFRAMES,
    KEYFRAMES_OF_LOOPS,
    close_loops,
    covisible_keyframes,
    loops_are_closed,
    propagate_corrections,
)
from video_ae.camera.loop_detection import find_loops
from video_ae.camera.problem import (
    Correspondences,
    KnownParameters,
    Priors,
    SceneState,
    Submap,
    focal_in_pixels,
)
from video_ae.camera.quality_flags import NO_TEXTURE, solver_notes
from video_ae.camera.reprojection import frame_fit, match_costs
from video_ae.camera.submaps import common_focal, merge_submaps, solve_submaps, split_frames
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.camera.working_images import WorkingImages
from video_ae.camera.zoom_search import SolvedPart
from video_ae.geometry.trajectories import spread_frames
from video_ae.progress import report
from video_ae.steps import kept

if TYPE_CHECKING:
    from video_ae.camera.solver import CameraSolver

REFINE_GAPS = (1, 3, 6, 10)
REFINE_SIZE, _SUBMAP_SIZE = 128, 96  # working sizes of refinement: of a whole clip, of submaps
_COMPARED = 64  # frames whose matches tell what closing loops costs
_JOINT_ROUNDS = 2  # over all frames of a clip that was solved in submaps


@dataclass(frozen=True)
class Solution:
    """A state, what it was solved on, and what was given.

    Args:
        graph: the frames at their working size.
        state: the solved scene.
        matches: that it was solved on.
        known: what the solver was not asked for.
    """

    graph: FrameGraph
    state: SceneState
    matches: Correspondences
    known: KnownParameters


class ClipSolving:
    """One clip on its way from frames to a submap of all of them; what that is put together from is kept on demand.

    Args:
        solver: whose settings count.
        images: of the frames that are solved.
        focal_over_width: the focal length where it is known, as fx / width; else it is found.
        keeps_parts: whether `latest` gets the solutions of the last step.
    """

    def __init__(
        self, solver: "CameraSolver", images: WorkingImages, focal_over_width: float | None, keeps_parts: bool = False
    ) -> None:
        self.solver, self.images, self.focal, self._keeps_parts = solver, images, focal_over_width, keeps_parts
        count = len(images.frames)
        self.parts = split_frames(count, count if count <= solver.longest else solver.window, solver.overlap)
        self.latest: list[SolvedPart] = []

    def feed_forward(self) -> Submap:
        """Initialization and iteration of the whole clip, or of submaps that end with one focal length."""
        if len(self.parts) == 1:
            return self._solve(self.parts, lambda number: self._initialize(self.parts[number]))[0]
        submaps = solve_submaps(
            self.parts,
            lambda part: kept("submap", lambda: self._summary(self._initialize(part))),
            lambda *given: kept("submap", lambda: self._continue(*given)),
            lambda *given: kept("cost", lambda: self._cost(*given)),
        )
        focal = self.focal or common_focal(submaps)
        return self._polish_and_merge(submaps, 1, focal, self.solver.size, self.solver.stages[-1])

    def iterate(self, whole: Submap) -> Submap:
        """Iteration from a solution: matched anew at the working size, now that other parts of the frames count.

        Args:
            whole: all frames, of `feed_forward` or of an earlier iteration.
        """
        submaps, focal = [whole.frames(part) for part in self.parts], self.focal
        for gaps in self.solver.stages:
            submaps = self._polish(submaps, 1, focal, self.solver.size, gaps)
            focal = focal or common_focal(submaps)
        return merge_submaps(submaps, self.parts)

    def refine(self, whole: Submap, rounds: int) -> Submap:
        """The same at a higher resolution and wider gaps, matching anew in each round.

        Args:
            whole: all frames, of `feed_forward` or of an earlier refinement.
            rounds: at most.
        """
        if len(self.parts) == 1:
            given = rounds, self.focal, REFINE_SIZE, REFINE_GAPS
            return self._solve(
                self.parts, lambda number: self._settled(self.polish(self.parts[number], whole, *given))
            )[0]
        submaps, focal, size = [whole.frames(part) for part in self.parts], self.focal, _SUBMAP_SIZE
        if focal is None:  # a last round settles on one focal length
            submaps = self._polish(submaps, rounds - 1, None, size, REFINE_GAPS)
            focal, rounds = common_focal(submaps), 1
        whole = self._polish_and_merge(submaps, rounds, focal, size, REFINE_GAPS)
        return self._close_loops(self._adjust(whole))

    def _close_loops(self, adjusted: Submap) -> Submap:
        """The same frames with their loops closed, where some are still open and the other matches do not mind."""
        graph = self.images.graph(self.solver.search_size, self.solver.point_step + 1)
        loops = kept("loops", lambda: find_loops(graph, graph.resample(adjusted.state, adjusted.grid)))
        if loops_are_closed(adjusted, loops, THRESHOLDS.loop_closed):
            return adjusted
        closed = self._adjust(close_loops(adjusted, loops), closed=True)
        sample = spread_frames(len(adjusted), _COMPARED)
        before, after = (self._cost(sample, one.frames(sample)) for one in (adjusted, closed))
        holds = loops_are_closed(closed, loops, THRESHOLDS.loop_disagreement)
        return closed if holds and after < THRESHOLDS.loop_cost_ratio * before else adjusted

    def _adjust(self, whole: Submap, closed: bool = False) -> Submap:
        """All frames adjusted together; of a long video the keyframes, which the others follow.

        A path whose loops have been `closed` stays so: its ends are matched as well, and more keyframes are worth it.
        """
        frames, rounds = list(range(len(whole))), _JOINT_ROUNDS
        if len(frames) <= self.solver.joint:  # submaps hold the focal length less well than all frames together
            once = partial(self.polish, frames, whole, rounds, self.focal, REFINE_SIZE, REFINE_GAPS, closed)
            return self._solve([frames], lambda number: self._settled(once()))[0]
        keyframes = covisible_keyframes(whole, KEYFRAMES_OF_LOOPS if closed else KEYFRAMES)
        if not keyframes:
            return whole
        start, size = whole.frames(keyframes), _SUBMAP_SIZE  # submaps drift
        once = partial(self.polish, keyframes, start, rounds, self.focal, size, KEYFRAME_GAPS, loop_closures=True)
        adjusted = kept("keyframes", lambda: self._summary(self._settled(once())))
        return propagate_corrections(whole, keyframes, adjusted)

    def _initialize(self, part: list[int]) -> Solution:
        solver, coarse = self.solver, self._coarse_graph(part)
        state = solver.initialization.run(coarse, KnownParameters(focal_in_pixels(self.focal, coarse.grid)))
        graph = self.images.graph(solver.size, solver.point_step, part)
        known = KnownParameters(focal_in_pixels(self.focal, graph.grid), None, state.is_pure_rotation)
        state = graph.resample(state, coarse.grid)
        for gaps in solver.stages:
            state, matches = solver.outer_loop.run(graph, state, gaps, known)
        return Solution(graph, state, matches, known)

    def _continue(self, part: list[int], previous: Submap, shared: int) -> Submap:
        """A submap whose first frames end the one before; initialized anew only where that start is lost."""
        solver, coarse = self.solver, self._coarse_graph(part)
        known = KnownParameters(focal_in_pixels(self.focal, coarse.grid))
        ending = previous.frames(slice(len(previous) - shared, None))
        tail = coarse.resample(ending.state, ending.grid)
        state, matches = solver.initialization.continue_from(coarse, tail, known)
        pure_rotation = False
        if match_costs(state, matches).mean() > THRESHOLDS.lost_cost or tail.is_pure_rotation:
            state = solver.initialization.run(coarse, known)
            pure_rotation = state.is_pure_rotation
        graph = self.images.graph(solver.size, solver.point_step, part)
        state = graph.resample(state, coarse.grid).normalized()
        known = KnownParameters(focal_in_pixels(self.focal, graph.grid), state.inverse_depth, pure_rotation)
        state, matches = solver.outer_loop.run(graph, state, solver.stages[0], known)
        return self._summary(Solution(graph, state, matches, known))

    def _polish_and_merge(
        self, submaps: list[Submap], rounds: int, focal: float, size: int, gaps: tuple[int, ...]
    ) -> Submap:
        return merge_submaps(self._polish(submaps, rounds, focal, size, gaps), self.parts)

    def _polish(self, submaps: list[Submap], *given: Any) -> list[Submap]:
        """The submaps of all parts after `polish` with what is given."""
        return self._solve(self.parts, lambda number: self.polish(self.parts[number], submaps[number], *given))

    def _settled(self, one: Solution) -> Solution:
        """What nothing moves any more, its focal length without bias."""
        state = without_focal_bias(self.solver.outer_loop, one.graph, one.state, one.matches, one.known)
        return replace(one, state=state)

    def polish(
        self,
        part: list[int],
        submap: Submap,
        rounds: int,
        focal_over_width: float | None,
        size: int,
        gaps: tuple[int, ...],
        loop_closures: bool = False,
    ) -> Solution:
        """A submap after rounds at a working size.

        Anytime: a round is kept only where it explains its correspondences better than what it began with.

        Args:
            part: the frames' numbers.
            submap: of these frames.
            rounds: at most; 0 matches once.
            focal_over_width: as fx / width where it is kept; else it is solved for.
            size: shorter side of the frames, in pixels.
            gaps: distances of the frames that are matched.
            loop_closures: whether frames that see one place at different times are matched, too.
        """
        solver, graph = self.solver, self.images.graph(size, self.solver.point_step, part)
        state = graph.resample(submap.state, submap.grid).normalized()
        focal = focal_in_pixels(focal_over_width, graph.grid)
        known = KnownParameters(focal, state.inverse_depth, state.is_pure_rotation)
        if focal:
            state = replace(state, log_focal=torch.tensor(focal, device=graph.device).log())
        if not rounds:
            return Solution(graph, state, solver.outer_loop.match(graph, state, gaps, loop_closures), known)
        for _ in range(rounds):
            solved, matches = solver.outer_loop.run(graph, state, gaps, known, loop_closures)
            if match_costs(solved, matches).sum() >= match_costs(state, matches).sum():
                break
            state = solved
        return Solution(graph, state, matches, known)

    def _cost(self, part: list[int], submap: Submap) -> float:
        """Mean cost of the wide correspondences of a submap."""
        graph = self.images.graph(self.solver.size, self.solver.point_step, part)
        state = graph.resample(submap.state, submap.grid).normalized()
        return match_costs(state, self.solver.outer_loop.match(graph, state, self.solver.stages[-1])).mean().item()

    def _coarse_graph(self, part: list[int]) -> FrameGraph:
        return self.images.graph(self.solver.search_size, self.solver.point_step + 1, part)

    def _solve(self, parts: list[list[int]], solve: Callable[[int], Solution]) -> list[Submap]:
        """Summaries of the solutions of some parts, one after another; the solutions stay where that was asked for."""

        def solved(number: int) -> tuple[Submap, SolvedPart | None]:
            report("cameras: refinement", number / len(parts))
            one, part = solve(number), parts[number]
            latest = SolvedPart(part, one.state, one.matches, self._priors(one)) if self._keeps_parts else None
            return self._summary(one), latest

        found = [kept("part", partial(solved, number)) for number in range(len(parts))]
        report("cameras: refinement", 1)
        self.latest = [part for _, part in found if part]
        return [summary for summary, _ in found]

    def forget_parts(self) -> None:
        """Keeps no parts from now on: those of a long video are large."""
        self.latest, self._keeps_parts = [], False

    def _priors(self, solution: Solution) -> Priors:
        return self.solver.outer_loop.priors(solution.graph, solution.state, solution.known)

    def _summary(self, solution: Solution) -> Submap:
        """A solution with its covariances and notes."""
        covariance, variance = pose_covariance(solution.state, solution.matches, self._priors(solution))
        costs, size = frame_fit(solution.state, solution.matches), min(solution.graph.width, solution.graph.height)
        confidence = rotation_confidence(covariance) * fit_confidence(costs, size)
        notes = solver_notes(solution.state, solution.matches, size)
        if any(note.startswith(NO_TEXTURE) for note in notes):
            confidence = confidence * 0.1
        state = solution.state.relative_to_first()
        return Submap(state, solution.graph.grid, covariance, confidence.clamp(0, 1), notes, variance)
