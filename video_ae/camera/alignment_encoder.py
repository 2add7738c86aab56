"""Camera poses and the focal length from frames alone, by matching and dense bundle adjustment."""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from video_ae.camera.bundle_adjustment import (
    Matches,
    Priors,
    SceneState,
    Unknowns,
    match_costs,
    minimise,
    normalise_scale,
)
from video_ae.camera.features import LocalContrast
from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.motion_search import (
    directions_on_sphere,
    frame_costs,
    motion_costs,
    smooth_sequence,
    start_from_directions,
    turning_start,
)
from video_ae.camera.uncertainty import describe
from video_ae.errors import UserError
from video_ae.geometry.se3 import invert
from video_ae.types import CameraEstimate, Cameras

_PRIOR_FOCAL = 0.8  # of the longer side: between phones (0.7-0.9), RealEstate10K (0.5-0.6) and webcams (0.9-1.0)
_FOCAL_WEIGHT = 50.0
_HARDLY_MORE = 0.4  # translation must leave less than this part of the cost that turning alone leaves
_HOPELESS = 1.5  # a start whose cost is that much above the best one's after a few steps is given up


@dataclass(frozen=True)
class _Knowledge:
    """What is given about a clip: focal length in pixels (None: unknown), inverse depths on the point grid.

    turning: the camera only turns, there is neither translation nor depth to be found.
    """

    focal: float | None
    inverse_depth: Tensor | None
    turning: bool = False


class AlignmentEncoder(nn.Module):
    """Frames -> camera poses, one focal length, coarse inverse depths; nothing in it is learnt.

    1. Dense matches between near frames; every direction of motion is tried for several focal lengths
       (`motion_search`), the most promising starts are solved by dense bundle adjustment at a small size.
    2. Frames further apart are matched from where each start predicts them; the start that explains them best wins.
    3. The same at the working size, with growing gaps (the outer loop of DROID-SLAM, Teed & Deng 2021).

    size: working size, pixels of the shorter side. search_size: the same for steps 1 and 2.
    levels: of the feature pyramid. point_step: distance of the points that get a depth, in pixels.
    search_gaps, vote_gaps: frame distances of steps 1 and 2. stages: those of each round of step 3.
    focal_starts: focal lengths to try, in units of the longer side.
    candidates: how many starts go into step 2. steps: solver steps per round.
    smoothness: weight that pulls each inverse depth to the mean of its neighbours.
    features: module from frames to feature maps (default: local contrast).
    """

    def __init__(
        self,
        size: int = 64,
        search_size: int = 64,
        levels: int = 4,
        point_step: int = 3,
        search_gaps: tuple[int, ...] = (1, 2, 3),
        vote_gaps: tuple[int, ...] = (1, 2, 4, 6),
        stages: tuple[tuple[int, ...], ...] = ((1, 2, 4, 6), (1, 3, 5, 8)),
        focal_starts: tuple[float, ...] = (0.5, 0.7, 1.0, 1.4),
        candidates: int = 3,
        steps: int = 10,
        smoothness: float = 1.0,
        directions: int = 160,
        features: nn.Module | None = None,
    ):
        super().__init__()
        self.size, self.search_size = size, search_size
        self.levels, self.point_step = levels, point_step
        self.search_gaps, self.vote_gaps, self.stages = search_gaps, vote_gaps, stages
        self.focal_starts, self.candidates = focal_starts, candidates
        self.steps, self.smoothness, self.directions = steps, smoothness, directions
        self.features = features or LocalContrast()

    @torch.no_grad()
    def forward(
        self,
        frames: Float[Tensor, "batch frame 3 height width"],
        focal_over_width: float | None = None,
        inverse_depth: Float[Tensor, "batch frame rows columns"] | None = None,
    ) -> CameraEstimate:
        """Poses of all frames; the first frame is the world, the mean inverse depth is 1.

        focal_over_width: the focal length in widths where it is known; else it is found.
        inverse_depth: learnt inverse depths (any scale and size), used as start and prior.
        Raises UserError for fewer than two frames.
        """
        if frames.shape[1] < 2:
            raise UserError(f"{frames.shape[1]} frame was given, at least 2 are needed to find a camera's motion")
        depths = [None] * len(frames) if inverse_depth is None else list(inverse_depth)
        return _stack([self._solve(c, focal_over_width, d) for c, d in zip(frames, depths, strict=True)])

    @torch.no_grad()
    def refine(
        self,
        frames: Float[Tensor, "batch frame 3 height width"],
        estimate: CameraEstimate,
        steps: int = 3,
        focal_over_width: float | None = None,
        size: int = 96,
        gaps: tuple[int, ...] = (1, 3, 6, 10),
    ) -> CameraEstimate:
        """The same at a higher resolution and wider gaps, matching anew in each of `steps` rounds.

        Anytime: a round's result is kept only where it explains that round's matches better than what it began with.
        """
        results = []
        for i, clip in enumerate(frames):
            graph = self._graph(clip, size)
            state = _state_of(estimate, i, graph)
            known = _Knowledge(_in_pixels(focal_over_width, graph), None)
            for _ in range(steps):
                state, _, _ = self._round(graph, state, gaps, known)
            matches = graph.guided_matches(gaps, state)
            results.append(describe(state, matches, self._priors(graph, state, known), graph, clip))
        return _stack(results)

    def _graph(self, clip: Tensor, size: int, step: int | None = None) -> FrameGraph:
        height, width = clip.shape[-2:]
        ratio = size / min(height, width)
        shape = (max(8, round(height * ratio)), max(8, round(width * ratio)))
        small = F.interpolate(clip.float(), size=shape, mode="bilinear", antialias=True, align_corners=False)
        return FrameGraph(small, self.features, self.levels, step or self.point_step)

    def _solve(self, clip: Tensor, focal_over_width: float | None, inverse_depth: Tensor | None) -> CameraEstimate:
        coarse = self._graph(clip, self.search_size, self.point_step + 1)
        state, turning = self._search(coarse, focal_over_width, inverse_depth)
        graph = self._graph(clip, self.size)
        state = transfer(state, coarse, graph)
        known = _Knowledge(_in_pixels(focal_over_width, graph), _on_grid(inverse_depth, graph), turning)
        for gaps in self.stages:
            state, matches, _ = self._round(graph, state, gaps, known)
        return describe(state, matches, self._priors(graph, state, known), graph, clip)

    def _search(
        self, graph: FrameGraph, focal_over_width: float | None, inverse_depth: Tensor | None
    ) -> tuple[SceneState, bool]:
        """Steps 1 and 2: (the best of several starts, whether the camera only turns)."""
        known = _Knowledge(_in_pixels(focal_over_width, graph), _on_grid(inverse_depth, graph))
        first = matches = graph.first_matches(self.search_gaps)
        priors, free = self._priors(graph, None, known), self._unknowns(known)
        tried = []
        for start in self._starts(graph, matches, known):
            state, _ = minimise(start, matches, priors, 2, Unknowns(cameras=False))
            tried.append(minimise(state, matches, priors, 3, free))
        limit = _HOPELESS * min(cost for _, cost in tried)
        solved = [minimise(state, matches, priors, self.steps, free) for state, cost in tried if cost <= limit]
        best = _distinct(solved, self.candidates)
        voted = [self._round(graph, state, self.vote_gaps, known) for state in best] if len(best) > 1 else []
        scores = [match_costs(state, matches).mean().item() for state, matches, _ in voted]
        state, matches = voted[scores.index(min(scores))][:2] if voted else (best[0], matches)
        still = self._turn_only(graph, first, matches, replace(known, turning=True))
        only_turns = match_costs(state, matches).sum() > _HARDLY_MORE * match_costs(still, matches).sum()
        return (still, True) if only_turns else (state, False)

    def _starts(self, graph: FrameGraph, matches: Matches, known: _Knowledge):
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

    def _turn_only(self, graph: FrameGraph, first: Matches, matches: Matches, known: _Knowledge) -> SceneState:
        """The state without translation that explains matches best; it starts from those of neighbours (`first`)."""
        longer = max(graph.height, graph.width)
        priors, free = self._priors(graph, None, known), self._unknowns(known)
        solved = []
        for focal in [known.focal] if known.focal else [f * longer for f in self.focal_starts[::2]]:
            state, _ = minimise(turning_start(first, focal, graph.count), first, priors, self.steps, free)
            solved.append(minimise(state, matches, priors, self.steps, free))
        return min(solved, key=lambda pair: pair[1])[0]

    def _round(
        self, graph: FrameGraph, state: SceneState, gaps: tuple[int, ...], known: _Knowledge
    ) -> tuple[SceneState, Matches, float]:
        """Match from the predicted flow, then solve; the depth prior follows the solution."""
        matches = graph.guided_matches(_possible(gaps, graph.count), state)
        cost = math.inf
        for _ in range(3):
            state = normalise_scale(state)
            state, cost = minimise(state, matches, self._priors(graph, state, known), self.steps, self._unknowns(known))
        return normalise_scale(state), matches, cost

    def _unknowns(self, known: _Knowledge) -> Unknowns:
        return Unknowns(depth=not known.turning, translation=not known.turning, focal=known.focal is None)

    def _priors(self, graph: FrameGraph, state: SceneState | None, known: _Knowledge) -> Priors:
        """Smoothness around the state, or a constant (or the given) depth before there is one."""
        ones = torch.ones(graph.count, len(graph.points), device=graph.device)
        depth = known.inverse_depth if known.inverse_depth is not None else ones
        if state is not None:
            depth = graph.smoothed(state.inverse_depth)
        focal = known.focal or _PRIOR_FOCAL * max(graph.height, graph.width)
        log_focal = torch.tensor(focal, device=graph.device).log()
        return Priors(depth, self.smoothness * ones, log_focal, _FOCAL_WEIGHT)


def transfer(state: SceneState, source: FrameGraph, target: FrameGraph) -> SceneState:
    """The same scene on another graph's point grid and pixel size."""
    maps = state.inverse_depth.view(source.count, 1, source.rows, source.columns)
    depth = F.interpolate(maps, size=(target.rows, target.columns), mode="bilinear", align_corners=False).flatten(1)
    return SceneState(state.camera_from_world, depth, state.log_focal + math.log(target.width / source.width))


def _in_pixels(focal_over_width: float | None, graph: FrameGraph) -> float | None:
    return None if focal_over_width is None else float(focal_over_width) * graph.width


def _on_grid(inverse_depth: Tensor | None, graph: FrameGraph) -> Tensor | None:
    if inverse_depth is None:
        return None
    maps = inverse_depth[:, None].float()
    depth = F.interpolate(maps, size=(graph.rows, graph.columns), mode="bilinear", align_corners=False).flatten(1)
    depth = depth.clamp_min(1e-3)
    return depth / depth.mean()


def _state_of(estimate: CameraEstimate, index: int, graph: FrameGraph) -> SceneState:
    maps = estimate.inverse_depth[index, :, None]
    depth = F.interpolate(maps, size=(graph.rows, graph.columns), mode="bilinear", align_corners=False).flatten(1)
    focal = estimate.cameras.intrinsics[index, 0, 0] * graph.width
    return SceneState(invert(estimate.cameras.world_from_camera[index]), depth, focal.log())


def _possible(gaps: tuple[int, ...], frames: int) -> tuple[int, ...]:
    """Gaps that fit into the clip; the widest that does takes the place of those that do not."""
    return tuple(dict.fromkeys(min(gap, frames - 1) for gap in gaps))


def _distinct(solved: list[tuple[SceneState, float]], count: int) -> list[SceneState]:
    """The states of least cost, leaving out those that ended at the same cost as one already kept."""
    kept: list[tuple[SceneState, float]] = []
    for state, cost in sorted(solved, key=lambda pair: pair[1]):
        if all(abs(cost - other) > 3e-3 * other for _, other in kept):
            kept.append((state, cost))
    return [state for state, _ in kept[:count]]


def _stack(estimates: list[CameraEstimate]) -> CameraEstimate:
    return CameraEstimate(
        Cameras(
            torch.stack([e.cameras.world_from_camera[0] for e in estimates]),
            torch.stack([e.cameras.intrinsics[0] for e in estimates]),
        ),
        torch.cat([e.inverse_depth for e in estimates]),
        torch.cat([e.confidence for e in estimates]),
        torch.cat([e.covariance for e in estimates]),
        tuple(note for e in estimates for note in e.notes),
    )
